//! Classes of lines of similar size, and the extremes of their statistics.

use super::{LineStats, STEPS, THRESHOLDS};
use crate::npu::scheme::MAX_SLICES;

/// Most classes per operand.
const CLASSES: usize = 16;

/// Bins of the histogram by which lines are sorted into classes.
const BINS: usize = 256;

/// The extremes of the statistics of some lines; no line need attain more than one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Class {
    /// Smallest counts.
    pub counts: [u32; THRESHOLDS.len()],
    /// Smallest and largest number of non-zeros.
    pub min_nonzeros: usize,
    pub max_nonzeros: usize,
    /// Largest bound of ‖X‖₁.
    pub norm: u128,
    /// Largest ‖d_p‖₂, rounded up, of the planes that meet a dropped product.
    pub roots: [u64; MAX_SLICES],
    /// Whether any line was rounded.
    pub inexact: bool,
}

impl Class {
    fn of(line: &LineStats) -> Class {
        Class {
            counts: line.counts,
            min_nonzeros: line.nonzeros,
            max_nonzeros: line.nonzeros,
            norm: line.norm,
            roots: line.squares.map(root_up),
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
        self.min_nonzeros = self.min_nonzeros.min(other.min_nonzeros);
        self.max_nonzeros = self.max_nonzeros.max(other.max_nonzeros);
        self.norm = self.norm.max(other.norm);
        self.inexact |= other.inexact;
    }
}

/// The non-empty classes of the lines that are not zero.
///
/// A line's place in the cumulative histogram of the sizes Σ_p D_p c_p decides its class, so
/// that neither the order of the lines nor ties matter. Any partition would be sound.
pub(super) fn classes(lines: &[LineStats], k: usize) -> Vec<Class> {
    let bin = |line: &LineStats| {
        let size: u64 =
            STEPS.iter().zip(line.counts).map(|(&d, c)| u64::from(d) * u64::from(c)).sum();
        (BINS as u64 * size / (127 * k as u64 + 1)) as usize
    };
    let lines = || lines.iter().filter(|line| line.nonzeros > 0);
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

/// The square root, rounded up.
fn root_up(square: u64) -> u64 {
    let root = square.isqrt();
    root + u64::from(root * root < square)
}
