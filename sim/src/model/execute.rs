//! Runs a checked task: fetch, multiply, write.

use rayon::prelude::*;

use super::cbuf::Cbuf;
use super::cna::Cna;
use super::compute::{Features, write_results};
use super::dpu::Dpu;
use super::lattice::{ATOM, Axis, Lattice};
use super::limits;
use super::{Hang, Memory, Unmapped};

/// Results computed before they are written, at most.
const CHUNK_BYTES: usize = 4 << 20;
/// Tasks below this many multiply-accumulates are not worth waking other threads.
const PARALLEL_MACS: usize = 1 << 20;
/// What hardware leaves where the features did not fit is unpredictable; this pattern is large
/// and wrong in every type.
const GARBLED: u8 = 0x7f;

/// Traffic of a task, and what it garbled.
#[derive(Debug)]
pub struct Done {
    /// Bytes of features and weights that were fetched.
    pub bytes_read: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// Features that did not fit.
    pub warning: Option<String>,
}

/// Runs the task.
///
/// # Errors
/// Memory that is not mapped; a reuse bit without the operand in the buffer.
pub fn run(memory: &dyn Memory, cbuf: &mut Cbuf, cna: &Cna, dpu: &Dpu) -> Result<Done, Hang> {
    let positions = cna.positions();
    let resident = limits::resident_positions(cna);
    let warning = (resident < positions).then(|| {
        format!(
            "{positions} positions, but {} data banks hold {resident}: the rest is garbled",
            cna.data_banks
        )
    });
    let mut bytes_read = 0;

    let features = if cna.data_reuse {
        cbuf.take_features(cna)?
    } else {
        bytes_read += (positions * cna.channel_bytes()) as u64;
        fetch_features(memory, cna, resident).map_err(|u| u.during("feature fetch"))?
    };
    let weights = if cna.weight_reuse {
        Some(cbuf.take_weights(cna)?)
    } else {
        bytes_read += (cna.kernels * cna.channel_bytes()) as u64;
        let fetch = || fetch_weights(memory, cna, 0, cna.kernels);
        limits::weights_resident(cna).then(fetch).transpose()?
    };

    let tile = Features::new(cna.input, resident, cna.channels, &features);
    compute(memory, cna, dpu, &tile, weights.as_deref())?;
    garble(memory, cna, dpu, resident)?;
    cbuf.keep(cna, features, weights);
    let bytes_written = (positions * cna.kernels * dpu.output.bytes()) as u64;
    Ok(Done { bytes_read, bytes_written, warning })
}

/// The first `resident` positions, row-major, each with all its channels. The others are fetched
/// in vain, so they only have to be mapped.
fn fetch_features(memory: &dyn Memory, cna: &Cna, resident: usize) -> Result<Vec<u8>, Unmapped> {
    let position = cna.channel_bytes();
    let atom = ATOM as i64;
    let plane = |width, height| {
        [
            Axis { count: position / ATOM, device: atom * cna.surface, local: ATOM },
            Axis { count: height, device: atom * cna.line, local: cna.width * position },
            Axis { count: width, device: atom, local: position },
        ]
    };
    let corners = plane(cna.width, cna.height).map(|axis| {
        let last = axis.count - 1;
        Axis { count: 1 + last.min(1), device: last as i64 * axis.device, local: 0 }
    });
    Lattice::new(cna.feature.into(), &corners).gather(memory, &mut [0; ATOM])?;

    let mut features = vec![0; resident * position];
    if resident > 0 {
        let (width, height) =
            if cna.height == 1 { (resident, 1) } else { (cna.width, resident / cna.width) };
        Lattice::new(cna.feature.into(), &plane(width, height)).gather(memory, &mut features)?;
    }
    Ok(features)
}

/// `count` kernels from kernel `first` on, in the order of the weight blocks.
fn fetch_weights(
    memory: &dyn Memory,
    cna: &Cna,
    first: usize,
    count: usize,
) -> Result<Vec<u8>, Hang> {
    let mut weights = vec![0; count * cna.channel_bytes()];
    let iova = u64::from(cna.weights) + (first * cna.channel_bytes()) as u64;
    memory.read(iova, &mut weights).map_err(|u| u.during("weight fetch"))?;
    Ok(weights)
}

