//! Gives the shared library the SONAME under which programs look for a BLAS, and keeps it in
//! memory once it is loaded: after `dlclose` the threads of its pool would wake up in code that
//! is gone.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libblas.so.3");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
