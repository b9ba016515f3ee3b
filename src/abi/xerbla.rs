//! Reports illegal arguments the way BLAS does: to a handler of the program's.
//!
//! A program that cares defines `xerbla_` or `cblas_xerbla` itself, so the handler is looked up
//! among the process's symbols at every error; what a linker bound to this library would never
//! be the program's. The spelling's own handler (`xerbla_64_` for `sgemm_64_`) comes before the
//! plain one. Where there is none, one line on standard error tells.
//!
//! This library never ends the process over an argument. A handler may: the one of the reference
//! BLAS stops the program, and does so here if that library is loaded too.

use crate::trace;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem;
use std::sync::atomic::{AtomicI32, Ordering};

/// A routine as error messages name it: type letter and name without it, such as `('s', "gemm")`.
pub type Routine = (char, &'static str);

/// `xerbla_(srname, info, srname_len)`.
///
/// The number is passed in 64 bits. A handler of either integer width finds it there, because
/// both machines of this library are little-endian.
type Xerbla = unsafe extern "C" fn(*const c_char, *const i64, usize);

/// `cblas_xerbla(info, rout, form, ...)`; the number as in [`Xerbla`], in a register.
type CblasXerbla = unsafe extern "C" fn(i64, *const c_char, *const c_char, ...);

/// Reports argument number `info` of a Fortran routine to `handler` or `xerbla_`.
#[cold]
pub fn fortran(handler: &CStr, (letter, name): Routine, info: c_int) {
    // Blank-padded to the six characters of the language's old names, and without a NUL:
    // handlers compare them all.
    let srname = format!("{letter}{name:<5}").to_uppercase();
    match find(&[handler, c"xerbla_"]) {
        Some(found) => {
            // SAFETY: a symbol of this name is a function of this signature in every BLAS and
            // in every program that replaces the handler of its BLAS.
            let xerbla = unsafe { mem::transmute::<*mut c_void, Xerbla>(found) };
            // SAFETY: name, number and length are valid for the duration of the call.
            unsafe { xerbla(srname.as_ptr().cast(), &i64::from(info), srname.len()) };
        }
        None => trace::say(&format!(
            " ** On entry to {} parameter number {info:2} had an illegal value\n",
            srname.trim_end()
        )),
    }
}

/// An illegal argument of a CBLAS routine.
#[derive(Debug, Clone, Copy)]
pub struct Illegal {
    /// Its position among the C arguments, the first being 1.
    pub position: c_int,
    /// The number that handlers expect. For a size, that of the Fortran argument plus one. In
    /// row-major calls the operands of the Fortran call are exchanged, and handlers know.
    pub info: c_int,
    /// Whether the call was row-major. Handlers ask the variable `RowMajorStrg`.
    pub row_major: bool,
    /// What the handler may print after its own line: a `printf` format with at most one `%d`.
    pub form: &'static CStr,
    /// The value for that `%d`.
    pub value: c_int,
}

/// Reports an illegal argument of a CBLAS routine to `handler` or `cblas_xerbla`.
#[cold]
pub fn cblas(handler: &CStr, (letter, name): Routine, illegal: Illegal) {
    let rout = format!("cblas_{letter}{name}");
    let Some(found) = find(&[handler, c"cblas_xerbla"]) else {
        let position = illegal.position;
        trace::say(&format!("Parameter {position} to routine {rout} was incorrect\n"));
        return;
    };
    // Names of routines have no NUL inside.
    let rout = CString::new(rout).unwrap_or_default();
    // SAFETY: as for `xerbla_`.
    let xerbla = unsafe { mem::transmute::<*mut c_void, CblasXerbla>(found) };
    tell_row_major(illegal.row_major);
    // SAFETY: the strings are valid and terminated, and the form asks for no more than the one
    // `int` that is passed.
    unsafe {
        xerbla(illegal.info.into(), rout.as_ptr(), illegal.form.as_ptr(), illegal.value);
    }
    tell_row_major(false);
}

/// Sets the reference's variable `RowMajorStrg` where the program has one.
fn tell_row_major(row_major: bool) {
    if let Some(found) = find(&[c"RowMajorStrg"]) {
        // SAFETY: a symbol of this name is an `int` that lives as long as the process; an atomic
        // store keeps two threads that err at once from racing here.
        unsafe { AtomicI32::from_ptr(found.cast()) }.store(row_major.into(), Ordering::Relaxed);
    }
}

/// The address of the first of these symbols that some loaded object defines.
fn find(names: &[&CStr]) -> Option<*mut c_void> {
    names
        .iter()
        // SAFETY: the name is terminated, and looking up a symbol runs no code of others.
        .map(|name| unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
        .find(|found| !found.is_null())
}
