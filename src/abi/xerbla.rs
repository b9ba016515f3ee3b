//! Reports illegal arguments the way BLAS does: to a handler of the program's.
//!
//! A program that cares defines `xerbla_` or `cblas_xerbla` itself, so the handler is looked up
//! among the process's symbols at every error; what a linker bound to this library would never
//! be the program's. The spelling's own handler (`xerbla_64_` for `sgemm_64_`) comes before the
//! plain one. Where there is none, one line on standard error tells.
//!
//! This library never ends the process over an argument. A handler may: the one of the reference
//! BLAS stops the program, and does so here if that library is loaded too. A handler may also
//! jump out (R's does), so nothing that would have to be dropped is alive while one runs.

use crate::trace;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem;
use std::sync::atomic::{AtomicI32, Ordering};

/// A routine as error reports name it, whatever the spelling of the call.
#[derive(Debug, Clone, Copy)]
pub struct Routine {
    /// In capitals, padded with blanks to the six characters that handlers compare: `"SGEMM "`.
    pub fortran: &'static str,
    /// With its prefix: `c"cblas_sgemm"`.
    pub cblas: &'static CStr,
}

/// `xerbla_(srname, info, srname_len)`.
///
/// The number is passed in 64 bits. A handler of either integer width finds it there, because
/// both machines of this library are little-endian.
type Xerbla = unsafe extern "C" fn(*const c_char, *const i64, usize);

/// `cblas_xerbla(info, rout, form, ...)`; the number as in [`Xerbla`], in a register.
type CblasXerbla = unsafe extern "C" fn(i64, *const c_char, *const c_char, ...);

/// Reports argument number `info` of a Fortran routine to `handler` or `xerbla_`.
#[cold]
pub fn fortran(handler: &CStr, Routine { fortran: name, .. }: Routine, info: c_int) {
    let Some(found) = find(&[handler, c"xerbla_"]) else {
        let name = name.trim_end();
        return trace::say(&format!(
            " ** On entry to {name} parameter number {info:2} had an illegal value\n"
        ));
    };
    // SAFETY: a symbol of this name is a function of this signature in every BLAS and in every
    // program that replaces the handler of its BLAS.
    let xerbla = unsafe { mem::transmute::<*mut c_void, Xerbla>(found) };
    // SAFETY: name and number are valid for the duration of the call. The length is that of the
    // name and counts no NUL, because there is none.
    unsafe { xerbla(name.as_ptr().cast(), &i64::from(info), name.len()) };
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
pub fn cblas(handler: &CStr, Routine { cblas: name, .. }: Routine, illegal: Illegal) {
    let Illegal { position, info, row_major, form, value } = illegal;
    let Some(found) = find(&[handler, c"cblas_xerbla"]) else {
        let name = name.to_string_lossy();
        return trace::say(&format!("Parameter {position} to routine {name} was incorrect\n"));
    };
    // SAFETY: as for `xerbla_`.
    let xerbla = unsafe { mem::transmute::<*mut c_void, CblasXerbla>(found) };
    tell_row_major(row_major);
    // SAFETY: the strings are valid and terminated, and the form asks for no more than the one
    // `int` that is passed.
    unsafe { xerbla(info.into(), name.as_ptr(), form.as_ptr(), value) };
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
