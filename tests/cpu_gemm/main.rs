//! The CPU path, every kernel family that this machine runs, all four types: against the obvious
//! product in higher precision, and against itself to the bit.

mod fence;
mod oracle;
mod storage;

use npublas::cpu::caches;
use npublas::cpu::kernel::{self, Family};
use npublas::threads::Threads;
use npublas::{Gemm, MatMut, MatRef, c32, c64, cpu};
use oracle::{Element, assert_entry};
use proptest::prelude::*;
use std::sync::OnceLock;
use storage::{LAYOUTS, Layout, Storage};

/// Pseudo-random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }
    /// A number in [-1, 1].
    fn number<T: Element>(&mut self) -> T {
        let mut part = || self.next() as f64 / (1u64 << 30) as f64 - 1.0;
        T::new(part(), part())
    }
    /// A whole number in [-8, 8].
    fn whole<T: Element>(&mut self) -> T {
        let mut part = || (self.next() % 17) as f64 - 8.0;
        T::new(part(), part())
    }
}

/// A product with everything it needs.
#[derive(Clone)]
struct Case<T> {
    alpha: T,
    beta: T,
    conj: (bool, bool),
    a: Storage<T>,
    b: Storage<T>,
    c: Storage<T>,
}

impl<T: Element> Case<T> {
    /// Random numbers in the given layouts of A, B and C.
    fn new((m, n, k): (usize, usize, usize), layouts: [Layout; 3], seed: u64) -> Self {
        let mut random = Random(seed);
        Case {
            alpha: T::new(0.75, -0.5),
            beta: T::new(-1.25, 0.5),
            conj: (false, false),
            a: Storage::new(m, k, layouts[0], |_, _| random.number()),
            b: Storage::new(k, n, layouts[1], |_, _| random.number()),
            c: Storage::new(m, n, layouts[2], |_, _| random.number()),
        }
    }

    fn plain(shape: (usize, usize, usize), seed: u64) -> Self {
        Case::new(shape, [Layout::ColMajor(0); 3], seed)
    }

    /// C after the product.
    fn run(&self, family: &'static Family, threads: Option<&Threads>) -> Storage<T> {
        let mut c = self.c.clone();
        cpu::gemm(self.problem(&mut c), family.available().unwrap(), threads);
        c.assert_guards();
        c
    }

    fn problem<'a>(&'a self, c: &'a mut Storage<T>) -> Gemm<'a, T> {
        Gemm {
            alpha: self.alpha,
            a: self.a.view(),
            conj_a: self.conj.0,
            b: self.b.view(),
            conj_b: self.conj.1,
            beta: self.beta,
            c: c.view_mut(),
        }
    }

    /// Runs the product and holds every entry, or a few hundred of a large C, against the
    /// oracle.
    fn check(&self, family: &'static Family) {
        let new = self.run(family, None);
        let mut scratch = self.c.clone();
        let problem = self.problem(&mut scratch);
        let (m, n) = (problem.m(), problem.n());
        let mut random = Random(1);
        let check = |i, j| assert_entry(&problem, self.c.get(i, j), new.get(i, j), i, j);
        if m * n <= 600 {
            (0..n).for_each(|j| (0..m).for_each(|i| check(i, j)));
        } else {
            for _ in 0..400 {
                check(random.next() as usize % m, random.next() as usize % n);
            }
            check(m - 1, n - 1);
            check(0, n - 1);
            check(m - 1, 0);
        }
    }
}

fn assert_same<T: Element>(x: &Storage<T>, y: &Storage<T>, m: usize, n: usize, what: &str) {
    for j in 0..n {
        for i in 0..m {
            let (x, y) = (x.get(i, j), y.get(i, j));
            assert_eq!(x.bits(), y.bits(), "entry ({i}, {j}): {x:?} and {y:?}: {what}");
        }
    }
}

/// Every family that this CPU runs; says which it does not.
fn families() -> impl Iterator<Item = &'static Family> {
    kernel::families().filter(|family| {
        if !family.is_available() {
            eprintln!("SKIPPED: this CPU does not run the {} kernels", family.name());
            let forbidden = std::env::var_os("NPUBLAS_FORBID_SKIP").is_some();
            assert!(!forbidden, "a skip, and NPUBLAS_FORBID_SKIP is set");
        }
        family.is_available()
    })
}

