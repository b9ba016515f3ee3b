//! Which calls the NPU computes, and that its bits depend on nothing but the data.

use crate::call::{Call, is_disturbed};
use crate::common::data::Rng;
use crate::common::device;
use crate::element::Element;
use crate::families;
use crate::reference::Errors;
use npublas::config::Offload;
use npublas::route::Reason;
use npublas::{c32, c64};
use std::process::Command;

#[test]
fn the_configuration_is_the_tests() {
    if device::ready() {
        assert_eq!(npublas::runtime::config().offload, Offload::Always);
    }
}

#[test]
fn what_is_declined_names_its_reason() {
    if !device::ready() {
        return;
    }
    fn of<T: Element>() {
        let reason = |family: &str, poison: Option<f64>| {
            let mut operands = families::operands::<T>(family, 40, 50, 64, 3);
            if let Some(poison) = poison {
                operands.b[77] = T::new(poison, 0.0);
            }
            Call::plain(operands).run().1.map(|report| (report.reason, report.npu.is_some()))
        };
        assert_eq!(reason("normal", None), Some((Reason::Always, true)));
        assert_eq!(reason("phi4", None), Some((Reason::Guard, false)));
        assert_eq!(reason("spike", None), Some((Reason::Guard, false)));
        // One column is left to the CPU; too many are the whole call.
        assert_eq!(reason("normal", Some(f64::NAN)), Some((Reason::Always, true)));
        let mut operands = families::operands::<T>("normal", 40, 50, 64, 3);
        operands.b[..10].fill(T::new(f64::INFINITY, 0.0));
        let report = Call::plain(operands).run().1.unwrap();
        assert_eq!((report.reason, report.npu), (Reason::NonFinite, None));
    }
    of::<f32>();
    of::<f64>();
    of::<c32>();
    of::<c64>();
}

#[test]
fn integers_are_exact() {
    if !device::ready() {
        return;
    }
    fn of<T: Element>() {
        for (m, n, k) in [(1, 1, 1), (33, 65, 1000), (130, 40, 4097), (3, 5, 20_000)] {
            let call = Call::plain(families::operands::<T>("large", m, n, k, 7));
            let (results, report) = call.run();
            let label = format!("{}gemm {m}x{n}x{k}", T::LETTER);
            assert!(report.is_some_and(|report| report.npu.is_some()), "{label} left the NPU");
            // One rounding.
            let errors = Errors::of(&call, &results, 2000);
            assert!(errors.r <= 0.5, "{label}: {errors:?}");
            let call = Call::plain(families::operands::<T>("ints", m, n, k.min(800), 8));
            let errors = Errors::of(&call, &call.run().0, 2000);
            assert_eq!(errors.exact, errors.entries, "{label}: {errors:?}");
        }
    }
    of::<f32>();
    of::<f64>();
    of::<c32>();
    of::<c64>();
}

/// Hashes of the results of some calls of each type, 0 for those that the NPU did not compute.
fn hashes() -> Vec<u64> {
    fn of<T: Element>(hashes: &mut Vec<u64>) {
        let mut rng = Rng::new(99);
        for i in 0..12 {
            let shape = [(); 3].map(|()| 1 + rng.below([64, 250][i % 2]));
            // Of the last one some entries are left to the CPU.
            let family = ["normal", "relu", "unif", "phi1"][i % 4];
            let call: Call<T> = Call::drawn(family, shape, &[1.0, 0.7], &mut rng);
            let (results, report) = call.run();
            let report = report.expect("there is a product to compute");
            let mut hash = 0xcbf2_9ce4_8422_2325_u64;
            for x in results.into_iter().flat_map(Element::doubles) {
                hash = (hash ^ x.to_bits()).wrapping_mul(0x100_0000_01b3);
            }
            let on_npu = report.npu.is_some() && !is_disturbed(&report, family);
            hashes.push(if on_npu { hash } else { 0 });
        }
    }
    let mut hashes = Vec::new();
    of::<f32>(&mut hashes);
    of::<f64>(&mut hashes);
    of::<c32>(&mut hashes);
    of::<c64>(&mut hashes);
    hashes
}

#[test]
fn bits_do_not_depend_on_cores_or_threads() {
    const ROLE: &str = "NPUBLAS_TEST_HASH";
    if !device::ready() {
        return;
    }
    if std::env::var_os(ROLE).is_some() {
        let hashes: Vec<String> = hashes().iter().map(u64::to_string).collect();
        println!("HASHES {}", hashes.join(" "));
        return;
    }
    let of = |cores: &str, threads: &str| -> Vec<u64> {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "routes::bits_do_not_depend_on_cores_or_threads", "--nocapture"])
            .env(ROLE, "1")
            .env("NPUBLAS_NPU_CORES", cores)
            .env("NPUBLAS_NUM_THREADS", threads)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let hashes = text.lines().find_map(|line| line.split_once("HASHES "));
        let (_, hashes) = hashes.unwrap_or_else(|| panic!("{text}"));
        hashes.split(' ').map(|hash| hash.parse().unwrap()).collect()
    };
    let first = of("1", "1");
    for (cores, threads) in [("2", "1"), ("3", "1"), ("1", "2"), ("2", "2"), ("3", "3")] {
        let other = of(cores, threads);
        assert_eq!(first.len(), other.len());
        let both: Vec<_> = first.iter().zip(&other).filter(|(a, b)| **a != 0 && **b != 0).collect();
        assert!(both.len() * 4 >= first.len() * 3, "the NPU computed too few: {first:?} {other:?}");
        assert!(both.iter().all(|(a, b)| a == b), "{cores} cores, {threads} threads: {both:?}");
    }
}
