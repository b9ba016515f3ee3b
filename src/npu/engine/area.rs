//! Areas of C, and which of them are left to the CPU from the start.

use std::ops::Range;

/// Some rows of some columns of C.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// Rows of C.
    pub rows: Range<usize>,
    /// Columns of C.
    pub cols: Range<usize>,
}

impl Area {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.rows.len() * self.cols.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same area of a C of which this one's is a part that starts at (i, j).
    pub fn shifted(self, i: usize, j: usize) -> Area {
        Area {
            rows: self.rows.start + i..self.rows.end + i,
            cols: self.cols.start + j..self.cols.end + j,
        }
    }
}

/// Rows and columns of C that the NPU does not compute because of what is in the operands:
/// numbers that are not finite, or lines for which no scheme proves the bound. Each spoils its
/// own line of C only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spared {
    /// Rows, ascending.
    pub rows: Vec<usize>,
    /// Columns, ascending.
    pub cols: Vec<usize>,
}

impl Spared {
    /// Whether so much of C is spared that the CPU had better compute all of it: more than a
    /// twentieth.
    pub fn is_too_much(&self, m: usize, n: usize) -> bool {
        20 * self.rows.len() > m || 20 * self.cols.len() > n
    }

    /// Spares more lines, in whatever order.
    pub fn add(
        &mut self,
        rows: impl IntoIterator<Item = usize>,
        cols: impl IntoIterator<Item = usize>,
    ) {
        self.rows.extend(rows);
        self.cols.extend(cols);
        for lines in [&mut self.rows, &mut self.cols] {
            lines.sort_unstable();
            lines.dedup();
        }
    }

    /// What is spared of a part of C that is `rows` by `cols`, counted from its own start.
    pub fn within(&self, rows: Range<usize>, cols: Range<usize>) -> Spared {
        let [rows, cols] = [(&self.rows, rows), (&self.cols, cols)].map(|(lines, part)| {
            let inside = lines.iter().filter(|line| part.contains(line));
            inside.map(|line| line - part.start).collect()
        });
        Spared { rows, cols }
    }

    /// Whether a row is spared.
    pub fn has_row(&self, row: usize) -> bool {
        self.rows.binary_search(&row).is_ok()
    }

    /// The columns of `cols` that are not spared, as ranges.
    pub fn kept_cols(&self, cols: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
        gaps(&self.cols, cols)
    }

    /// All that is spared of a C of m × n, in areas that do not overlap.
    pub fn areas(&self, m: usize, n: usize) -> Vec<Area> {
        let mut areas: Vec<Area> = runs(&self.rows).map(|rows| Area { rows, cols: 0..n }).collect();
        for cols in runs(&self.cols) {
            areas.extend(gaps(&self.rows, 0..m).map(|rows| Area { rows, cols: cols.clone() }));
        }
        areas
    }
}

/// Ascending numbers as ranges.
pub fn runs(numbers: &[usize]) -> impl Iterator<Item = Range<usize>> + '_ {
    numbers.chunk_by(|a, b| a + 1 == *b).map(|run| run[0]..run[run.len() - 1] + 1)
}

/// What is left of `within` without the ascending `numbers`.
fn gaps(numbers: &[usize], within: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let first = numbers.partition_point(|&x| x < within.start);
    let last = numbers.partition_point(|&x| x < within.end);
    let mut start = within.start;
    let ends = numbers[first..last].iter().copied().chain(std::iter::once(within.end));
    ends.map(move |end| std::mem::replace(&mut start, end + 1)..end).filter(|gap| !gap.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_neighbours() {
        let numbers = [1, 2, 3, 7, 9, 10];
        assert_eq!(runs(&numbers).collect::<Vec<_>>(), [1..4, 7..8, 9..11]);
        assert_eq!(runs(&[]).count(), 0);
    }

    #[test]
    fn gaps_are_what_is_left() {
        let of = |numbers: &[usize], within| gaps(numbers, within).collect::<Vec<_>>();
        assert_eq!(of(&[], 3..5), vec![3..5]);
        assert_eq!(of(&[0, 3, 4, 9], 0..10), [1..3, 5..9]);
        assert!(of(&[0, 3, 4, 9], 3..5).is_empty());
        assert_eq!(of(&[0, 3, 4, 9], 5..12), [5..9, 10..12]);
        assert!(of(&[2], 0..0).is_empty());
    }

    #[test]
    fn spared_areas_cover_each_element_once() {
        let mut spared = Spared { rows: vec![0, 4], cols: vec![3] };
        spared.add([5, 4], [6, 2, 6]);
        assert_eq!(spared, Spared { rows: vec![0, 4, 5], cols: vec![2, 3, 6] });
        assert_eq!(spared.within(1..5, 3..7), Spared { rows: vec![3], cols: vec![0, 3] });
        let mut times = [[0; 7]; 6];
        for area in spared.areas(6, 7) {
            for row in &mut times[area.rows] {
                row[area.cols.clone()].iter_mut().for_each(|t| *t += 1);
            }
        }
        for (i, row) in times.iter().enumerate() {
            for (j, &times) in row.iter().enumerate() {
                let expected = spared.has_row(i) || spared.cols.contains(&j);
                assert_eq!(times, i32::from(expected), "({i}, {j})");
            }
        }
        assert!(!spared.is_too_much(60, 60) && spared.is_too_much(60, 59));
    }
}
