//! Decodes what a caller passed for layout and transposition, and names illegal arguments.

use std::ffi::{c_char, c_int};

/// How a CBLAS caller stores its matrices. Fortran callers store them by columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `CblasRowMajor`: the elements of a row lie side by side.
    RowMajor,
    /// `CblasColMajor`: the elements of a column lie side by side.
    ColMajor,
}

impl Layout {
    /// Decodes a `CBLAS_LAYOUT`, which arrives as an `int` of any value.
    #[inline]
    pub fn from_enum(value: c_int) -> Option<Layout> {
        match value {
            101 => Some(Layout::RowMajor),
            102 => Some(Layout::ColMajor),
            _ => None,
        }
    }
}

/// What is done to an operand before it is multiplied: op(A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// Whether rows and columns are exchanged.
    pub transpose: bool,
    /// Whether every element stands for its complex conjugate.
    pub conjugate: bool,
}

impl Op {
    /// The operand as it is.
    pub const NONE: Op = Op { transpose: false, conjugate: false };
    /// The transpose.
    pub const TRANS: Op = Op { transpose: true, conjugate: false };
    /// The conjugate transpose; for real types the transpose.
    pub const CONJ_TRANS: Op = Op { transpose: true, conjugate: true };
    /// The conjugate.
    pub const CONJ: Op = Op { transpose: false, conjugate: true };

    /// Decodes a Fortran `TRANS` character: `N`, `T` or `C`, in either case, and nothing else.
    #[inline]
    pub fn from_char(value: c_char) -> Option<Op> {
        // Signed or not as the CPU has it.
        match value.to_ne_bytes() {
            [b'N' | b'n'] => Some(Op::NONE),
            [b'T' | b't'] => Some(Op::TRANS),
            [b'C' | b'c'] => Some(Op::CONJ_TRANS),
            _ => None,
        }
    }

    /// Decodes a `CBLAS_TRANSPOSE`, which arrives as an `int` of any value.
    ///
    /// `CblasConjNoTrans` is an extension of OpenBLAS. It is taken, because the reference gives
    /// 114 no other meaning and programs built for OpenBLAS would lose a feature.
    #[inline]
    pub fn from_enum(value: c_int) -> Option<Op> {
        match value {
            111 => Some(Op::NONE),
            112 => Some(Op::TRANS),
            113 => Some(Op::CONJ_TRANS),
            114 => Some(Op::CONJ),
            _ => None,
        }
    }
}

/// The first argument that is illegal: `rules` lists positions and whether each is violated, in
/// the order in which the reference looks at them.
#[inline]
pub fn first_illegal<const N: usize>(rules: [(c_int, bool); N]) -> Option<c_int> {
    rules.into_iter().find(|&(_, violated)| violated).map(|(position, _)| position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_decodes_as_in_the_reference() {
        for byte in 0..=u8::MAX {
            let expected = match byte.to_ascii_uppercase() {
                b'N' => Some(Op::NONE),
                b'T' => Some(Op::TRANS),
                b'C' => Some(Op::CONJ_TRANS),
                _ => None,
            };
            assert_eq!(Op::from_char(byte as c_char), expected, "byte {byte}");
        }
    }

    #[test]
    fn enums_outside_their_range_are_no_values() {
        for value in [c_int::MIN, -1, 0, 1, 78, 100, 103, 110, 115, c_int::MAX] {
            assert_eq!(Layout::from_enum(value), None, "layout {value}");
            assert_eq!(Op::from_enum(value), None, "transposition {value}");
        }
        assert_eq!(Layout::from_enum(101), Some(Layout::RowMajor));
        assert_eq!(Layout::from_enum(102), Some(Layout::ColMajor));
        assert_eq!(Op::from_enum(111), Some(Op::NONE));
        assert_eq!(Op::from_enum(112), Some(Op::TRANS));
        assert_eq!(Op::from_enum(113), Some(Op::CONJ_TRANS));
        assert_eq!(Op::from_enum(114), Some(Op::CONJ));
    }

    #[test]
    fn the_first_violation_counts() {
        assert_eq!(first_illegal([(3, false), (4, false)]), None);
        assert_eq!(first_illegal([(3, false), (4, true), (5, true)]), Some(4));
    }
}
