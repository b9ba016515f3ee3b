//! Kernels for x86: a few positions against all kernels of one output group.

use std::arch::x86_64::*;

use super::{int8, wide};

/// Positions that fit the sixteen registers of AVX2 at once, with four registers of sums each.
const AVX2_ROWS: usize = 2;

/// int8, two channels per instruction, widened to 16 bits (`vpmaddwd`).
///
/// # Safety
/// The machine must have AVX2.
#[target_feature(enable = "avx2")]
pub unsafe fn int8_avx2(
    rows: [&[i8]; int8::ROWS],
    pairs: &[[i16; 2 * int8::LANES]],
    sums: &mut [[i32; int8::LANES]; int8::ROWS],
) {
    for (rows, sums) in
        rows.as_chunks::<AVX2_ROWS>().0.iter().zip(sums.as_chunks_mut::<AVX2_ROWS>().0)
    {
        let mut wide = [[_mm256_setzero_si256(); 4]; AVX2_ROWS];
        for (pair, weights) in pairs.iter().enumerate() {
            let at = weights.as_ptr().cast::<__m256i>();
            // SAFETY: the four loads cover the 64 elements of the array.
            let weights = unsafe {
                [
                    _mm256_loadu_si256(at),
                    _mm256_loadu_si256(at.add(1)),
                    _mm256_loadu_si256(at.add(2)),
                    _mm256_loadu_si256(at.add(3)),
                ]
            };
            for (row, wide) in rows.iter().zip(&mut wide) {
                let (even, odd) = (i32::from(row[2 * pair]), i32::from(row[2 * pair + 1]));
                let both = _mm256_set1_epi32(odd << 16 | even & 0xffff);
                for (wide, &weights) in wide.iter_mut().zip(&weights) {
                    *wide = _mm256_add_epi32(*wide, _mm256_madd_epi16(both, weights));
                }
            }
        }
        for (sums, wide) in
            sums.as_flattened_mut().as_chunks_mut::<8>().0.iter_mut().zip(wide.as_flattened())
        {
            // SAFETY: the store covers the 8 elements of the array.
            unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), *wide) };
        }
    }
}

/// int8, four channels per instruction (`vpdpbusd`). The instruction takes one unsigned operand:
/// the weights, offset by 128, which adds 128 times the sum of the features to every sum.
///
/// # Safety
/// The machine must have AVX-512F and AVX-512VNNI.
#[target_feature(enable = "avx512f,avx512vnni")]
pub unsafe fn int8_avx512(
    rows: [&[i8]; int8::ROWS],
    quads: &[[u8; 4 * int8::LANES]],
    sums: &mut [[i32; int8::LANES]; int8::ROWS],
) {
    let fours = rows.map(|row| &row.as_chunks::<4>().0[..quads.len()]);
    let mut wide = [[_mm512_setzero_si512(); 2]; int8::ROWS];
    for (quad, weights) in quads.iter().enumerate() {
        let at = weights.as_ptr().cast::<__m512i>();
        // SAFETY: the two loads cover the 128 elements of the array.
        let (low, high) = unsafe { (_mm512_loadu_si512(at), _mm512_loadu_si512(at.add(1))) };
        for row in 0..int8::ROWS {
            let four = fours[row][quad].map(|x| x as u8);
            let four = _mm512_set1_epi32(i32::from_le_bytes(four));
            wide[row][0] = _mm512_dpbusd_epi32(wide[row][0], low, four);
            wide[row][1] = _mm512_dpbusd_epi32(wide[row][1], high, four);
        }
    }
    for row in 0..int8::ROWS {
        let offset = 128 * rows[row].iter().map(|&x| i32::from(x)).sum::<i32>();
        let offset = _mm512_set1_epi32(offset);
        let at = sums[row].as_mut_ptr().cast::<__m512i>();
        // SAFETY: the two stores cover the 32 elements of the array.
        unsafe {
            _mm512_storeu_si512(at, _mm512_sub_epi32(wide[row][0], offset));
            _mm512_storeu_si512(at.add(1), _mm512_sub_epi32(wide[row][1], offset));
        }
    }
}

/// Doubles, four kernels per instruction, half of the kernels at a time.
///
/// # Safety
/// The machine must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn wide_avx2(
    rows: [&[f64]; wide::ROWS],
    weights: &[[f64; wide::LANES]],
    sums: &mut [[f64; wide::LANES]; wide::ROWS],
) {
    let rows = rows.map(|row| &row[..weights.len()]);
    for half in [0, wide::LANES / 2] {
        let mut wide = [[_mm256_setzero_pd(); 2]; wide::ROWS];
        for (channel, weights) in weights.iter().enumerate() {
            let at = weights[half..][..wide::LANES / 2].as_ptr();
            // SAFETY: the two loads cover the 8 elements of the slice.
            let (low, high) = unsafe { (_mm256_loadu_pd(at), _mm256_loadu_pd(at.add(4))) };
            for row in 0..wide::ROWS {
                let feature = _mm256_set1_pd(rows[row][channel]);
                wide[row][0] = _mm256_fmadd_pd(feature, low, wide[row][0]);
                wide[row][1] = _mm256_fmadd_pd(feature, high, wide[row][1]);
            }
        }
        for row in 0..wide::ROWS {
            let at = sums[row][half..][..wide::LANES / 2].as_mut_ptr();
            // SAFETY: the two stores cover the 8 elements of the slice.
            unsafe {
                _mm256_storeu_pd(at, wide[row][0]);
                _mm256_storeu_pd(at.add(4), wide[row][1]);
            }
        }
    }
}

/// Doubles, eight kernels per instruction.
///
/// # Safety
/// The machine must have AVX-512F.
#[target_feature(enable = "avx512f")]
pub unsafe fn wide_avx512(
    rows: [&[f64]; wide::ROWS],
    weights: &[[f64; wide::LANES]],
    sums: &mut [[f64; wide::LANES]; wide::ROWS],
) {
    let rows = rows.map(|row| &row[..weights.len()]);
    let mut wide = [[_mm512_setzero_pd(); 2]; wide::ROWS];
    for (channel, weights) in weights.iter().enumerate() {
        let at = weights.as_ptr();
        // SAFETY: the two loads cover the 16 elements of the array.
        let (low, high) = unsafe { (_mm512_loadu_pd(at), _mm512_loadu_pd(at.add(8))) };
        for row in 0..wide::ROWS {
            let feature = _mm512_set1_pd(rows[row][channel]);
            wide[row][0] = _mm512_fmadd_pd(feature, low, wide[row][0]);
            wide[row][1] = _mm512_fmadd_pd(feature, high, wide[row][1]);
        }
    }
    for row in 0..wide::ROWS {
        let at = sums[row].as_mut_ptr();
        // SAFETY: the two stores cover the 16 elements of the array.
        unsafe {
            _mm512_storeu_pd(at, wide[row][0]);
            _mm512_storeu_pd(at.add(8), wide[row][1]);
        }
    }
}
