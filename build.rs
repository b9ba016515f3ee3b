//! Keeps the shared library in memory once it is loaded.
//!
//! After `dlclose` the threads of its pool would wake up in code that is gone, and so would the
//! handler that brings the device to rest when the process ends.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
