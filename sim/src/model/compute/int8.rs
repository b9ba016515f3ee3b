//! int8 products: 32 kernels against all positions, on the best unit of this machine.

/// Kernels of one output group.
pub const LANES: usize = 32;
/// Positions that a kernel function computes at once; features are padded to a multiple.
pub const ROWS: usize = 8;
/// Channels of one weight block.
const CHANNELS: usize = 32;

/// int8 features, row-major, padded with zero rows.
#[derive(Debug)]
pub struct Features {
    rows: usize,
    channels: usize,
    values: Vec<i8>,
    unit: Unit,
}

/// Which code multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Plain Rust.
    Portable,
    /// 16-bit pairs (`vpmaddwd`).
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 8-bit quadruples (`vpdpbusd`).
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

impl Unit {
    /// All units that this machine has, best first.
    pub fn available() -> Vec<Self> {
        let mut units = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
                units.push(Unit::Vnni);
            }
            if is_x86_feature_detected!("avx2") {
                units.push(Unit::Avx2);
            }
        }
        units.push(Unit::Portable);
        units
    }
}

impl Features {
    /// Takes `rows` positions of `channels` bytes each.
    pub fn new(rows: usize, channels: usize, bytes: &[u8]) -> Self {
        Self::on(Unit::available()[0], rows, channels, bytes)
    }

    /// The same for one unit, which must be available.
    fn on(unit: Unit, rows: usize, channels: usize, bytes: &[u8]) -> Self {
        let mut values = vec![0; rows.next_multiple_of(ROWS) * channels];
        for (value, &byte) in values.iter_mut().zip(&bytes[..rows * channels]) {
            *value = byte as i8;
        }
        Features { rows, channels, values, unit }
    }

    /// Positions.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Sums of all positions with the kernels of one output group, exact.
    pub fn multiply(&self, weights: &[u8]) -> Vec<i32> {
        let mut sums = vec![0; self.values.len() / self.channels * LANES];
        let blocks =
            self.values.chunks_exact(ROWS * self.channels).zip(sums.chunks_exact_mut(ROWS * LANES));
        match self.unit {
            Unit::Portable => {
                let pairs = pairs(weights);
                blocks.for_each(|(rows, sums)| portable(rows, &pairs, sums));
            }
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2 => {
                let pairs = pairs(weights);
                // SAFETY: the unit is only chosen when AVX2 is there.
                blocks.for_each(|(rows, sums)| unsafe { super::x86::avx2(rows, &pairs, sums) });
            }
            #[cfg(target_arch = "x86_64")]
            Unit::Vnni => {
                let quads = quads(weights);
                // SAFETY: the unit is only chosen when AVX-512F and AVX-512VNNI are there.
                blocks.for_each(|(rows, sums)| unsafe { super::x86::vnni(rows, &quads, sums) });
            }
        }
        sums.truncate(self.rows * LANES);
        sums
    }
}

/// Weights as 16-bit integers, two channels of a kernel side by side, kernels next to each other.
fn pairs(weights: &[u8]) -> Vec<i16> {
    let mut pairs = vec![0; weights.len()];
    interleave(weights, 2, |at, weight| pairs[at] = i16::from(weight as i8));
    pairs
}

/// Weights with four channels of a kernel side by side, kernels next to each other, offset by 128
/// so that they are unsigned.
#[cfg(target_arch = "x86_64")]
fn quads(weights: &[u8]) -> Vec<u8> {
    let mut quads = vec![0; weights.len()];
    interleave(weights, 4, |at, weight| quads[at] = weight ^ 0x80);
    quads
}

/// Calls `place(index, weight)` with the index of each weight in an order of `step` channels,
/// then kernels, then the other channels.
#[inline(always)]
fn interleave(weights: &[u8], step: usize, mut place: impl FnMut(usize, u8)) {
    for (block, weights) in weights.chunks_exact(LANES * CHANNELS).enumerate() {
        for (lane, weights) in weights.chunks_exact(CHANNELS).enumerate() {
            for (channel, &weight) in weights.iter().enumerate() {
                let rest = block * CHANNELS + channel / step * step;
                place(rest * LANES + lane * step + channel % step, weight);
            }
        }
    }
}

/// [`ROWS`] positions against all lanes.
fn portable(rows: &[i8], pairs: &[i16], sums: &mut [i32]) {
    let channels = rows.len() / ROWS;
    for (row, sums) in rows.chunks_exact(channels).zip(sums.chunks_exact_mut(LANES)) {
        for (features, weights) in row.chunks_exact(2).zip(pairs.chunks_exact(2 * LANES)) {
            let (even, odd) = (i32::from(features[0]), i32::from(features[1]));
            for (sum, pair) in sums.iter_mut().zip(weights.as_chunks::<2>().0) {
                *sum += even * i32::from(pair[0]) + odd * i32::from(pair[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(len: usize, seed: u32) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    /// The definition, straight from the layout of the weight blocks.
    fn slow(rows: usize, channels: usize, features: &[u8], weights: &[u8]) -> Vec<i32> {
        let at = |k: usize, n: usize| (k / 32) * 1024 + n * 32 + k % 32;
        let mut sums = Vec::new();
        for m in 0..rows {
            for n in 0..LANES {
                let product = |k| {
                    i32::from(features[m * channels + k] as i8) * i32::from(weights[at(k, n)] as i8)
                };
                sums.push((0..channels).map(product).sum());
            }
        }
        sums
    }

    #[test]
    fn every_unit_agrees_with_the_definition() {
        for unit in Unit::available() {
            for (rows, channels) in [(1, 32), (7, 64), (8, 32), (17, 96), (40, 1024)] {
                let features = pattern(rows * channels, rows as u32);
                let weights = pattern(LANES * channels, 77);
                let got = Features::on(unit, rows, channels, &features).multiply(&weights);
                let expected = slow(rows, channels, &features, &weights);
                assert_eq!(got, expected, "{unit:?} {rows}x{channels}");
            }
        }
    }

    #[test]
    fn the_longest_sum_of_the_largest_products_is_exact() {
        let channels = 16384;
        for unit in Unit::available() {
            for (feature, weight) in [(0x80, 0x80), (0x80, 0x7f), (0x7f, 0x80), (0x7f, 0x7f)] {
                let features = vec![feature; channels];
                let weights = vec![weight; channels * LANES];
                let got = Features::on(unit, 1, channels, &features).multiply(&weights);
                let one = i32::from(feature as i8) * i32::from(weight as i8);
                assert_eq!(got, [one * channels as i32; LANES], "{unit:?}");
            }
        }
    }
}
