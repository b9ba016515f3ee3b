//! One vector register: what a micro-kernel asks of an instruction set.

use crate::scalar::Scalar;

/// A register of [`LANES`](Vector::LANES) real numbers.
///
/// Every method is `#[inline(always)]` and becomes one or two instructions once it is inlined
/// into a function that enables the instruction set.
///
/// # Safety
/// To call any method, the CPU must have the instruction set of the implementing type. The
/// methods that take a pointer add what they say.
pub(crate) trait Vector: Copy {
    /// The numbers in it.
    type Real: Scalar;
    /// Which of the lanes take part, from lane 0 on.
    type Mask: Copy;
    /// How many numbers it holds; even.
    const LANES: usize;

    /// All lanes +0.
    unsafe fn zero() -> Self;
    /// All lanes `x`.
    unsafe fn splat(x: Self::Real) -> Self;
    /// Even lanes `even`, odd lanes `odd`.
    unsafe fn alternate(even: Self::Real, odd: Self::Real) -> Self;
    /// `LANES` numbers from `p` on, which must be readable; no alignment.
    unsafe fn load(p: *const Self::Real) -> Self;
    /// Writes all lanes from `p` on, which must be writable; no alignment.
    unsafe fn store(self, p: *mut Self::Real);
    /// Asks for the cache line of `p`, which need not be readable.
    unsafe fn prefetch(p: *const Self::Real);
    /// The same, but into the second cache.
    unsafe fn prefetch_far(p: *const Self::Real);
    /// The mask of the first `lanes` lanes, `1 ≤ lanes ≤ LANES`.
    unsafe fn mask(lanes: usize) -> Self::Mask;
    /// The masked lanes from `p` on, which must be readable; +0 in the others, which are not
    /// read.
    unsafe fn load_masked(p: *const Self::Real, mask: Self::Mask) -> Self;
    /// Writes the masked lanes from `p` on, which must be writable; the others are not touched.
    unsafe fn store_masked(self, p: *mut Self::Real, mask: Self::Mask);
    /// `self · x`, lane by lane.
    unsafe fn mul(self, x: Self) -> Self;
    /// `self · x + y`, lane by lane; fused where the instruction set has it.
    unsafe fn mul_add(self, x: Self, y: Self) -> Self;
    /// Lanes 0 and 1 exchanged, 2 and 3 exchanged, and so on.
    unsafe fn swap_pairs(self) -> Self;
    /// The sums of neighbouring lanes: first those of `self`, then those of `other`.
    unsafe fn pair_sums(self, other: Self) -> Self;
    /// The sums of the even and of the odd lanes: half of the lanes are added to the other half until
    /// two are left.
    unsafe fn fold(self) -> [Self::Real; 2];
}

/// Vectors of L numbers of which L are turned in registers.
pub(crate) trait Square<const L: usize>: Vector {
    /// Lane j of vector i becomes lane i of vector j.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn turn(vectors: [Self; L]) -> [Self; L];
}
