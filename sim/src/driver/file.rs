//! One open file of the node: its handles.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;

use super::bo::{Bo, Space};
use super::{Client, Fail};
use crate::sync::lock;

/// An open file description of the node.
#[derive(Debug)]
pub struct OpenFile {
    number: u64,
    space: Arc<Space>,
    handles: Mutex<BTreeMap<u32, Arc<Bo>>>,
    /// Buffers without a handle that the client still maps: a mapping is a reference.
    still_mapped: Mutex<Vec<Arc<Bo>>>,
}

impl OpenFile {
    /// The `number`-th file of its node.
    pub fn new(number: u64, space: Space) -> Self {
        OpenFile {
            number,
            space: Arc::new(space),
            handles: Mutex::default(),
            still_mapped: Mutex::default(),
        }
    }

    /// Its number, from 1, in the order of opening.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its address space.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// The file whose pages the client maps.
    pub fn pages(&self) -> &File {
        self.space.file()
    }

    /// A new buffer and its handle: the lowest free number from 1.
    pub fn create(&self, size: u32, client: &dyn Client) -> Result<(u32, Arc<Bo>), Errno> {
        self.forget_unmapped(client);
        let bo = self.space.create(size)?;
        let mut handles = lock(&self.handles);
        let taken = handles.keys().zip(1u32..).take_while(|(used, n)| **used == *n).count();
        let handle = taken as u32 + 1;
        handles.insert(handle, bo.clone());
        Ok((handle, bo))
    }

    /// The buffer behind `handle`.
    pub fn lookup(&self, handle: u32) -> Option<Arc<Bo>> {
        lock(&self.handles).get(&handle).cloned()
    }

    /// Gives up `handle`. The buffer lives on while a job or a mapping refers to it.
    pub fn close_handle(&self, handle: u32, client: &dyn Client) -> Result<(), Fail> {
        let bo = lock(&self.handles).remove(&handle).ok_or(Errno::EINVAL)?;
        lock(&self.still_mapped).push(bo);
        self.forget_unmapped(client);
        Ok(())
    }

    /// Whether this file holds a handle of the buffer at mmap offset `offset`.
    pub fn may_map(&self, offset: u64) -> bool {
        lock(&self.handles).values().any(|bo| bo.offset() == offset)
    }

    /// How many handles there are.
    pub fn handles(&self) -> usize {
        lock(&self.handles).len()
    }

    /// Gives up everything, as the last close does.
    pub fn close(&self) {
        let handles = std::mem::take(&mut *lock(&self.handles));
        let still_mapped = std::mem::take(&mut *lock(&self.still_mapped));
        drop((handles, still_mapped));
    }

    /// Lets go of closed buffers that the client no longer maps.
    fn forget_unmapped(&self, client: &dyn Client) {
        let mut still_mapped = lock(&self.still_mapped);
        if still_mapped.is_empty() {
            return;
        }
        let mapped = client.mapped();
        let overlaps = |bo: &Bo, range: &Range<u64>| {
            range.start < bo.offset() + bo.size() && bo.offset() < range.end
        };
        let (keep, forget) = std::mem::take(&mut *still_mapped)
            .into_iter()
            .partition(|bo| mapped.iter().any(|range| overlaps(bo, range)));
        *still_mapped = keep;
        drop(still_mapped);
        drop::<Vec<Arc<Bo>>>(forget);
    }
}