/// One test per element type for each generic function.
macro_rules! for_all_types {
    ($($test:ident)*) => {$(
        mod $test {
            use super::*;
            #[test]
            fn s() { families().for_each(super::$test::<f32>); }
            #[test]
            fn d() { families().for_each(super::$test::<f64>); }
            #[test]
            fn c() { families().for_each(super::$test::<c32>); }
            #[test]
            fn z() { families().for_each(super::$test::<c64>); }
        }
    )*};
}

for_all_types! {
    every_tiny_shape_is_right
    shapes_round_the_block_sizes_are_right
    every_layout_is_right_and_gives_the_same_bits
    tiny_products_of_every_layout_have_the_same_bits
    few_lines_of_every_layout_are_right
    long_streams_are_right
    long_dot_products_are_right
    zero_strides_are_right
    whole_numbers_are_exact
    threads_do_not_show
    beta_zero_does_not_read_c
    empty_shapes
    conjugation_is_that_of_the_data
    nothing_is_skipped_and_nothing_spreads
    memory_outside_the_matrices_is_not_touched
}

fn every_tiny_shape_is_right<T: Element>(family: &'static Family) {
    let (mr, nr) = T::of(family).tile();
    for m in (0..=mr + 2).chain([2 * mr - 1, 2 * mr, 2 * mr + 1]) {
        for n in (0..=nr + 1).chain([2 * nr + 1]) {
            for k in [0, 1, 2, 3, 8] {
                Case::<T>::plain((m, n, k), 1).check(family);
            }
        }
    }
}

fn shapes_round_the_block_sizes_are_right<T: Element>(family: &'static Family) {
    let (mr, nr) = T::of(family).tile();
    let kc = T::of(family).blocking().kc;
    let sizes = T::of(family).sizes(kc, caches::here().core(), 1);
    for d in [-1, 0, 1] {
        let near = |size: usize| size.strict_add_signed(d);
        for shape in [
            (near(sizes.mc), near(9 * nr), near(kc)),
            (near(5 * mr), near(8 * nr), near(2 * kc)),
            (near(2 * sizes.mc), near(7 * nr), near(129)),
            (near(4 * mr), near(sizes.nc), near(40)),
            // One line of C, and hardly more, whatever the size of the others.
            (1, near(300), near(600)),
            (near(300), 2, near(600)),
        ] {
            Case::<T>::plain(shape, 2).check(family);
        }
    }
}

fn every_layout_is_right_and_gives_the_same_bits<T: Element>(family: &'static Family) {
    for shape in [(19, 11, 7), (67, 71, 300)] {
        let plain = Case::<T>::plain(shape, 3);
        plain.check(family);
        let expected = plain.run(family, None);
        for a in LAYOUTS {
            for b in LAYOUTS {
                for c in LAYOUTS {
                    let layouts = [a, b, c];
                    // All triples of the small shape; of the other those where two agree.
                    if shape.0 < 20 || a == b || b == c {
                        let result = Case::<T>::new(shape, layouts, 3).run(family, None);
                        let what = format!("{layouts:?}");
                        assert_same(&result, &expected, shape.0, shape.1, &what);
                    }
                }
            }
        }
    }
}

/// Sizes round those of vectors, and sums up to the longest that is never cut into dot products.
fn tiny_products_of_every_layout_have_the_same_bits<T: Element>(family: &'static Family) {
    const SIZES: [usize; 10] = [1, 2, 3, 5, 8, 9, 12, 15, 16, 17];
    let factors = [(1.0, 0.0), (1.0, 1.0), (0.75, 0.0), (0.75, -1.25)];
    let layouts = [Layout::ColMajor(0), Layout::RowMajor(0), Layout::RowMajor(5)];
    for (m, n) in SIZES.iter().flat_map(|&m| SIZES.map(|n| (m, n))) {
        for (k, (alpha, beta)) in [1, 3, 8, 16, 17, 32].iter().zip(factors.iter().cycle()) {
            let case = |layouts| {
                let mut case = Case::<T>::new((m, n, *k), layouts, 12);
                (case.alpha, case.beta) = (T::new(*alpha, 0.0), T::new(*beta, 0.0));
                if *beta == 0.0 {
                    case.c = Storage::new(m, n, layouts[2], |_, _| T::new(f64::NAN, f64::NAN));
                }
                case
            };
            let plain = case([Layout::ColMajor(0); 3]);
            plain.check(family);
            let expected = plain.run(family, None);
            for (a, b) in layouts.iter().flat_map(|&a| layouts.map(|b| (a, b))) {
                for c in [Layout::ColMajor(1), Layout::RowMajor(2)] {
                    let result = case([a, b, c]).run(family, None);
                    assert_same(
                        &result,
                        &expected,
                        m,
                        n,
                        &format!("{m}, {n}, {k}, {a:?}, {b:?}, {c:?}"),
                    );
                }
            }
        }
    }
}

