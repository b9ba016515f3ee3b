//! The proof, per block, that the device computed what it was told: random projection.
//!
//! With x a random number per column of C, what a row of results adds up to with x is known
//! beforehand: A·(B·x) = (A·B)·x. The right side is taken from what the device returned, the left
//! side while A and B are packed.
//!
//! * [`Exact`] is for exact sums: modulo 2^64, equal or wrong.
//! * [`Rounded`] is for sums that the device rounds: in double precision, equal up to the error of
//!   its roundings.
//!
//! What neither can see is wrong packing or scaling, on which both sides agree.

mod exact;
mod rounded;

pub use exact::Exact;
pub use rounded::Rounded;

use super::scheme::Scheme;
use std::collections::hash_map::RandomState;
use std::fmt::Debug;
use std::hash::BuildHasher;
use std::ops::Range;

/// The random numbers of one call, and what is done with them.
pub trait Challenge: Sync + Debug {
    /// What columns of B add up to.
    type Running: Default + Send;
    /// What rows of A meet.
    type Projection: Send + Sync + Debug;
    /// What a row of results of a tile adds up to.
    type Seen: Default;
    /// What it must add up to.
    type Expected: Send + Sync + Debug;

    /// Draws the numbers for a call of `cols` columns, independently of its data.
    fn draw(cols: usize, scheme: &Scheme) -> Self;

    /// Takes `running` back to nothing, for lines of `len` bytes.
    fn start(&self, len: usize, running: &mut Self::Running);

    /// Adds columns `cols` of B, as planes that lie `pitch` bytes apart, to what the columns of
    /// their tile add up to.
    fn add_columns(
        &self,
        cols: Range<usize>,
        planes: &[i8],
        pitch: usize,
        running: &mut Self::Running,
    );

    /// Adds what other columns of the same tile add up to.
    fn merge(&self, running: &mut Self::Running, other: &Self::Running);

    /// Turns what the columns of a tile add up to into what rows of A meet; planes have the pitch
    /// `pitch`.
    fn combine(&self, scheme: &Scheme, running: &Self::Running, pitch: usize) -> Self::Projection;

    /// What the results of a row of A, given as planes, must add up to against a tile of B.
    fn expect(planes: &[i8], tile: &Self::Projection) -> Self::Expected;

    /// Adds one row of results of a part of the inner dimension, as it lies in memory, to the
    /// `sums` of its group, and its projection to what was `seen` of the row. Column `first_col`
    /// of the call is the first of the row's.
    fn observe(
        &self,
        group: usize,
        first_col: usize,
        row: &[i32],
        sums: &mut [i64],
        seen: &mut Self::Seen,
    );

    /// Whether what was seen of all parts of all groups of a row is what they must add up to.
    fn confirms(seen: &Self::Seen, expected: &Self::Expected) -> bool;
}

/// Random bytes of the operating system; where it has none to give, those of the standard
/// library's hash keys.
fn fill_random(bytes: &mut [u8]) {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        // SAFETY: `rest` is writable for its length, and nothing else is asked of the call.
        let got =
            unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), libc::GRND_NONBLOCK) };
        match usize::try_from(got) {
            Ok(got) => done += got,
            Err(_) if std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR) => {}
            Err(_) => return fill_hashed(rest),
        }
    }
}

fn fill_hashed(bytes: &mut [u8]) {
    for (i, word) in bytes.chunks_mut(8).enumerate() {
        let hash = RandomState::new().hash_one(i).to_ne_bytes();
        word.copy_from_slice(&hash[..word.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashed_bytes_differ() {
        let mut bytes = [0; 803];
        fill_hashed(&mut bytes);
        let mut again = [0; 803];
        fill_hashed(&mut again);
        assert_ne!(bytes[795..], again[795..]);
        assert_ne!(bytes[..8], bytes[8..16]);
    }
}
