//! The decision CPU or NPU: a pure function of the shape, the policy and a cost profile.

use crate::config::Offload;
use crate::profile::{Product, Profile, Recipe};
use std::fmt;

/// Where a call runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// The CPU computes it.
    Cpu(Reason),
    /// The NPU is asked; it may still decline.
    Npu(Reason),
    /// The CPU computes it as the NPU would: for reproducible bits.
    Host(Reason),
}

/// Why a call ran where it ran. Prints as one word, for the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// `NPUBLAS_OFFLOAD=never`.
    Never,
    /// `NPUBLAS_OFFLOAD=always`.
    Always,
    /// The cost model expects the NPU to be faster.
    Faster,
    /// The cost model expects the CPU to be faster.
    Small,
    /// No usable device.
    NoDevice,
    /// All contexts of the device are taken by other calls, or other processes keep it busy.
    Busy,
    /// The device failed too often in this process.
    Retired,
    /// An operand, α or β is infinite or NaN.
    NonFinite,
    /// Products of the operands may overflow or be subnormal in double precision.
    Range,
    /// No scheme of the ladder proves the error bound for these data.
    Guard,
    /// The inner dimension exceeds what the schemes can sum exactly.
    Depth,
    /// Too little memory for the work of the host.
    Memory,
    /// The process is about to end.
    Exit,
    /// Buffers could not be had, or a call of the driver failed.
    Device(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Never => "never",
            Reason::Always => "always",
            Reason::Faster => "faster",
            Reason::Small => "small",
            Reason::NoDevice => "no-device",
            Reason::Busy => "busy",
            Reason::Retired => "retired",
            Reason::NonFinite => "non-finite",
            Reason::Range => "range",
            Reason::Guard => "guard",
            Reason::Depth => "depth",
            Reason::Memory => "memory",
            Reason::Exit => "exit",
            Reason::Device(what) => return write!(f, "device:{what}"),
        })
    }
}

/// Nothing with a shorter side ever pays on the NPU, and on the CPU the integers of the NPU do not.
const LEAST: usize = 32;

/// The longest side of products that [`choose`] leaves to the CPU whatever type they have, unless all
/// are sent away or they are to be reproducible.
pub fn longest_on_cpu(profile: &Profile) -> usize {
    let may_pay = |&side: &usize| {
        may_pay(&Product { shape: (side, side, side), bytes: size_of::<f64>(), parts: 2 }, profile)
    };
    (LEAST..).find(may_pay).map_or(LEAST, |side| side - 1)
}

/// Decides for a product. `recipe` says what the NPU would do, and is asked only when it matters.
///
/// A `reproducible` product runs in integers, or does not, by its shape alone; policy and profile
/// then only say who computes them.
#[inline(always)]
pub fn choose(
    product: &Product,
    recipe: impl FnOnce() -> Recipe,
    offload: Offload,
    reproducible: bool,
    profile: &Profile,
) -> Route {
    let (m, n, k) = product.shape;
    let is_small = m < LEAST || n < LEAST || k < LEAST;
    let on_cpu = if reproducible && !is_small { Route::Host } else { Route::Cpu };
    match offload {
        Offload::Auto if is_small => Route::Cpu(Reason::Small),
        Offload::Never => on_cpu(Reason::Never),
        Offload::Always if reproducible && is_small => Route::Cpu(Reason::Small),
        Offload::Always => Route::Npu(Reason::Always),
        Offload::Auto => {
            if may_pay(product, profile) && pays(*product, &recipe(), profile) {
                Route::Npu(Reason::Faster)
            } else {
                on_cpu(Reason::Small)
            }
        }
    }
}

/// Whether the CPU takes long enough for the NPU to be any faster: as long as one submit.
#[inline]
fn may_pay(product: &Product, profile: &Profile) -> bool {
    profile.margin * profile.cpu_seconds(product) > profile.submit
}