/// Few rows or columns of C, and sums that are short, or long enough for dot products and streams.
fn few_lines_of_every_layout_are_right<T: Element>(family: &'static Family) {
    for (m, n, k) in [(1, 1, 100), (1, 7, 40), (6, 1, 33), (3, 2, 65), (4, 9, 31), (130, 3, 70)] {
        for a in LAYOUTS {
            for b in LAYOUTS {
                for conj in [(false, false), (true, false), (false, true), (true, true)] {
                    let mut case = Case::<T>::new((m, n, k), [a, b, Layout::RowMajor(1)], 4);
                    case.conj = conj;
                    case.check(family);
                }
            }
        }
    }
    for (m, n, k) in [(1000, 2, 300), (700, 9, 3100), (1, 1, 5000)] {
        for layouts in [[Layout::ColMajor(0); 3], [Layout::RowMajor(0); 3]] {
            Case::<T>::new((m, n, k), layouts, 4).check(family);
        }
    }
}

/// Large matrices that are read in place, with every number of columns that kernels differ by.
fn long_streams_are_right<T: Element>(family: &'static Family) {
    for n in (1..=17).chain([31, 32, 33]) {
        let (m, k) = (701, 300);
        for layouts in [[Layout::ColMajor(0); 3], [Layout::RowMajor(0); 3]] {
            Case::<T>::new((m, n, k), layouts, 5).check(family);
            Case::<T>::new((n, m, k), layouts, 5).check(family);
        }
    }
    // In streams of a few columns.
    for n in [1, 2, 4] {
        let layouts = [Layout::ColMajor(3), Layout::ColMajor(0), Layout::ColMajor(1)];
        Case::<T>::new((2100, n, 1030), layouts, 6).check(family);
    }
}

/// Rows of a large matrix times every number of columns that kernels differ by, contiguous or not, and
/// sums of several steps.
fn long_dot_products_are_right<T: Element>(family: &'static Family) {
    let (row_major, col_major) = (Layout::RowMajor(0), Layout::ColMajor(1));
    for n in [5, 6, 7, 8, 9, 17, 32, 33] {
        let (m, k) = (263, 517);
        let mut case = Case::<T>::new((m, n, k), [row_major, col_major, row_major], 7);
        case.check(family);
        case.conj = (n % 2 == 0, n % 3 == 0);
        case.check(family);
        Case::<T>::new((n, m, k), [row_major, col_major, col_major], 7).check(family);
    }
    for (m, n, k) in [(260, 7, 2100), (7, 260, 2100), (5, 3, 40_000), (61, 1, 9000)] {
        for b in [row_major, col_major] {
            Case::<T>::new((m, n, k), [row_major, b, row_major], 8).check(family);
        }
    }
}

fn zero_strides_are_right<T: Element>(family: &'static Family) {
    let data: Vec<T> = (0..400).map(|i| T::new(i as f64 / 400.0, 0.5)).collect();
    for (m, n, k) in [(5, 3, 4), (70, 66, 65)] {
        for (rs, cs) in [(0, 0), (0, 1), (1, 0)] {
            let mut c = Storage::new(m, n, Layout::ColMajor(1), |_, _| T::ZERO);
            let old = c.clone();
            // SAFETY: with one stride 0 and the other at most 1, no index exceeds 70.
            let (a, b) = unsafe {
                (MatRef::new(data.as_ptr(), m, k, rs, cs), MatRef::new(data.as_ptr(), k, n, cs, rs))
            };
            let mut problem = Gemm {
                alpha: T::ONE,
                a,
                conj_a: false,
                b,
                conj_b: true,
                beta: T::ONE,
                c: c.view_mut(),
            };
            cpu::gemm(problem.part(0, 0, m, n), family.available().unwrap(), None);
            for j in 0..n {
                for i in 0..m {
                    // SAFETY: (i, j) lies inside C.
                    let new = unsafe { problem.c.at(i, j).read() };
                    assert_entry(&problem, old.get(i, j), new, i, j);
                }
            }
        }
    }
}

