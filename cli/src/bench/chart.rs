//! GFLOP/s over size, as a picture.

use super::report::Row;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

/// Colours that remain apart in print and to most eyes.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(130, 130, 130),
];

/// Draws the square products without transposition of one type and one number of threads, one
/// line per library, under `peak` flops per second.
pub fn draw(
    path: &Path,
    title: &str,
    names: &[String],
    rows: &[&Row],
    peak: f64,
) -> Result<(), Box<dyn Error>> {
    let mut squares: Vec<&Row> = rows
        .iter()
        .copied()
        .filter(|row| ["tiny", "small", "medium", "large"].contains(&row.shape.group.name))
        .collect();
    squares.sort_by_key(|row| row.shape.m);
    let (Some(first), Some(last)) = (squares.first(), squares.last()) else { return Ok(()) };
    let sizes = first.shape.m as f64..last.shape.m as f64 * 1.01;
    let area = SVGBackend::new(path, (900, 540)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(sizes.clone().log_scale(), 0.0..peak / 1e9)?;
    chart
        .configure_mesh()
        .x_desc("m = n = k")
        .y_desc("GFLOP/s, up to the peak of fused multiply-adds")
        .x_label_formatter(&|size| format!("{size:.0}"))
        .draw()?;
    for (index, name) in names.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points: Vec<(f64, f64)> = squares
            .iter()
            .filter_map(|row| {
                let (best, _) = row.times[index]?;
                Some((row.shape.m as f64, row.flops() / best / 1e9))
            })
            .collect();
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    area.present()?;
    Ok(())
}
