//! Kernel drivers as a program sees them.