fn whole_numbers_are_exact<T: Element>(family: &'static Family) {
    for (m, n, k) in [(3, 4, 5), (33, 17, 64), (130, 70, 520)] {
        let mut random = Random(4);
        let mut case = Case::<T>::plain((m, n, k), 0);
        case.a = Storage::new(m, k, Layout::ColMajor(0), |_, _| random.whole());
        case.b = Storage::new(k, n, Layout::RowMajor(2), |_, _| random.whole());
        case.c = Storage::new(m, n, Layout::ColMajor(1), |_, _| random.whole());
        (case.alpha, case.beta) = (T::new(-2.0, 1.0), T::new(3.0, -1.0));
        let new = case.run(family, None);
        for j in 0..n {
            for i in 0..m {
                let mut sum = T::ZERO;
                for l in 0..k {
                    sum += case.a.get(i, l) * case.b.get(l, j);
                }
                let expected = case.alpha * sum + case.beta * case.c.get(i, j);
                assert_eq!(new.get(i, j), expected, "entry ({i}, {j}) of {m}×{n}×{k}");
            }
        }
    }
}

fn threads_do_not_show<T: Element>(family: &'static Family) {
    static POOLS: OnceLock<Vec<Threads>> = OnceLock::new();
    let pools = POOLS.get_or_init(|| [1, 2, 3, 5].map(Threads::new).into());
    for shape in [
        (200, 170, 300),
        // On one thread both operands are packed, on several none.
        (700, 70, 128),
        (480, 130, 500),
        // More rows, or columns, than are packed at a time, and several steps of the sum.
        (3000, 24, 420),
        (24, 3000, 420),
        // A small C: the steps of the sum are shared out.
        (20, 18, 9000),
        (8, 5, 9000),
        (1000, 7, 400),
        (5000, 2, 64),
        (400, 1, 4000),
        // Dot products of several columns at a time, and in steps that are shared out.
        (70, 6, 9500),
        (900, 20, 600),
        (1500, 4, 350),
        (3000, 3, 900),
        (900, 17, 300),
        (9, 2000, 150),
        (64, 64, 1000),
        (30, 30, 30),
    ] {
        for layouts in [[Layout::ColMajor(0); 3], [Layout::RowMajor(1); 3]] {
            let mut case = Case::<T>::new(shape, layouts, 5);
            for (conj, factors) in
                [((false, true), (case.alpha, case.beta)), ((true, false), (T::ONE, T::ZERO))]
            {
                (case.conj, (case.alpha, case.beta)) = (conj, factors);
                let alone = case.run(family, None);
                for pool in pools {
                    let what = format!("{} threads, {shape:?}", pool.count());
                    assert_same(&case.run(family, Some(pool)), &alone, shape.0, shape.1, &what);
                }
            }
        }
    }
}

fn beta_zero_does_not_read_c<T: Element>(family: &'static Family) {
    for shape in [(1, 1, 1), (19, 7, 5), (16, 6, 3), (70, 80, 90), (65, 66, 0)] {
        for layout in [Layout::ColMajor(1), Layout::RowMajor(0), Layout::Scattered] {
            let mut case = Case::<T>::new(shape, [Layout::ColMajor(0), layout, layout], 6);
            case.beta = T::ZERO;
            case.c = Storage::new(shape.0, shape.1, layout, |_, _| T::new(f64::NAN, f64::NAN));
            case.check(family);
        }
    }
}

fn empty_shapes<T: Element>(family: &'static Family) {
    for shape in [(0, 5, 5), (5, 0, 5), (0, 0, 0), (0, 100, 1000)] {
        Case::<T>::plain(shape, 7).run(family, None);
    }
    // An empty sum leaves β·C, in both ways through the path.
    for shape in [(5, 5, 0), (100, 100, 0)] {
        Case::<T>::plain(shape, 7).check(family);
    }
}

