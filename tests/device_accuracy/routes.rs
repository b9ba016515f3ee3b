//! Which calls the NPU computes, and that its bits depend on nothing but the data.

use crate::call::Call;
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
        assert_eq!(reason("normal", Some(f64::NAN)), Some((Reason::NonFinite, false)));
        assert_eq!(reason("normal", Some(f64::INFINITY)), Some((Reason::NonFinite, false)));
    }
    of::<f32>();
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
}

/// Hash of the results of some calls of each type, and how many of them the NPU computed.
fn hash() -> (u64, [usize; 4]) {
    fn of<T: Element>(hash: &mut u64) -> usize {
        let mut rng = Rng::new(99);
        let mut on_npu = 0;
        for i in 0..12 {
            let shape = [(); 3].map(|()| 1 + rng.below([64, 400][i % 2]));
            let family = ["normal", "relu", "unif"][i % 3];
            let call: Call<T> = Call::drawn(family, shape, &[1.0, 0.7], &mut rng);
            let (results, report) = call.run();
            on_npu += usize::from(report.is_some_and(|report| report.npu.is_some()));
            for x in results.into_iter().flat_map(Element::doubles) {
                *hash = (*hash ^ x.to_bits()).wrapping_mul(0x100_0000_01b3);
            }
        }
        on_npu
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let on_npu =
        [of::<f32>(&mut hash), of::<f64>(&mut hash), of::<c32>(&mut hash), of::<c64>(&mut hash)];
    (hash, on_npu)
}

#[test]
fn bits_do_not_depend_on_cores_or_threads() {
    const ROLE: &str = "NPUBLAS_TEST_HASH";
    if !device::ready() {
        return;
    }
    if std::env::var_os(ROLE).is_some() {
        println!("HASH={:?}", hash());
        return;
    }
    let of = |cores: &str, threads: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "routes::bits_do_not_depend_on_cores_or_threads", "--nocapture"])
            .env(ROLE, "1")
            .env("NPUBLAS_NPU_CORES", cores)
            .env("NPUBLAS_NUM_THREADS", threads)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().find(|l| l.contains("HASH=")).map(str::to_owned).unwrap_or(text)
    };
    let first = of("1", "1");
    assert!(first.contains("HASH=") && !first.contains("[0"), "{first}");
    for (cores, threads) in [("2", "1"), ("3", "1"), ("1", "2"), ("2", "2"), ("3", "3")] {
        assert_eq!(of(cores, threads), first, "{cores} cores, {threads} threads");
    }
}
