//! Gives the shared library the SONAME under which programs look for a BLAS.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libblas.so.3");
}
