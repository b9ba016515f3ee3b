//! The compute modes, and what each of them promises.

use crate::reference::Errors;

/// A compute mode of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Standard,
    Strict,
    Fast,
    Low,
    Fp16,
}

impl Mode {
    pub const ALL: [Mode; 5] = [Mode::Standard, Mode::Strict, Mode::Fast, Mode::Low, Mode::Fp16];

    /// As in `NPUBLAS_COMPUTE_MODE`.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Standard => "standard",
            Mode::Strict => "strict",
            Mode::Fast => "fast",
            Mode::Low => "low",
            Mode::Fp16 => "fp16",
        }
    }

    /// Has this thread's calls run in the mode while `work` goes on; `None` where the library
    /// does not have it.
    pub fn during<R>(self, work: impl FnOnce() -> R) -> Option<R> {
        (self == Mode::Standard).then(work)
    }

    /// R of the families that everybody has, from k = 64 on, for the product alone; α and β may
    /// add a few roundings.
    fn ordinary(self, family: &str, scheme: &str) -> Option<f64> {
        let (uniform, normal, relu) = match (self, scheme) {
            (Mode::Strict, _) => (0.6, 0.6, 0.6),
            (Mode::Fast, "I-3s6p") => (4.0, 10.0, 20.0),
            (Mode::Standard | Mode::Fast, _) => (3.0, 3.0, 6.0),
            (Mode::Low, "I-2s3p") => (1024.0, 1024.0, 1024.0),
            (Mode::Low, "I-5s15p") => (131_072.0, 131_072.0, 131_072.0),
            (Mode::Low, _) => (512.0, 512.0, 512.0),
            (Mode::Fp16, _) => (8192.0, 8192.0, 8192.0),
        };
        match family {
            "unif01" | "unif" => Some(uniform),
            "normal" => Some(normal),
            "relu" | "relu2" => Some(relu),
            _ => None,
        }
    }

    /// What a result of the NPU under `scheme` breaks of the promises of the mode. `factors` is
    /// by how much α and β may raise R.
    pub fn broken(
        self,
        scheme: &str,
        family: &str,
        k: usize,
        factors: f64,
        errors: &Errors,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        let mut hold = |what: &str, value: f64, limit: f64| {
            if value > limit {
                broken.push(format!("{what} = {value:.3} > {limit:.3}"));
            }
        };
        if !matches!(self, Mode::Low | Mode::Fp16) {
            hold("error over the promised bound", errors.promised, 1.0);
        }
        if self == Mode::Strict {
            hold("R / (1 + √k_eff / 2)", errors.root, 1.0 + factors);
        }
        if self == Mode::Low {
            hold("Rn", errors.rn, Mode::normwise(scheme, k) + factors);
        }
        if let (true, Some(limit)) = (k >= 64, self.ordinary(family, scheme)) {
            hold("R", errors.r, limit + factors);
        }
        if family == "eye" && !matches!(self, Mode::Low | Mode::Fp16) {
            hold("R of A·I", errors.r, 1.5 + factors);
        }
        broken
    }

    /// Rn of a scheme without its guard: 1 + 8 √k 2^(p - B), p bits being wanted and B held.
    fn normwise(scheme: &str, k: usize) -> f64 {
        // Bits of the default precision and those that 2 or 5 slices or 12 moduli hold.
        let lost = match scheme {
            "I-2s3p" => return 4096.0,
            "I-5s15p" => 53.0 - 39.0,
            "II-12" => 53.0 - 46.9,
            _ => 0.0,
        };
        1.0 + 8.0 * (k as f64).sqrt() * 2f64.powf(lost)
    }
}
