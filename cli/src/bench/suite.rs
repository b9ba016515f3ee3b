//! The shapes that are measured, as data.
//!
//! All products are `C ← α·op(A)·op(B) + β·C` of row-major matrices, C of m × n, sums of length
//! k. What columns do to rows they do in the mirror, so column-major calls would add nothing.

/// Shapes of one kind, whose ratios are averaged together.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// What is done to A and to B: `N` nothing, `T` transposition.
    pub ops: &'static str,
    /// m, n and k.
    pub shapes: &'static [(usize, usize, usize)],
    /// How the matrices lie and what is asked of them.
    pub form: Form,
}

/// What the shapes of a group have in common.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Leading dimensions are rounded up to a multiple of this many bytes.
    pub line: usize,
    /// Products of different matrices, one after another, that count as one.
    pub count: usize,
    /// α and β.
    pub factors: (f64, f64),
}

/// Dense matrices, one product, `C ← A·B`.
const PLAIN: Form = Form { line: 1, count: 1, factors: (1.0, 0.0) };

const fn group(
    name: &'static str,
    ops: &'static str,
    shapes: &'static [(usize, usize, usize)],
) -> Group {
    Group { name, ops, shapes, form: PLAIN }
}

/// One product that a library is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its group.
    pub group: &'static Group,
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// Length of the sums.
    pub k: usize,
}

/// Every shape, group by group.
pub fn shapes() -> impl Iterator<Item = Shape> {
    SUITE
        .iter()
        .flat_map(|group| group.shapes.iter().map(move |&(m, n, k)| Shape { group, m, n, k }))
}

const fn cube(n: usize) -> (usize, usize, usize) {
    (n, n, n)
}

/// Sizes at which transposition is tried.
const TRANSPOSED: &[(usize, usize, usize)] = &[
    cube(4),
    cube(5),
    cube(8),
    cube(12),
    cube(16),
    cube(23),
    cube(31),
    cube(32),
    cube(48),
    cube(64),
    cube(100),
    cube(129),
    cube(256),
    cube(512),
    cube(1000),
];

/// A small C and long sums.
const INNER: &[(usize, usize, usize)] = &[
    (1, 1, 100_000),
    (8, 8, 10_000),
    (16, 16, 100_000),
    (32, 32, 10_000),
    (32, 32, 100_000),
    (64, 64, 10_000),
    (100, 100, 10_000),
];

/// What a blocked factorisation subtracts from the rest of the matrix.
const PANEL: &[(usize, usize, usize)] = &[
    (1000, 32, 32),
    (1000, 64, 64),
    (2000, 128, 64),
    (500, 500, 32),
    (1000, 1000, 64),
    (1984, 1984, 64),
    (1500, 1500, 128),
    (64, 1000, 64),
];

