//! Classes of lines of similar size, and the extremes of their statistics.

use super::{LineStats, STEPS, THRESHOLDS};
use crate::npu::scheme::MAX_DIGITS;

/// Most classes per operand.
const CLASSES: usize = 16;

/// Bins of the histogram by which lines are sorted into classes.
const BINS: usize = 256;

/// The extremes of the statistics of some lines; no line need attain more than one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class {
    /// How many lines.
    pub lines: usize,
    /// Smallest counts.
    pub counts: [u32; THRESHOLDS.len()],
    /// Smallest and largest number of non-zeros.
    pub min_nonzeros: usize,
    pub max_nonzeros: usize,
    /// Smallest λ.
    pub trailing: u32,
    /// Largest bound of ‖X‖₁ in units of F.
    pub norm: u64,
    /// Largest ‖d_p‖₂, rounded up, of the planes that meet a dropped product.
    pub roots: [u64; MAX_DIGITS],
    /// Whether any line was rounded.
    pub inexact: bool,
}

impl Class {
    /// One line.
    pub fn of(line: &LineStats) -> Class {
        Class {
            lines: 1,
            counts: line.counts,
            min_nonzeros: line.nonzeros,
            max_nonzeros: line.nonzeros,
            trailing: line.trailing,
            norm: line.norm,
            roots: line.roots,
            inexact: line.inexact,
        }
    }

    fn join(&mut self, other: &Class) {
        for (count, &other) in self.counts.iter_mut().zip(&other.counts) {
            *count = (*count).min(other);
        }
        for (root, &other) in self.roots.iter_mut().zip(&other.roots) {
            *root = (*root).max(other);
        }
        self.lines += other.lines;
        self.min_nonzeros = self.min_nonzeros.min(other.min_nonzeros);
        self.max_nonzeros = self.max_nonzeros.max(other.max_nonzeros);
        self.trailing = self.trailing.min(other.trailing);
        self.norm = self.norm.max(other.norm);
        self.inexact |= other.inexact;
    }
}

/// The non-empty classes of the lines that are not zero.
///
/// A line's place in the cumulative histogram of the sizes Σ_p D_p c_p decides its class, so
/// that neither the order of the lines nor ties matter. Any partition would be sound.
pub(super) fn classes<'a>(
    lines: impl Iterator<Item = &'a LineStats> + Clone,
    k: usize,
) -> Vec<Class> {
    let bin = |line: &LineStats| {
        let size: u64 =
            STEPS.iter().zip(line.counts).map(|(&d, c)| u64::from(d) * u64::from(c)).sum();
        (BINS as u64 * size / (127 * k as u64 + 1)) as usize
    };
    let lines = || lines.clone().filter(|line| line.nonzeros > 0);
    let mut upto = [0; BINS];
    for line in lines() {
        upto[bin(line)] += 1;
    }
    for i in 1..BINS {
        upto[i] += upto[i - 1];
    }
    let total: usize = upto[BINS - 1];
    let mut classes = [None::<Class>; CLASSES];
    for line in lines() {
        let place = CLASSES * (upto[bin(line)] - 1) / total;
        let member = Class::of(line);
        match &mut classes[place] {
            Some(class) => class.join(&member),
            empty => *empty = Some(member),
        }
    }
    classes.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(size: u32, nonzeros: usize) -> LineStats {
        LineStats {
            counts: std::array::from_fn(|p| size / (p as u32 + 1)),
            nonzeros,
            trailing: 40 - size % 9,
            norm: u64::from(size) * 3,
            roots: std::array::from_fn(|p| if p == 2 { u64::from(size) } else { 0 }),
            inexact: size.is_multiple_of(7),
        }
    }

    #[test]
    fn classes_do_not_depend_on_the_order() {
        let mut lines: Vec<_> = (0..500).map(|i| line(i * i % 331, 1 + i as usize)).collect();
        let before = format!("{:?}", classes(lines.iter(), 400));
        lines.reverse();
        lines.swap(3, 77);
        assert_eq!(format!("{:?}", classes(lines.iter(), 400)), before);
    }

    #[test]
    fn classes_are_even_and_cover_every_line() {
        let lines: Vec<_> = (1..=400).map(|i| line(i, 5)).collect();
        let classes = classes(lines.iter(), 400);
        assert!((8..=CLASSES).contains(&classes.len()));
        for line in &lines {
            let fits = |class: &&Class| {
                class.counts.iter().zip(&line.counts).all(|(class, line)| class <= line)
                    && class.trailing <= line.trailing
                    && class.norm >= line.norm
                    && class.roots[2] >= line.roots[2]
                    && class.inexact >= line.inexact
            };
            assert!(classes.iter().any(|class| fits(&class)));
        }
    }

    #[test]
    fn extremes_of_a_class() {
        let mut class = Class::of(&line(10, 4));
        class.join(&Class::of(&line(14, 2)));
        assert_eq!((class.min_nonzeros, class.max_nonzeros), (2, 4));
        assert_eq!((class.norm, class.roots[2], class.inexact), (42, 14, true));
        assert_eq!((class.counts[0], class.counts[4]), (10, 2));
    }

    #[test]
    fn lines_of_zeros_are_in_no_class() {
        assert!(classes([line(0, 0), line(9, 0)].iter(), 10).is_empty());
        assert_eq!(classes([line(0, 0), line(9, 1)].iter(), 10).len(), 1);
        assert!(classes([].iter(), 0).is_empty());
    }
}