/// Whether the cost model expects the NPU to be faster.
#[inline(never)]
fn pays(product: Product, recipe: &Recipe, profile: &Profile) -> bool {
    profile.npu_seconds(&product, recipe) < profile.margin * profile.cpu_seconds(&product)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 slices and 8 products, 7 slices and 28.
    const SINGLE: Recipe = Recipe { planes: 3, products: 8, outputs: 4, deepest: 3, parts: 1 };
    const DOUBLE: Recipe = Recipe { planes: 7, products: 28, outputs: 7, deepest: 7, parts: 1 };

    fn auto(m: usize, n: usize, k: usize) -> Route {
        let product = Product { shape: (m, n, k), bytes: 4, parts: 1 };
        choose(&product, || SINGLE, Offload::Auto, false, &Profile::RK3588)
    }

    /// Where squares begin to go to the NPU.
    fn crossover(bytes: usize, parts: usize, recipe: Recipe) -> usize {
        let goes = |n: &usize| {
            let product = Product { shape: (*n, *n, *n), bytes, parts };
            let route = choose(&product, || recipe, Offload::Auto, false, &Profile::RK3588);
            route == Route::Npu(Reason::Faster)
        };
        (64..2048).step_by(16).find(goes).unwrap_or(usize::MAX)
    }

    #[test]
    fn large_squares_go_to_the_npu_and_small_ones_do_not() {
        assert_eq!(auto(16, 1024, 1024), Route::Cpu(Reason::Small));
        assert_eq!(auto(128, 128, 128), Route::Cpu(Reason::Small));
        assert_eq!(auto(512, 512, 512), Route::Npu(Reason::Faster));
        assert_eq!(auto(1024, 1024, 1024), Route::Npu(Reason::Faster));
    }

    #[test]
    fn the_square_crossover_is_where_the_model_puts_it() {
        // Published for 3s6p, 7s28p and their complex forms, pipelined and in series: 192 to 288,
        // 240 to 544, 128 to 192, 128 to 384. 3s8p costs a third more products than 3s6p, and the
        // margin is ours.
        let found = [(4, 1, SINGLE), (8, 1, DOUBLE), (4, 2, SINGLE), (8, 2, DOUBLE)]
            .map(|(bytes, parts, recipe)| crossover(bytes, parts, recipe));
        assert!((192..=384).contains(&found[0]), "{found:?}");
        assert!((240..=704).contains(&found[1]), "{found:?}");
        assert!((96..=256).contains(&found[2]), "{found:?}");
        assert!((128..=512).contains(&found[3]), "{found:?}");
    }

    #[test]
    fn three_products_of_residues_for_four_pay_where_products_are_what_counts() {
        // Fewer products, but more results for the host.
        let four = Recipe { planes: 15, products: 15, outputs: 15, deepest: 1, parts: 1 };
        let three = Recipe { planes: 45, products: 45, outputs: 45, deepest: 1, parts: 2 };
        let gains = |n: usize| {
            let product = Product { shape: (n, n, n), bytes: 8, parts: 2 };
            let [four, three] = [four, three].map(|it| Profile::RK3588.npu_seconds(&product, &it));
            four / three
        };
        assert!(gains(512) < 1.0 && gains(1024) > 0.75 && gains(2048) > 1.0 && gains(4096) > 1.2);
    }

    #[test]
    fn the_policy_overrules_the_model() {
        let product = Product { shape: (8, 8, 8), bytes: 4, parts: 1 };
        let of = |offload| choose(&product, || SINGLE, offload, false, &Profile::RK3588);
        assert_eq!(of(Offload::Always), Route::Npu(Reason::Always));
        assert_eq!(of(Offload::Never), Route::Cpu(Reason::Never));
        assert_eq!(of(Offload::Auto), Route::Cpu(Reason::Small));
    }

    #[test]
    fn what_is_reproducible_runs_in_integers_by_its_shape() {
        let of = |side, offload| {
            let product = Product { shape: (side, 1024, 1024), bytes: 4, parts: 1 };
            choose(&product, || SINGLE, offload, true, &Profile::RK3588)
        };
        for offload in [Offload::Auto, Offload::Always, Offload::Never] {
            assert!(matches!(of(31, offload), Route::Cpu(_)));
            assert!(!matches!(of(32, offload), Route::Cpu(_)));
        }
        assert_eq!(of(1024, Offload::Never), Route::Host(Reason::Never));
        assert_eq!(of(1024, Offload::Auto), Route::Npu(Reason::Faster));
    }
}
