//! Turns what a caller passed into what a routine means.