fn conjugation_is_that_of_the_data<T: Element>(family: &'static Family) {
    for shape @ (m, n, k) in [(9, 5, 7), (70, 80, 90)] {
        for conj in [(true, false), (false, true), (true, true)] {
            let plain = Case::<T>::plain(shape, 8);
            let flagged = Case { conj, ..plain.clone() };
            flagged.check(family);
            let mut explicit = plain;
            if conj.0 {
                explicit.a =
                    Storage::new(m, k, Layout::RowMajor(0), |i, l| flagged.a.get(i, l).conj());
            }
            if conj.1 {
                explicit.b =
                    Storage::new(k, n, Layout::RowMajor(0), |l, j| flagged.b.get(l, j).conj());
            }
            let (x, y) = (flagged.run(family, None), explicit.run(family, None));
            assert_same(&x, &y, m, n, "flag and data");
        }
    }
}

/// Infinities meet every factor of their line, zeros included, and nothing else: not the entries
/// of other lines, and not the zeros that fill up the last panel.
fn nothing_is_skipped_and_nothing_spreads<T: Element>(family: &'static Family) {
    for shape @ (m, n, k) in [(5, 5, 3), (17, 7, 9), (67, 73, 257)] {
        let mut case = Case::<T>::plain(shape, 9);
        (case.alpha, case.beta) = (T::ONE, T::ONE);
        let (row, col, l) = (m - 1, n - 1, k - 1);
        case.a.set(row, l, T::new(f64::INFINITY, 0.0));
        case.b.set(0, col, T::new(f64::NAN, 0.0));
        case.b.set(l, 0, T::new(0.0, 0.0));
        let new = case.run(family, None);
        for j in 0..n {
            for i in 0..m {
                let (re, im) = new.get(i, j).re_im();
                let hit = i == row || j == col;
                assert_eq!(re.is_finite() && im.is_finite(), !hit, "entry ({i}, {j}) of {shape:?}");
            }
        }
        assert!(new.get(row, 0).re_im().0.is_nan(), "infinity times zero");
        assert!(new.get(0, col).re_im().0.is_nan(), "NaN");
        if !T::COMPLEX {
            let sign = case.b.get(l, 1).re_im().0.signum();
            assert_eq!(new.get(row, 1).re_im().0, f64::INFINITY * sign);
        }
    }
}

/// Each matrix fills its memory to the last element before a page that must not be touched.
fn memory_outside_the_matrices_is_not_touched<T: Element>(family: &'static Family) {
    for shape @ (m, n, k) in
        [(1, 1, 1), (3, 2, 5), (7, 7, 7), (17, 9, 3), (35, 31, 33), (77, 65, 66)]
    {
        let case = Case::<T>::plain(shape, 11);
        let expected = case.run(family, None);
        for ways in 0..8 {
            let [at_end, by_rows, c_by_rows] = [1, 2, 4].map(|bit| ways & bit != 0);
            let (a, b, c) =
                (case.a.packed(by_rows), case.b.packed(by_rows), case.c.packed(c_by_rows));
            let fenced = [&a, &b, &c].map(|data| fence::Fenced::new(size_of_val(&data[..])));
            let [a, b, c] = [(&fenced[0], &a), (&fenced[1], &b), (&fenced[2], &c)]
                .map(|(fenced, data)| fenced.copy_of(data, at_end));
            let strides = |rows, cols, by_rows| {
                if by_rows { (cols as isize, 1) } else { (1, rows as isize) }
            };
            let ((a_rs, a_cs), (b_rs, b_cs), (c_rs, c_cs)) =
                (strides(m, k, by_rows), strides(k, n, by_rows), strides(m, n, c_by_rows));
            // SAFETY: the copies live as long as `fenced`, and nobody else knows them.
            let c = unsafe {
                let problem = Gemm {
                    alpha: case.alpha,
                    a: MatRef::new(a, m, k, a_rs, a_cs),
                    conj_a: false,
                    b: MatRef::new(b, k, n, b_rs, b_cs),
                    conj_b: false,
                    beta: case.beta,
                    c: MatMut::new(c, m, n, c_rs, c_cs),
                };
                cpu::gemm(problem, family.available().unwrap(), None);
                MatRef::new(c, m, n, c_rs, c_cs)
            };
            // SAFETY: (i, j) lies inside C.
            let result = Storage::new(m, n, Layout::ColMajor(0), |i, j| unsafe { *c.at(i, j) });
            assert_same(&result, &expected, m, n, "fenced");
        }
    }
}

