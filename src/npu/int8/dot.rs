//! One vector register: what the micro-kernel asks of an instruction set.

/// A digit as it lies in a panel.
pub(super) trait Digit: Copy {
    /// What is added to every digit so that the type holds it.
    const OFFSET: i32;
    /// The digit with the offset.
    fn of(digit: i8) -> Self;
}

impl Digit for i8 {
    const OFFSET: i32 = 0;
    #[inline(always)]
    fn of(digit: i8) -> i8 {
        digit
    }
}

/// For instructions that multiply unsigned by signed bytes.
impl Digit for u8 {
    const OFFSET: i32 = 128;
    #[inline(always)]
    fn of(digit: i8) -> u8 {
        digit as u8 ^ 0x80
    }
}

impl Digit for i16 {
    const OFFSET: i32 = 0;
    #[inline(always)]
    fn of(digit: i8) -> i16 {
        digit.into()
    }
}

/// A register of [`LANES`](Dot::LANES) sums of 32 bits. Each lane takes [`RUN`](Dot::RUN)
/// neighbouring digits of a line at once.
///
/// Sums wrap around: a sum that fits at the end is right whatever came before.
///
/// Every method is `#[inline(always)]` and becomes one or two instructions once it is inlined
/// into a function that enables the instruction set.
///
/// # Safety
/// To call any method, the CPU must have the instruction set of the implementing type. The
/// methods that take a pointer add what they say.
pub(super) trait Dot: Copy {
    /// A digit of A; its offset is 0.
    type A: Digit;
    /// A digit of B, of the same size.
    type B: Digit;
    /// A register of digits.
    type Digits: Copy;
    /// Sums in a register.
    const LANES: usize;
    /// Digits per sum and step.
    const RUN: usize;

    /// The same sum in all lanes.
    unsafe fn splat(sum: i32) -> Self;
    /// `self + other`, lane by lane.
    unsafe fn add(self, other: Self) -> Self;
    /// Writes all lanes from `p` on, which must be writable and aligned to 64 bytes.
    unsafe fn store(self, p: *mut i32);
    /// The runs of `LANES` columns of B, `LANES · RUN` digits from `p` on, which must be readable.
    unsafe fn load(p: *const Self::B) -> Self::Digits;
    /// One run of a row of A, RUN digits from `p` on, which must be readable, for every lane.
    unsafe fn broadcast(p: *const Self::A) -> Self::Digits;
    /// Adds the inner product of the runs of `b` and `a`, lane by lane.
    unsafe fn dot(self, b: Self::Digits, a: Self::Digits) -> Self;
}
