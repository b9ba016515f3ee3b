//! A BLAS that runs on an NPU.