/// With α = β = 1 an infinity in a complex matrix stays one: 1 + 0i does not multiply.
#[test]
fn the_factor_one_makes_no_nan() {
    for family in families() {
        let infinite = c64::new(f64::INFINITY, f64::NEG_INFINITY);
        let mut case = Case::<c64>::plain((3, 3, 1), 10);
        (case.alpha, case.beta) = (c64::new(1.0, 0.0), c64::new(1.0, 0.0));
        case.c.set(1, 1, infinite);
        case.a.set(2, 0, c64::new(f64::INFINITY, 1.0));
        case.b = Storage::new(1, 3, Layout::ColMajor(0), |_, _| c64::new(1.0, 1.0));
        let new = case.run(family, None);
        assert_eq!(new.get(1, 1), infinite);
        assert_eq!(new.get(2, 0), c64::new(f64::INFINITY, f64::INFINITY));
    }
}

/// Who takes part of a tile does not show: AVX-512 has the same bits on all units.
#[cfg(target_arch = "x86_64")]
#[test]
fn units_of_any_width_have_the_same_bits() {
    fn check<T: Element>(families: &[&'static Family]) {
        for (m, n, k) in [(9, 9, 9), (17, 40, 5), (33, 65, 70), (100, 97, 101), (250, 480, 300)] {
            let case = Case::<T>::plain((m, n, k), 17);
            let results: Vec<_> = families.iter().map(|family| case.run(family, None)).collect();
            results.iter().for_each(|x| assert_same(x, &results[0], m, n, "units"));
        }
    }
    let families: Vec<_> =
        families().filter(|family| family.name().starts_with("avx512")).collect();
    check::<f32>(&families);
    check::<f64>(&families);
    check::<c32>(&families);
    check::<c64>(&families);
}

/// The name of a family limits the choice; an unknown one does not.
#[test]
fn a_limit_only_lowers() {
    let best = kernel::chosen(None).get().name();
    let last = *kernel::NAMES.last().unwrap();
    assert_eq!(kernel::chosen(Some(best)).get().name(), best);
    assert_eq!(kernel::chosen(Some(last)).get().name(), last);
    assert_eq!(kernel::chosen(Some(kernel::NAMES[0])).get().name(), best);
    assert_eq!(kernel::chosen(Some("abacus")).get().name(), best);
    assert!(kernel::families().map(Family::name).eq(kernel::NAMES.iter().copied()));
}

fn layout() -> impl Strategy<Value = Layout> {
    proptest::sample::select(LAYOUTS.to_vec())
}

/// A size: mostly small, sometimes beyond the blocks.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1usize..40, 2 => 40usize..130, 1 => 130usize..400]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_product_is_right(
        shape in (size(), size(), size()),
        layouts in [layout(), layout(), layout()],
        conj in any::<(bool, bool)>(),
        factors in (0usize..4, 0usize..4),
        seed in any::<u64>(),
    ) {
        fn check<T: Element>(
            shape: (usize, usize, usize),
            layouts: [Layout; 3],
            conj: (bool, bool),
            factors: (usize, usize),
            seed: u64,
        ) {
            let choices = [T::ZERO, T::ONE, T::new(-1.0, 0.0), T::new(0.3, 0.7)];
            let mut case = Case::<T>::new(shape, layouts, seed);
            (case.alpha, case.beta, case.conj) = (choices[factors.0], choices[factors.1], conj);
            for family in kernel::families().filter(|family| family.is_available()) {
                case.check(family);
            }
        }
        check::<f32>(shape, layouts, conj, factors, seed);
        check::<f64>(shape, layouts, conj, factors, seed);
        check::<c32>(shape, layouts, conj, factors, seed);
        check::<c64>(shape, layouts, conj, factors, seed);
    }
}
