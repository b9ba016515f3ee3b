//! The open files of the node: which descriptor of which program is which, and when the last one
//! is closed.
//!
//! A client's descriptor is a memory file of its own, opened a second time through /proc so that
//! the client has its own open file description. Whatever the client does with it (dup, fork,
//! sending it through a socket), the inode tells the file; and the kernel reports the last close
//! to inotify, which it does for re-opened memory files only.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, RwLock};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::procfs;
use crate::driver::Node;
use crate::driver::file::OpenFile;
use crate::driver::node::FILE_NAME;
use crate::sync::{lock, read, write};

/// One open file and the processes that have to do with it.
#[derive(Debug)]
pub struct ClientFile {
    /// What the driver knows of it.
    pub file: Arc<OpenFile>,
    inode: u64,
    /// The process that opened it.
    opener: libc::pid_t,
    /// The processes that mapped buffers of it.
    mappers: Mutex<BTreeSet<libc::pid_t>>,
    watch: WatchDescriptor,
}

impl ClientFile {
    /// Notes that the process of thread `tid` maps a buffer.
    pub fn add_mapper(&self, tid: libc::pid_t) {
        lock(&self.mappers).extend(procfs::process_of(tid));
    }

    /// The offsets that are still mapped.
    pub fn mapped(&self) -> Vec<Range<u64>> {
        let name = FILE_NAME.to_str().unwrap_or_default();
        procfs::mappings(&lock(&self.mappers), self.inode, name)
    }
}

/// All open files of the node.
#[derive(Debug)]
pub struct Files {
    node: Arc<Node>,
    inotify: Inotify,
    /// By device and inode.
    open: RwLock<HashMap<(u64, u64), Arc<ClientFile>>>,
    watches: Mutex<HashMap<WatchDescriptor, (u64, u64)>>,
    /// Held while files are closed.
    closing: Mutex<()>,
}

impl Files {
    /// No file yet.
    pub fn new(node: Arc<Node>) -> Result<Self, Errno> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        Ok(Files {
            node,
            inotify,
            open: RwLock::default(),
            watches: Mutex::default(),
            closing: Mutex::default(),
        })
    }

    /// Opens the node for the process of thread `tid`; the file to give it, opened with `flags`
    /// as far as they concern reading and writing.
    pub fn open(&self, tid: libc::pid_t, flags: i32) -> Result<File, Errno> {
        let file = self.node.open()?;
        let pages = file.pages();
        let metadata = pages.metadata().map_err(|_| Errno::EIO)?;
        let path = format!("/proc/self/fd/{}", pages.as_raw_fd());
        let events = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_CLOSE_NOWRITE;
        let watch = self.inotify.add_watch(path.as_str(), events)?;
        let identity = (metadata.dev(), metadata.ino());
        let opener = procfs::process_of(tid).unwrap_or(tid);
        let mappers = Mutex::default();
        let client = ClientFile { file, inode: identity.1, opener, mappers, watch };
        // Known before it exists: its close may come at any time.
        write(&self.open).insert(identity, Arc::new(client));
        lock(&self.watches).insert(watch, identity);
        let access = flags & libc::O_ACCMODE;
        let opened = OpenOptions::new()
            .read(access != libc::O_WRONLY)
            .write(access != libc::O_RDONLY)
            .custom_flags(flags & libc::O_NONBLOCK)
            .open(path);
        opened.map_err(|error| {
            self.close(watch);
            error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
        })
    }

    /// The file behind a descriptor of a thread, if it is one of ours.
    pub fn find(&self, tid: libc::pid_t, fd: i32) -> Option<Arc<ClientFile>> {
        if fd < 0 || read(&self.open).is_empty() {
            return None;
        }
        let identity = procfs::descriptor(tid, fd)?;
        read(&self.open).get(&identity).cloned()
    }

    /// Closes files as their programs do, for ever.
    pub fn watch(&self) {
        loop {
            let mut fds = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
            // An interrupted poll is as good as one that found something.
            let _ = poll(&mut fds, PollTimeout::NONE);
            self.close_finished();
        }
    }

    /// Closes the files whose last descriptor is closed by now; those that another thread has
    /// already heard of are closed too when this returns.
    pub fn close_finished(&self) {
        let _turn = lock(&self.closing);
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                if event.mask.intersects(AddWatchFlags::IN_CLOSE) {
                    self.close(event.wd);
                }
            }
        }
    }

    fn close(&self, watch: WatchDescriptor) {
        let Some(identity) = lock(&self.watches).remove(&watch) else { return };
        let Some(client) = write(&self.open).remove(&identity) else { return };
        // A watch would keep the inode and its memory.
        let _ = self.inotify.rm_watch(client.watch);
        let name = format!("file {} of process {}", client.file.number(), client.opener);
        self.node.close(&client.file, procfs::is_exiting(client.opener), &name);
    }
}
