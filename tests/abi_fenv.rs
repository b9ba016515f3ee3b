//! The caller's floating-point environment neither changes nor matters.

mod abi_support;

use abi_support::call::load;
use std::ffi::c_int;

type Sgemm = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    i32,
    i32,
    i32,
    f32,
    *const f32,
    i32,
    *const f32,
    i32,
    f32,
    *mut f32,
    i32,
);

/// The environment as this CPU keeps it: control and status.
#[cfg(target_arch = "x86_64")]
mod environment {
    use std::arch::asm;

    pub type Environment = u32;

    pub fn get() -> Environment {
        let mut mxcsr = 0;
        // SAFETY: stores four bytes.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr) };
        mxcsr
    }

    /// # Safety
    /// Only calls of the library follow until the former environment is back.
    pub unsafe fn set(mxcsr: Environment) {
        // SAFETY: loads four bytes, whose reserved bits are 0; the caller knows.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr) };
    }

    /// Rounding modes, flushing, flags and enabled traps, in every combination that matters.
    pub fn all() -> impl Iterator<Item = Environment> {
        const MASKED: u32 = 0x1f80;
        let modes = (0..4).flat_map(|rounding| {
            [0, 1 << 15, 1 << 6, 1 << 15 | 1 << 6].map(|flush| rounding << 13 | flush)
        });
        // With exceptions unmasked, any that the library raised would kill this test.
        modes.flat_map(|mode| {
            [MASKED, MASKED | 0x3f, MASKED | 0x15, 0x80, 0].map(|rest| mode | rest)
        })
    }
}

#[cfg(target_arch = "aarch64")]
mod environment {
    use std::arch::asm;

    pub type Environment = (u64, u64);

    pub fn get() -> Environment {
        let (fpcr, fpsr);
        // SAFETY: reads two registers.
        unsafe { asm!("mrs {}, fpcr", "mrs {}, fpsr", out(reg) fpcr, out(reg) fpsr) };
        (fpcr, fpsr)
    }

    /// # Safety
    /// Only calls of the library follow until the former environment is back.
    pub unsafe fn set((fpcr, fpsr): Environment) {
        // SAFETY: writes two registers; the caller knows.
        unsafe { asm!("msr fpcr, {}", "msr fpsr, {}", in(reg) fpcr, in(reg) fpsr) };
    }

    /// Rounding modes, flushing, default NaN and flags. Few CPUs have traps.
    pub fn all() -> impl Iterator<Item = Environment> {
        let modes = (0..4u64)
            .flat_map(|rounding| [0, 1 << 24, 1 << 25].map(|flush| rounding << 22 | flush));
        modes.flat_map(|mode| [0, 0x1f, 0x15].map(|flags| (mode, flags)))
    }
}

/// Data whose product depends on the rounding mode, has subnormal operands and results, and
/// overflows and is invalid in places.
fn operands(n: usize) -> (Vec<f32>, Vec<f32>) {
    let element = |i: usize, seed: usize| match (i + seed) % 11 {
        0 => 1e-40,
        1 => f32::MIN_POSITIVE,
        2 => 3e-20,
        3 if i.is_multiple_of(97) => 3e38,
        4 if i.is_multiple_of(89) => f32::INFINITY,
        _ => (i * 2654435761 % 1000) as f32 / 999.0 - 0.5,
    };
    // The first columns are tiny throughout, so that sums stay subnormal.
    let a = (0..n * n).map(|i| if i / n < n / 2 { 1e-30 } else { element(i, 0) }).collect();
    let b = (0..n * n).map(|i| if i % n < n / 2 { 3e-12 } else { element(i, 5) }).collect();
    (a, b)
}

fn transposed(n: usize, x: &[f32]) -> Vec<f32> {
    (0..n * n).map(|i| x[i % n * n + i / n]).collect()
}

/// Bits of α·A·B + β·C, both operands transposed or not, computed while `environment` is set, and the environment after the call.
fn product(
    gemm: Sgemm,
    transposition: c_int,
    n: usize,
    (alpha, beta): (f32, f32),
    environment: environment::Environment,
) -> (Vec<u32>, environment::Environment) {
    let (mut a, mut b) = operands(n);
    if transposition == 112 {
        (a, b) = (transposed(n, &a), transposed(n, &b));
    }
    let mut c = vec![1e-41f32; n * n];
    let size = n as i32;
    let before = environment::get();
    // SAFETY: n × n matrices; nothing but the call happens in the strange environment.
    let after = unsafe {
        environment::set(environment);
        let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        let trans = transposition;
        gemm(101, trans, trans, size, size, size, alpha, a, size, b, size, beta, c, size);
        let after = environment::get();
        environment::set(before);
        after
    };
    (c.iter().map(|x| x.to_bits()).collect(), after)
}

/// A large product comes first: its threads are started in a strange environment, and must not
/// inherit it.
#[test]
fn results_and_environment_are_independent() {
    let library = load();
    // SAFETY: the signature of `cblas_sgemm`.
    let gemm = *unsafe { library.get::<Sgemm>(c"cblas_sgemm") }.expect("cblas_sgemm");
    let default = environment::get();
    // Subnormal factors are no zeros.
    let factors = [(0.7, 1.0), (1e-40, 1.0), (0.7, 1e-40)];
    for (n, factors) in [96, 20, 7, 1].into_iter().flat_map(|n| factors.map(|x| (n, x))) {
        for transposition in [111, 112] {
            let what = format!("n = {n}, {factors:?}, {transposition}");
            let product = |environment| product(gemm, transposition, n, factors, environment);
            let strange: Vec<_> = environment::all().collect();
            let results: Vec<_> = strange.iter().map(|&set| product(set)).collect();
            let (expected, after) = product(default);
            assert_eq!(after, default);
            for (set, (result, after)) in strange.iter().zip(&results) {
                assert_eq!(set, after, "{what}: the environment has changed");
                assert!(*result == expected, "{what}: the result depends on {set:x?}");
            }
            let subnormal = expected.iter().any(|&bits| f32::from_bits(bits).is_subnormal());
            assert!(subnormal || n == 1, "{what}: nothing to flush");
        }
    }
}
