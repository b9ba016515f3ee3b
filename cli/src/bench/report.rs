//! What was measured, as tables.

use super::suite::{SUITE, Shape};
use std::io;
use std::path::Path;

/// What was measured of one shape.
#[derive(Debug, Clone)]
pub struct Row {
    /// The type's letter.
    pub letter: char,
    /// Threads that every library had.
    pub threads: usize,
    /// The shape.
    pub shape: Shape,
    /// Of every library: the shortest and the median time, in seconds; `None` where it does not
    /// have the type, or was wrong.
    pub times: Vec<Option<(f64, f64)>>,
}

impl Row {
    /// Floating-point operations of the shape.
    pub fn flops(&self) -> f64 {
        let Shape { group, m, n, k } = self.shape;
        let real = if "cz".contains(self.letter) { 8.0 } else { 2.0 };
        real * m as f64 * n as f64 * k as f64 * group.form.count as f64
    }

    /// How many times as fast as library `peer` library `index` is.
    fn ratio(&self, index: usize, peer: usize) -> Option<f64> {
        Some(self.times[peer]?.0 / self.times[index]?.0)
    }

    fn name(&self) -> String {
        let Shape { group, m, n, k } = self.shape;
        format!("{} {m}×{n}×{k}", group.name)
    }
}

fn geometric_mean(ratios: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = ratios.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// A cell of 9 places.
fn cell(number: Option<f64>, digits: usize) -> String {
    number.map_or(format!("{:>9}", "-"), |number| format!("{number:>9.digits$}"))
}

/// One line for a shape: GFLOP/s of every library.
pub fn shape_line(row: &Row) -> String {
    let mut line = format!("{:<28}", row.name());
    for time in &row.times {
        line += &cell(time.map(|(best, _)| row.flops() / best / 1e9), 2);
    }
    // Every library against the second one.
    line + "  " + &cell(row.ratio(0, 1.min(row.times.len() - 1)), 3)
}

/// The table of groups: the first library against every other one.
pub fn print_groups(names: &[String], rows: &[Row], peaks: &[f64]) {
    let letters: Vec<(char, usize)> = {
        let mut all: Vec<_> = rows.iter().map(|row| (row.letter, row.threads)).collect();
        all.dedup();
        all
    };
    for (&(letter, threads), peak) in letters.iter().zip(peaks) {
        println!("\n{letter}gemm, {threads} threads: {} against …, geometric means", names[0]);
        print!("{:<16}{:>9}", "group", "of peak");
        names[1..].iter().for_each(|name| print!("{name:>9.9}"));
        println!("  lowest");
        let of = |group: Option<&'static str>| {
            rows.iter().filter(move |row| {
                (row.letter, row.threads) == (letter, threads)
                    && group.is_none_or(|group| row.shape.group.name == group)
            })
        };
        let line = |title: &str, group: Option<&'static str>| {
            let efficiency =
                of(group).filter_map(|row| row.times[0].map(|(best, _)| row.flops() / best / peak));
            let mut line = format!("{title:<16}{}", cell(geometric_mean(efficiency), 3));
            for peer in 1..names.len() {
                let ratios = of(group).filter_map(|row| row.ratio(0, peer));
                line += &cell(geometric_mean(ratios), 3);
            }
            let lowest = of(group)
                .filter_map(|row| row.ratio(0, 1.min(names.len() - 1)).map(|ratio| (ratio, row)))
                .min_by(|(x, _), (y, _)| x.total_cmp(y));
            if let Some((ratio, row)) = lowest {
                line += &format!("  {ratio:.2} {}", row.name());
            }
            println!("{line}");
        };
        for group in SUITE.iter().filter(|group| of(Some(group.name)).next().is_some()) {
            line(group.name, Some(group.name));
        }
        line("all", None);
    }
}

/// One row per shape and library.
pub fn write_csv(path: &Path, names: &[String], rows: &[Row]) -> io::Result<()> {
    let mut text = String::from(
        "type,threads,group,ops,m,n,k,count,library,seconds_best,seconds_median,gflops\n",
    );
    for row in rows {
        let Shape { group, m, n, k } = row.shape;
        for (name, time) in names.iter().zip(&row.times) {
            let Some((best, median)) = time else { continue };
            text += &format!(
                "{},{},{},{},{m},{n},{k},{},{name},{best:e},{median:e},{:.3}\n",
                row.letter,
                row.threads,
                group.name,
                group.ops,
                group.form.count,
                row.flops() / best / 1e9,
            );
        }
    }
    std::fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_geometric_mean_of_inverses_is_one() {
        let mean = geometric_mean([0.5, 2.0].into_iter()).unwrap();
        assert!((mean - 1.0).abs() < 1e-12);
        assert_eq!(geometric_mean([].into_iter()), None);
    }
}