/// Multiplies and writes, some output groups at a time. Weights that are not all resident stream
/// through, one output group after the other.
fn compute(
    memory: &dyn Memory,
    cna: &Cna,
    dpu: &Dpu,
    features: &Features,
    weights: Option<&[u8]>,
) -> Result<(), Hang> {
    let rows = features.rows();
    if rows == 0 {
        return Ok(());
    }
    let group = cna.input.kernel_group();
    let groups = cna.kernels / group;
    let group_bytes = rows * group * dpu.output.bytes();
    let per_chunk = (CHUNK_BYTES / group_bytes).clamp(1, groups);
    let mut results = vec![0; per_chunk * group_bytes];
    for first in (0..groups).step_by(per_chunk) {
        let count = per_chunk.min(groups - first);
        let one = |(index, results): (usize, &mut [u8])| -> Result<(), Hang> {
            let at = (first + index) * group;
            let bytes = group * cna.channel_bytes();
            let fetched;
            let weights = match weights {
                Some(all) => &all[(first + index) * bytes..][..bytes],
                None => {
                    fetched = fetch_weights(memory, cna, at, group)?;
                    &fetched
                }
            };
            write_results(features.multiply(weights), dpu, results);
            Ok(())
        };
        let chunk = &mut results[..count * group_bytes];
        if rows * cna.channels * count * group < PARALLEL_MACS {
            chunk.chunks_exact_mut(group_bytes).enumerate().try_for_each(one)?;
        } else {
            chunk.par_chunks_exact_mut(group_bytes).enumerate().try_for_each(one)?;
        }
        store(memory, dpu, 0..rows, first..first + count, chunk)?;
    }
    Ok(())
}

/// Writes the pattern for the positions that the buffer did not hold.
fn garble(memory: &dyn Memory, cna: &Cna, dpu: &Dpu, resident: usize) -> Result<(), Hang> {
    let group = cna.input.kernel_group() * dpu.output.bytes();
    let at_once = (CHUNK_BYTES / group).min(cna.positions() - resident);
    let pattern = vec![GARBLED; at_once * group];
    for first in (resident..cna.positions()).step_by(at_once.max(1)) {
        let last = cna.positions().min(first + at_once);
        for index in 0..dpu.kernels / cna.input.kernel_group() {
            store(memory, dpu, first..last, index..index + 1, &pattern)?;
        }
    }
    Ok(())
}

/// Writes output groups `groups` of `positions`; `results` holds them group by group, each
/// position by position, at least as many as asked for.
///
/// The atom of surface s in group g at row h, column w of the DPU's plane lies at
/// `base + 16 * (h * (width + notch) + w) + s * surface + g * group`.
fn store(
    memory: &dyn Memory,
    dpu: &Dpu,
    positions: std::ops::Range<usize>,
    groups: std::ops::Range<usize>,
    results: &[u8],
) -> Result<(), Hang> {
    let position = dpu.surfaces() * ATOM;
    let line = (ATOM * (dpu.width + dpu.notch)) as i64;
    let mut at = positions.start;
    while at < positions.end {
        // as many whole rows as there are, or the rest of one row
        let (row, column) = (at / dpu.width, at % dpu.width);
        let left = positions.end - at;
        let (width, height) = if column == 0 && left >= dpu.width {
            (dpu.width, left / dpu.width)
        } else {
            (left.min(dpu.width - column), 1)
        };
        let base = i64::from(dpu.base)
            + row as i64 * line
            + (ATOM * column) as i64
            + groups.start as i64 * i64::from(dpu.group);
        let axes = [
            Axis { count: width, device: ATOM as i64, local: position },
            Axis { count: height, device: line, local: width * position },
            Axis { count: dpu.surfaces(), device: dpu.surface.into(), local: ATOM },
            Axis {
                count: groups.len(),
                device: dpu.group.into(),
                local: positions.len() * position,
            },
        ];
        Lattice::new(base, &axes)
            .scatter(memory, &results[(at - positions.start) * position..])
            .map_err(|u| u.during("result write"))?;
        at += width * height;
    }
    Ok(())
}
