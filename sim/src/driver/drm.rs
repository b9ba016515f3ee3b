//! What the DRM core does with an ioctl before and beside the driver.
//!
//! The core looks an ioctl up by its number alone, copies in and out as many bytes as the caller's
//! own size and direction bits say, and gives the handler its own size: missing bytes are zeros,
//! surplus ones come back as they were.

use nix::errno::Errno;

use super::file::OpenFile;
use super::wire::{get_u32, get_u64, put_u64};
use super::{Client, Fail, Node, rocket};
use crate::fault::Call;

/// The type byte of every DRM ioctl.
pub const IOCTL_TYPE: u32 = b'd' as u32;

/// The first number of the driver; the last is 0x9f.
pub const COMMAND_BASE: u32 = 0x40;
const COMMAND_END: u32 = 0xa0;

const VERSION: u32 = 0x00;
const GET_UNIQUE: u32 = 0x01;
const GET_CLIENT: u32 = 0x05;
const GET_STATS: u32 = 0x06;
const GEM_CLOSE: u32 = 0x09;
const GET_CAP: u32 = 0x0c;
const SET_CLIENT_CAP: u32 = 0x0d;
const PRIME_HANDLE_TO_FD: u32 = 0x2d;
const MODE_FIRST: u32 = 0xa0;
const CORE_END: u32 = 0xd3;

const CAP_PRIME: u64 = 0x5;
const CAP_TIMESTAMP_MONOTONIC: u64 = 0x6;
const CAP_SYNCOBJ: u64 = 0x13;
const CAP_SYNCOBJ_TIMELINE: u64 = 0x14;

/// An ioctl's number, direction and size, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Command {
    number: u32,
    reads: bool,
    writes: bool,
    size: usize,
}

impl Command {
    /// Splits a request word as `asm-generic/ioctl.h` packs it.
    fn new(request: u32) -> Self {
        Command {
            number: request & 0xff,
            reads: request >> 30 & 1 != 0,
            writes: request >> 31 != 0,
            size: (request >> 16 & 0x3fff) as usize,
        }
    }
}

/// Serves one ioctl of an open file.
pub fn ioctl(
    node: &Node,
    file: &OpenFile,
    client: &dyn Client,
    request: u32,
    argument: u64,
) -> Result<(), Fail> {
    let command = Command::new(request);
    if request >> 8 & 0xff != IOCTL_TYPE {
        return Err(Errno::ENOTTY.into());
    }
    if let Some(errno) = node.faults().call(call_of(command.number)) {
        return Err(errno.into());
    }
    let own_size = handler_size(command.number).ok_or(Errno::EINVAL)?;
    let mut data = vec![0; own_size.max(command.size)];
    if command.reads {
        client.read(argument, &mut data[..command.size])?;
    }
    let result = handle(node, file, client, command.number, &mut data);
    // The core copies back even what failed.
    if command.writes && !matches!(result, Err(Fail::Gone)) {
        client.write(argument, &data[..command.size])?;
    }
    result
}

/// The fault-injection name of an ioctl.
fn call_of(number: u32) -> Call {
    match number {
        VERSION => Call::Version,
        GEM_CLOSE => Call::GemClose,
        rocket::CREATE_BO => Call::CreateBo,
        rocket::SUBMIT => Call::Submit,
        rocket::PREP_BO => Call::PrepBo,
        rocket::FINI_BO => Call::FiniBo,
        _ => Call::Other,
    }
}

/// Size of the structure that a handler works on; `None` for a number without handler.
fn handler_size(number: u32) -> Option<usize> {
    match number {
        VERSION => Some(64),
        GET_UNIQUE | GET_CAP | SET_CLIENT_CAP => Some(16),
        GET_CLIENT => Some(40),
        GET_STATS => Some(120),
        GEM_CLOSE => Some(8),
        COMMAND_BASE..COMMAND_END => rocket::size(number),
        _ if number < CORE_END => Some(0),
        _ => None,
    }
}

fn handle(
    node: &Node,
    file: &OpenFile,
    client: &dyn Client,
    number: u32,
    data: &mut [u8],
) -> Result<(), Fail> {
    match number {
        VERSION => version(client, data),
        // No bus id was ever set for an accel node.
        GET_UNIQUE => {
            put_u64(data, 0, 0);
            Ok(())
        }
        // Only an old way to ask "am I authenticated?" is left of it; the first client alone.
        GET_CLIENT if get_u32(data, 0) == 0 => {
            data[4..].fill(0);
            Ok(())
        }
        GET_STATS => {
            data.fill(0);
            Ok(())
        }
        GEM_CLOSE => file.close_handle(get_u32(data, 0), client),
        GET_CAP => get_cap(data),
        // Mode setting; SET_CLIENT_CAP belongs to it. Exporting works on the real node and is not
        // modelled.
        SET_CLIENT_CAP | PRIME_HANDLE_TO_FD | MODE_FIRST..CORE_END => Err(Errno::EOPNOTSUPP.into()),
        COMMAND_BASE..COMMAND_END => rocket::handle(node, file, client, number, data),
        // GET_MAGIC, GEM_FLINK, SET_MASTER and their like are for masters of a display.
        0x02 | 0x07 | 0x0a | 0x0b | 0x10..0x14 | 0x1e | 0x1f => Err(Errno::EACCES.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// Three numbers, and three strings with the length protocol: as much as fits is copied, without
/// a terminator, and the true length comes back.
fn version(client: &dyn Client, data: &mut [u8]) -> Result<(), Fail> {
    data[..12].fill(0);
    for (at, text) in [(16, rocket::NAME), (32, "0"), (48, rocket::DESCRIPTION)] {
        let (room, address) = (get_u64(data, at), get_u64(data, at + 8));
        put_u64(data, at, text.len() as u64);
        let fits = text.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if fits > 0 && address != 0 {
            client.write(address, &text.as_bytes()[..fits])?;
        }
    }
    Ok(())
}

fn get_cap(data: &mut [u8]) -> Result<(), Fail> {
    let value = match get_u64(data, 0) {
        // Import and export.
        CAP_PRIME => 3,
        CAP_TIMESTAMP_MONOTONIC => 1,
        CAP_SYNCOBJ | CAP_SYNCOBJ_TIMELINE => 0,
        _ => {
            put_u64(data, 8, 0);
            return Err(Errno::EOPNOTSUPP.into());
        }
    };
    put_u64(data, 8, value);
    Ok(())
}
