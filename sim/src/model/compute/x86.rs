//! int8 kernels for x86: [`ROWS`] positions against [`LANES`] kernels.

use std::arch::x86_64::*;

use super::int8::{LANES, ROWS};

/// Positions that fit the sixteen registers at once, with four registers of sums each.
const AVX2_ROWS: usize = 2;

/// Two channels per instruction, widened to 16 bits.
///
/// `rows` holds [`ROWS`] positions, `pairs` the weights in pairs of channels, `sums` receives
/// [`ROWS`] times [`LANES`] values.
///
/// # Safety
/// The machine must have AVX2.
#[target_feature(enable = "avx2")]
pub unsafe fn avx2(rows: &[i8], pairs: &[i16], sums: &mut [i32]) {
    let channels = rows.len() / ROWS;
    assert!(pairs.len() == channels * LANES && sums.len() == ROWS * LANES);
    for (rows, sums) in
        rows.chunks_exact(AVX2_ROWS * channels).zip(sums.chunks_exact_mut(AVX2_ROWS * LANES))
    {
        let mut wide = [[_mm256_setzero_si256(); 4]; AVX2_ROWS];
        for (pair, weights) in pairs.chunks_exact(2 * LANES).enumerate() {
            // SAFETY: the four loads cover the 64 elements of the chunk.
            let weights: [__m256i; 4] = std::array::from_fn(|i| unsafe {
                _mm256_loadu_si256(weights.as_ptr().add(16 * i).cast())
            });
            for (row, wide) in wide.iter_mut().enumerate() {
                let at = row * channels + 2 * pair;
                let (even, odd) = (i32::from(rows[at]), i32::from(rows[at + 1]));
                let both = _mm256_set1_epi32(odd << 16 | even & 0xffff);
                for (wide, &weights) in wide.iter_mut().zip(&weights) {
                    *wide = _mm256_add_epi32(*wide, _mm256_madd_epi16(both, weights));
                }
            }
        }
        for (sums, wide) in sums.chunks_exact_mut(8).zip(wide.as_flattened()) {
            // SAFETY: the store covers the 8 elements of the chunk.
            unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), *wide) };
        }
    }
}

/// Four channels per instruction. The instruction takes one unsigned operand: the weights, offset
/// by 128, which adds 128 times the sum of the features to every sum.
///
/// `rows` holds [`ROWS`] positions, `quads` the offset weights in quadruples of channels, `sums`
/// receives [`ROWS`] times [`LANES`] values.
///
/// # Safety
/// The machine must have AVX-512F and AVX-512VNNI.
#[target_feature(enable = "avx512f,avx512vnni")]
pub unsafe fn vnni(rows: &[i8], quads: &[u8], sums: &mut [i32]) {
    let channels = rows.len() / ROWS;
    assert!(quads.len() == channels * LANES && sums.len() == ROWS * LANES);
    let mut wide = [[_mm512_setzero_si512(); 2]; ROWS];
    for (quad, weights) in quads.chunks_exact(4 * LANES).enumerate() {
        // SAFETY: the two loads cover the 128 bytes of the chunk.
        let weights: [__m512i; 2] = std::array::from_fn(|i| unsafe {
            _mm512_loadu_si512(weights.as_ptr().add(64 * i).cast())
        });
        for (row, wide) in wide.iter_mut().enumerate() {
            // SAFETY: `4 * quad + 3 < channels`, so the four bytes lie in row `row < ROWS`.
            let four: i32 = unsafe {
                rows.as_ptr().add(row * channels + 4 * quad).cast::<i32>().read_unaligned()
            };
            let four = _mm512_set1_epi32(four);
            for (wide, &weights) in wide.iter_mut().zip(&weights) {
                *wide = _mm512_dpbusd_epi32(*wide, weights, four);
            }
        }
    }
    for (row, (sums, wide)) in sums.chunks_exact_mut(LANES).zip(wide).enumerate() {
        let features = &rows[row * channels..][..channels];
        let offset = 128 * features.iter().map(|&x| i32::from(x)).sum::<i32>();
        let offset = _mm512_set1_epi32(offset);
        for (sums, wide) in sums.chunks_exact_mut(16).zip(wide) {
            // SAFETY: the store covers the 16 elements of the chunk.
            unsafe {
                _mm512_storeu_si512(sums.as_mut_ptr().cast(), _mm512_sub_epi32(wide, offset));
            }
        }
    }
}