/// The groups.
pub const SUITE: &[Group] = &[
    group(
        "tiny",
        "NN",
        &[
            cube(1),
            cube(2),
            cube(3),
            cube(4),
            cube(6),
            cube(8),
            cube(10),
            cube(12),
            cube(14),
            cube(16),
        ],
    ),
    group(
        "small",
        "NN",
        &[
            cube(20),
            cube(24),
            cube(32),
            cube(40),
            cube(48),
            cube(64),
            cube(80),
            cube(96),
            cube(100),
        ],
    ),
    group(
        "medium",
        "NN",
        &[
            cube(128),
            cube(160),
            cube(192),
            cube(256),
            cube(320),
            cube(384),
            cube(400),
            cube(512),
            cube(640),
            cube(768),
        ],
    ),
    group(
        "large",
        "NN",
        &[cube(1000), cube(1024), cube(1536), cube(2000), cube(2048), cube(3000), cube(4096)],
    ),
    group(
        "odd",
        "NN",
        &[
            cube(5),
            cube(7),
            cube(9),
            cube(13),
            cube(17),
            cube(23),
            cube(31),
            cube(33),
            cube(63),
            cube(65),
            cube(97),
            cube(127),
            cube(129),
            cube(191),
            cube(257),
            cube(511),
            cube(777),
            cube(1025),
        ],
    ),
    group("trans-nt", "NT", TRANSPOSED),
    group("trans-tn", "TN", TRANSPOSED),
    group("trans-tt", "TT", TRANSPOSED),
    Group {
        form: Form { factors: (0.5, -1.0), ..PLAIN },
        ..group(
            "scaled",
            "NN",
            &[cube(1), cube(2), cube(4), cube(5), cube(8), cube(11), cube(16), cube(64), cube(256)],
        )
    },
    group(
        "skinny-m",
        "NN",
        &[
            (1, 1024, 1024),
            (1, 3072, 768),
            (1, 4096, 4096),
            (2, 1024, 1024),
            (2, 4096, 4096),
            (4, 1024, 1024),
            (4, 4096, 4096),
            (8, 1024, 1024),
            (8, 4096, 4096),
            (16, 1024, 1024),
            (16, 4096, 4096),
            (32, 1024, 1024),
            (32, 4096, 4096),
        ],
    ),
    group(
        "skinny-n",
        "NN",
        &[
            (64, 1, 64),
            (200, 1, 200),
            (200, 4, 200),
            (1024, 1, 1024),
            (768, 1, 3072),
            (4096, 1, 4096),
            (1024, 2, 1024),
            (1024, 4, 1024),
            (4096, 4, 4096),
            (1024, 8, 1024),
            (4096, 8, 4096),
            (1024, 16, 1024),
            (4096, 16, 4096),
            (1024, 32, 1024),
        ],
    ),
    group(
        "skinny-nt",
        "NT",
        &[
            (1, 200, 200),
            (4, 200, 200),
            (1, 1024, 1024),
            (1, 768, 3072),
            (1, 4096, 4096),
            (2, 1024, 1024),
            (4, 1024, 1024),
            (4, 4096, 4096),
            (8, 1024, 1024),
            (8, 4096, 4096),
            (16, 1024, 1024),
            (16, 4096, 4096),
            (32, 1024, 1024),
        ],
    ),
    group(
        "rank-k",
        "NN",
        &[
            (512, 512, 8),
            (512, 512, 32),
            (1024, 1024, 4),
            (1024, 1024, 8),
            (1024, 1024, 16),
            (1024, 1024, 32),
            (1024, 1024, 64),
            (1024, 1024, 128),
            (4096, 4096, 8),
            (4096, 4096, 32),
            (4096, 4096, 128),
        ],
    ),
    group("inner-nn", "NN", INNER),
    group("inner-tn", "TN", INNER),
    group(
        "llm",
        "NN",
        &[
            (1, 11008, 4096),
            (16, 11008, 4096),
            (64, 768, 3072),
            (128, 768, 768),
            (128, 3072, 768),
            (128, 4096, 4096),
            (512, 768, 3072),
            (512, 2304, 768),
        ],
    ),
    group(
        "attn-nt",
        "NT",
        &[
            (64, 64, 64),
            (128, 128, 64),
            (197, 197, 64),
            (256, 256, 64),
            (512, 512, 64),
            (512, 512, 128),
            (1024, 1024, 64),
        ],
    ),
    group(
        "attn-nn",
        "NN",
        &[
            (64, 64, 64),
            (128, 64, 128),
            (197, 64, 197),
            (256, 64, 256),
            (512, 64, 512),
            (512, 128, 512),
            (1024, 64, 1024),
        ],
    ),
    group(
        "conv",
        "NN",
        &[
            (64, 12544, 147),
            (64, 3136, 64),
            (64, 3136, 576),
            (256, 3136, 64),
            (128, 784, 1152),
            (512, 784, 128),
            (256, 196, 2304),
            (1024, 196, 256),
            (512, 49, 4608),
            (2048, 49, 512),
        ],
    ),
    group("panel-nn", "NN", PANEL),
    group("panel-tn", "TN", PANEL),
    group("panel-nt", "NT", PANEL),
    Group {
        form: Form { line: 4096, ..PLAIN },
        ..group(
            "padded",
            "NN",
            &[
                cube(16),
                cube(48),
                cube(64),
                cube(100),
                cube(128),
                cube(200),
                cube(256),
                cube(384),
                cube(500),
                cube(1000),
            ],
        )
    },
    Group {
        form: Form { count: 200, ..PLAIN },
        ..group("batch", "NN", &[cube(4), cube(8), cube(16), cube(23), cube(32), (128, 64, 128)])
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_many_shapes_and_every_group_has_its_own_name() {
        assert!(shapes().count() >= 150);
        for (i, group) in SUITE.iter().enumerate() {
            assert!(SUITE[..i].iter().all(|other| other.name != group.name), "{}", group.name);
            assert!(!group.shapes.is_empty());
            assert!(group.ops.len() == 2 && group.ops.chars().all(|op| "NT".contains(op)));
        }
    }
}
