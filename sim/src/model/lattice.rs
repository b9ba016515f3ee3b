//! DMA of regular patterns: atoms of 16 bytes at a base plus whole multiples of a few strides.

use super::{Memory, Unmapped};

/// The unit of all feature and result traffic, in bytes.
pub const ATOM: usize = 16;

/// One direction of a pattern.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// Steps along it.
    pub count: usize,
    /// Bytes per step in device memory.
    pub device: i64,
    /// Bytes per step in the local buffer.
    pub local: usize,
}

/// A pattern of atoms, split into runs that are contiguous in device memory.
#[derive(Debug)]
pub struct Lattice {
    base: i64,
    /// Axes within a run, smallest stride first.
    inner: Vec<Axis>,
    /// Axes from run to run, smallest stride first.
    outer: Vec<Axis>,
    /// Bytes of one run.
    run: usize,
}

impl Lattice {
    /// The atoms at `base` plus all combinations of steps along `axes`.
    pub fn new(base: i64, axes: &[Axis]) -> Self {
        let mut axes: Vec<Axis> = axes.iter().copied().filter(|a| a.count != 1).collect();
        axes.sort_by_key(|a| a.device.unsigned_abs());
        let mut run = ATOM;
        let mut inner = 0;
        while inner < axes.len() && axes[inner].device == run as i64 {
            run *= axes[inner].count;
            inner += 1;
        }
        let outer = axes.split_off(inner);
        Lattice { base, inner: axes, outer, run }
    }

    /// Copies the atoms from device memory to their places in `local`.
    pub fn gather(&self, memory: &dyn Memory, local: &mut [u8]) -> Result<(), Unmapped> {
        let mut run = vec![0; self.run];
        walk(&self.outer, self.base, 0, &mut |device, first| {
            memory.read(device as u64, &mut run)?;
            walk(&self.inner, 0, first, &mut |at, place| {
                let at = at as usize;
                local[place..place + ATOM].copy_from_slice(&run[at..at + ATOM]);
                Ok(())
            })
        })
    }

    /// Copies the atoms from their places in `local` to device memory.
    pub fn scatter(&self, memory: &dyn Memory, local: &[u8]) -> Result<(), Unmapped> {
        let mut run = vec![0; self.run];
        walk(&self.outer, self.base, 0, &mut |device, first| {
            walk(&self.inner, 0, first, &mut |at, place| {
                let at = at as usize;
                run[at..at + ATOM].copy_from_slice(&local[place..place + ATOM]);
                Ok(())
            })?;
            memory.write(device as u64, &run)
        })
    }
}

/// Visits every combination of steps; the first axis varies fastest.
fn walk<E>(
    axes: &[Axis],
    device: i64,
    local: usize,
    visit: &mut impl FnMut(i64, usize) -> Result<(), E>,
) -> Result<(), E> {
    let Some((axis, rest)) = axes.split_last() else { return visit(device, local) };
    for step in 0..axis.count {
        walk(rest, device + step as i64 * axis.device, local + step * axis.local, visit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Flat memory of byte = address, which counts its accesses.
    struct Counted(Mutex<(Vec<u8>, usize)>);

    impl Memory for Counted {
        fn read(&self, iova: u64, out: &mut [u8]) -> Result<(), Unmapped> {
            let mut inner = self.0.lock().unwrap();
            inner.1 += 1;
            let unmapped = Unmapped { iova, len: out.len() };
            let start = usize::try_from(iova).map_err(|_| unmapped)?;
            let end = start.checked_add(out.len()).ok_or(unmapped)?;
            out.copy_from_slice(inner.0.get(start..end).ok_or(unmapped)?);
            Ok(())
        }
        fn write(&self, iova: u64, data: &[u8]) -> Result<(), Unmapped> {
            let mut inner = self.0.lock().unwrap();
            inner.1 += 1;
            let start = iova as usize;
            inner.0[start..start + data.len()].copy_from_slice(data);
            Ok(())
        }
    }

    fn memory() -> Counted {
        Counted(Mutex::new(((0..4096).map(|i| (i / 16) as u8).collect(), 0)))
    }

    #[test]
    fn contiguous_axes_become_one_access() {
        let memory = memory();
        // 3 rows of 4 surfaces, row-major in memory and surface-major locally
        let axes =
            [Axis { count: 4, device: 16, local: 48 }, Axis { count: 3, device: 64, local: 16 }];
        let mut local = vec![0; 192];
        Lattice::new(160, &axes).gather(&memory, &mut local).unwrap();
        assert_eq!(memory.0.lock().unwrap().1, 1);
        for (surface, row) in (0..4).flat_map(|s| (0..3).map(move |r| (s, r))) {
            assert_eq!(local[surface * 48 + row * 16], (10 + row * 4 + surface) as u8);
        }
    }

    #[test]
    fn negative_strides_and_gaps_are_followed() {
        let memory = memory();
        let axes =
            [Axis { count: 2, device: -64, local: 16 }, Axis { count: 2, device: 128, local: 32 }];
        let mut local = vec![0; 64];
        Lattice::new(1024, &axes).gather(&memory, &mut local).unwrap();
        assert_eq!([local[0], local[16], local[32], local[48]], [64, 60, 72, 68]);
        assert_eq!(memory.0.lock().unwrap().1, 4);
        Lattice::new(0, &axes[1..]).scatter(&memory, &local).unwrap();
        let bytes = memory.0.lock().unwrap();
        assert_eq!([bytes.0[0], bytes.0[128]], [64, 72]);
    }

    #[test]
    fn addresses_below_zero_are_unmapped() {
        let axes = [Axis { count: 2, device: -32, local: 16 }];
        let failed = Lattice::new(16, &axes).gather(&memory(), &mut [0; 32]).unwrap_err();
        assert_eq!(failed.iova, (-16i64) as u64);
    }
}
