//! Elements of C that no certificate proves: the NPU does not write them, and the CPU computes them
//! one by one. So which CPU computes what, and how, depends on the data alone and not on how C was
//! cut.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bit for every element of a part of C.
#[derive(Debug)]
pub struct Doubts {
    /// Where the part starts.
    at: (usize, usize),
    words_per_row: usize,
    words: Vec<AtomicU64>,
}

impl Doubts {
    /// None as yet of a part of m × n; `None` when there is no memory.
    pub fn new(m: usize, n: usize) -> Option<Doubts> {
        let words_per_row = n.div_ceil(64);
        let mut words = Vec::new();
        words.try_reserve_exact(m.checked_mul(words_per_row)?).ok()?;
        words.resize_with(m * words_per_row, || AtomicU64::new(0));
        Some(Doubts { at: (0, 0), words_per_row, words })
    }

    /// Bytes of those of m × n elements.
    pub fn bytes(m: usize, n: usize) -> usize {
        m * n.div_ceil(64) * size_of::<u64>()
    }

    /// Adds some neighbouring elements of a row.
    pub fn add(&self, row: usize, cols: Range<usize>) {
        let words = &self.words[row * self.words_per_row..][..self.words_per_row];
        for col in cols {
            // The jobs of a call end one after the other, and whoever reads comes after all.
            words[col / 64].fetch_or(1 << (col % 64), Ordering::Relaxed);
        }
    }

    /// The same of a C of which this one's is a part that starts at (i, j).
    pub fn shifted(self, i: usize, j: usize) -> Doubts {
        Doubts { at: (self.at.0 + i, self.at.1 + j), ..self }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum()
    }

    /// Row and column of all of them, row by row.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> + Clone + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let row = self.at.0 + index / self.words_per_row;
            let first = self.at.1 + index % self.words_per_row * 64;
            let mut left = word.load(Ordering::Relaxed);
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < 64).then_some((row, first + bit))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_that_were_added() {
        let doubts = Doubts::new(3, 130).unwrap();
        assert_eq!((doubts.count(), doubts.places().count()), (0, 0));
        let places = [(0, 0), (0, 63), (0, 64), (0, 65), (2, 127), (2, 128), (2, 129)];
        for (i, cols) in [(2, 127..130), (0, 63..66), (0, 0..1), (1, 7..7), (0, 64..65)] {
            doubts.add(i, cols);
        }
        assert_eq!(doubts.places().collect::<Vec<_>>(), places);
        let doubts = doubts.shifted(10, 5).shifted(0, 100);
        assert_eq!(doubts.count(), places.len());
        assert!(doubts.places().eq(places.map(|(i, j)| (i + 10, j + 105))));
        assert!(Doubts::new(usize::MAX / 8, 200).is_none() && Doubts::new(0, 9).is_some());
        assert_eq!(Doubts::bytes(3, 130), 72);
    }
}
