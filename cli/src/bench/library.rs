//! A BLAS library that was found at run time, whatever it calls its products.

use libloading::Library;
use npublas::{c32, c64};
use std::error::Error;
use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

/// The names under which libraries have the product of the type letter `?`, and what these
/// functions take.
const SPELLINGS: [(&str, Taste); 6] = [
    ("cblas_?gemm", Taste::Cblas),
    ("scipy_cblas_?gemm", Taste::Cblas),
    ("cblas_?gemm64_", Taste::Cblas64),
    ("cblas_?gemm_64", Taste::Cblas64),
    ("scipy_cblas_?gemm64_", Taste::Cblas64),
    ("dnnl_?gemm", Taste::Dnnl),
];

/// What a function of a library takes.
#[derive(Debug, Clone, Copy)]
enum Taste {
    /// CBLAS with 32-bit integers.
    Cblas,
    /// CBLAS with 64-bit integers.
    Cblas64,
    /// oneDNN: letters for transposition, 64-bit integers, rows only.
    Dnnl,
}

/// An element type of the four that BLAS has.
pub trait Element: npublas::Scalar {
    /// How CBLAS passes α and β: by value when real, by reference when complex.
    type Factor: Copy;
    /// α or β as CBLAS wants it.
    fn factor(&self) -> Self::Factor;
    /// From a real and an imaginary part; the latter is dropped where there is none.
    fn new(re: f64, im: f64) -> Self;
    /// Real and imaginary part.
    fn parts(self) -> (f64, f64);
    /// Unit roundoff of the type.
    const UNIT: f64;
}

macro_rules! elements {
    ($($t:ty, $factor:ty, $unit:expr, $x:ident => $by:expr, $parts:expr;
       ($re:ident, $im:ident) => $new:expr;)*) => {$(
        impl Element for $t {
            type Factor = $factor;
            const UNIT: f64 = $unit;
            fn factor(&self) -> $factor {
                let $x = self;
                $by
            }
            fn new($re: f64, $im: f64) -> Self {
                $new
            }
            fn parts(self) -> (f64, f64) {
                let $x = self;
                $parts
            }
        }
    )*};
}
elements! {
    f32, f32, f32::EPSILON as f64 / 2.0, x => *x, (f64::from(x), 0.0);
    (re, _im) => re as f32;
    f64, f64, f64::EPSILON / 2.0, x => *x, (x, 0.0);
    (re, _im) => re;
    c32, *const c32, f32::EPSILON as f64 / 2.0, x => x, (f64::from(x.re), f64::from(x.im));
    (re, im) => c32::new(re as f32, im as f32);
    c64, *const c64, f64::EPSILON / 2.0, x => x, (x.re, x.im);
    (re, im) => c64::new(re, im);
}

type Cblas<T, I> = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    I,
    I,
    I,
    <T as Element>::Factor,
    *const T,
    I,
    *const T,
    I,
    <T as Element>::Factor,
    *mut T,
    I,
);
type Dnnl<T> = unsafe extern "C" fn(
    c_char,
    c_char,
    i64,
    i64,
    i64,
    <T as Element>::Factor,
    *const T,
    i64,
    *const T,
    i64,
    <T as Element>::Factor,
    *mut T,
    i64,
) -> c_int;

/// A product of type T of some library, for row-major matrices.
#[derive(Debug, Clone, Copy)]
pub enum Function<T: Element> {
    /// CBLAS with 32-bit integers.
    Cblas(Cblas<T, i32>),
    /// CBLAS with 64-bit integers.
    Cblas64(Cblas<T, i64>),
    /// oneDNN.
    Dnnl(Dnnl<T>),
}

/// The arguments of a call, C of m × n.
#[derive(Debug, Clone, Copy)]
pub struct Call<T> {
    /// Whether A and B are transposed.
    pub transposed: (bool, bool),
    /// m, n and k.
    pub shape: (usize, usize, usize),
    /// α and β.
    pub factors: (T, T),
    /// Leading dimensions of A, B and C.
    pub ld: (usize, usize, usize),
}

impl<T: Element> Function<T> {
    /// The function of this type in a library; `None` where it has none.
    pub fn find(library: &Library) -> Option<Self> {
        SPELLINGS.iter().find_map(|&(name, taste)| {
            let name = format!("{}\0", name.replace('?', &T::LETTER.to_string()));
            // SAFETY: a pointer to a function, of the type that this name stands for; the
            // library stays loaded as long as the worker lives.
            unsafe {
                let symbol = *library.get::<*const c_void>(name.as_bytes()).ok()?;
                Some(match taste {
                    Taste::Cblas => {
                        Function::Cblas(std::mem::transmute::<*const c_void, Cblas<T, i32>>(symbol))
                    }
                    Taste::Cblas64 => Function::Cblas64(std::mem::transmute::<
                        *const c_void,
                        Cblas<T, i64>,
                    >(symbol)),
                    Taste::Dnnl => {
                        Function::Dnnl(std::mem::transmute::<*const c_void, Dnnl<T>>(symbol))
                    }
                })
            }
        })
    }

    /// `C ← α·op(A)·op(B) + β·C`.
    ///
    /// # Safety
    /// A, B and C have the elements that the call names.
    #[inline]
    pub unsafe fn call(&self, call: &Call<T>, a: *const T, b: *const T, c: *mut T) {
        const ROW_MAJOR: c_int = 101;
        let (m, n, k) = call.shape;
        let (lda, ldb, ldc) = call.ld;
        let (alpha, beta) = (call.factors.0.factor(), call.factors.1.factor());
        let op = |transposed| if transposed { 112 } else { 111 };
        let letter = |transposed| if transposed { b'T' } else { b'N' } as c_char;
        let (ta, tb) = call.transposed;
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Function::Cblas(f) => f(
                    ROW_MAJOR,
                    op(ta),
                    op(tb),
                    m as i32,
                    n as i32,
                    k as i32,
                    alpha,
                    a,
                    lda as i32,
                    b,
                    ldb as i32,
                    beta,
                    c,
                    ldc as i32,
                ),
                Function::Cblas64(f) => f(
                    ROW_MAJOR,
                    op(ta),
                    op(tb),
                    m as i64,
                    n as i64,
                    k as i64,
                    alpha,
                    a,
                    lda as i64,
                    b,
                    ldb as i64,
                    beta,
                    c,
                    ldc as i64,
                ),
                Function::Dnnl(f) => {
                    f(
                        letter(ta),
                        letter(tb),
                        m as i64,
                        n as i64,
                        k as i64,
                        alpha,
                        a,
                        lda as i64,
                        b,
                        ldb as i64,
                        beta,
                        c,
                        ldc as i64,
                    );
                }
            }
        }
    }
}

/// Loads a library, and leaves what it says at load to it.
pub fn load(path: &Path) -> Result<Library, String> {
    // SAFETY: the user asked for this library; its initialisers are the user's choice.
    unsafe { Library::new(path) }.map_err(|error| {
        // What the loader says is the reason behind the error.
        let reason = error.source().map_or_else(|| error.to_string(), |reason| reason.to_string());
        format!("{}: {reason}", path.display())
    })
}
