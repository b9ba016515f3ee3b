//! `{s,d,c,z}gemm` in every spelling that programs bind.
