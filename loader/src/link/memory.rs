//! The memory that both processes map: how it is made, and where what lies in it.
//!
//! Only its size can be relied on, which is sealed. All of it is seen as atomics, because the other
//! process may write any of it at any time; what is made of it is the business of `ring`.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

use memmap2::{MmapOptions, MmapRaw};

use super::ring::Ring;
use crate::sync::AtomicU64;

/// The bytes before the rings.
const HEADER_BYTES: usize = 4096;
/// The bytes of the header that belong to one ring.
const RING_HEADER_BYTES: usize = 512;
/// How far the words of a header are apart. Two cache lines: processors fetch them in pairs.
const STRIDE_BYTES: usize = 128;
const WORD_BYTES: usize = size_of::<AtomicU64>();

const RING_BYTES_MIN: usize = 4096;
const RING_BYTES_MAX: usize = 1 << 30;

/// Which of the two processes maps the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Kernel,
    Worker,
}

/// Two rings: the first carries what the kernel sends, the second what the worker sends.
pub(super) struct Memory {
    mapped: MmapRaw,
    ring_bytes: usize,
    side: Side,
}

impl Memory {
    pub(super) fn map(memory: BorrowedFd<'_>, side: Side) -> io::Result<Self> {
        let bytes = sealed_bytes(memory)?;
        let ring_bytes = bytes.saturating_sub(HEADER_BYTES) / 2;
        if !is_ring(ring_bytes) || bytes != HEADER_BYTES + 2 * ring_bytes {
            return Err(invalid("the inherited memory has the size of no two rings"));
        }
        let mapped = MmapOptions::new().len(bytes).map_raw(&memory)?;
        Ok(Self {
            mapped,
            ring_bytes,
            side,
        })
    }

    /// The ring that this process writes.
    #[inline]
    pub(super) fn outgoing(&self) -> Ring<'_> {
        self.ring(match self.side {
            Side::Kernel => 0,
            Side::Worker => 1,
        })
    }

    /// The ring that this process reads.
    #[inline]
    pub(super) fn incoming(&self) -> Ring<'_> {
        self.ring(match self.side {
            Side::Kernel => 1,
            Side::Worker => 0,
        })
    }

    #[inline]
    fn ring(&self, index: usize) -> Ring<'_> {
        let words = self.words();
        let header = &words[index * RING_HEADER_BYTES / WORD_BYTES..];
        let begin = (HEADER_BYTES + index * self.ring_bytes) / WORD_BYTES;
        Ring {
            tail: &header[0],
            head: &header[STRIDE_BYTES / WORD_BYTES],
            asleep: &header[2 * STRIDE_BYTES / WORD_BYTES],
            wants_room: &header[3 * STRIDE_BYTES / WORD_BYTES],
            data: &words[begin..begin + self.ring_bytes / WORD_BYTES],
        }
    }

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        let first = self.mapped.as_mut_ptr().cast::<AtomicU64>();
        // SAFETY: `first` is the start of `mapped.len()` mapped, initialized bytes, on a page
        // boundary; they stay mapped for as long as `self` is borrowed, and have memory behind
        // them because `sealed_bytes` saw that the file cannot be made shorter. This process only
        // ever makes such slices of them, so that all its accesses are atomic; what the other
        // process does to them is for it like stores of one more thread, and each value is valid.
        unsafe { std::slice::from_raw_parts(first, self.mapped.len() / WORD_BYTES) }
    }
}

fn is_ring(bytes: usize) -> bool {
    bytes.is_power_of_two() && (RING_BYTES_MIN..=RING_BYTES_MAX).contains(&bytes)
}

/// Makes a file in memory for two rings, whose size nobody can change any more.
#[cfg(target_os = "linux")]
pub(super) fn create(ring_bytes: usize) -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

    if !is_ring(ring_bytes) {
        return Err(invalid(
            "a ring has a power of two of bytes, at least 4096 and at most 2^30",
        ));
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Before Linux 6.3 it could not be said that such a file is no program.
    let memory = memfd_create("octa-rings", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| memfd_create("octa-rings", flags))?;
    ftruncate(&memory, (HEADER_BYTES + 2 * ring_bytes) as u64)?;
    fcntl_add_seals(
        &memory,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(memory)
}

/// The size of a file in memory, which nobody can change.
#[cfg(target_os = "linux")]
fn sealed_bytes(memory: BorrowedFd<'_>) -> io::Result<usize> {
    use rustix::fs::{SealFlags, fcntl_get_seals, fstat};

    let fixed = SealFlags::SHRINK | SealFlags::GROW;
    if !fcntl_get_seals(memory)?.contains(fixed) {
        return Err(invalid("the inherited memory could be made shorter"));
    }
    usize::try_from(fstat(memory)?.st_size)
        .map_err(|_| invalid("the inherited memory is larger than the address space"))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn create(_: usize) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn sealed_bytes(_: BorrowedFd<'_>) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
