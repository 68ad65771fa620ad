//! A global allocator that counts, so that the kernel can tell how much memory a plugin holds.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicI64, Ordering},
};

/// How many counters there are; a power of two.
const SHARDS: usize = 16;

/// Allocates from the system and counts live bytes and allocations of this library.
///
/// The export macro installs one in every plugin that does not bring its own allocator.
/// Counters are sharded by thread: one shared counter would make two threads slower together
/// than one alone.
#[derive(Debug, Default)]
pub struct CountingAllocator {
    shards: [Shard; SHARDS],
}

/// One cache line, or two where lines are fetched in pairs.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Shard {
    bytes: AtomicI64,
    allocations: AtomicI64,
}

impl Shard {
    const fn new() -> Self {
        Self {
            bytes: AtomicI64::new(0),
            allocations: AtomicI64::new(0),
        }
    }
}

impl CountingAllocator {
    /// An allocator that has counted nothing.
    pub const fn new() -> Self {
        Self {
            shards: [const { Shard::new() }; SHARDS],
        }
    }

    /// Live bytes and live allocations. Exact when no thread allocates meanwhile.
    pub fn live(&self) -> (u64, u64) {
        let sum = |count: fn(&Shard) -> &AtomicI64| {
            let total: i64 = self
                .shards
                .iter()
                .map(|s| count(s).load(Ordering::Relaxed))
                .sum();
            total.max(0).unsigned_abs()
        };
        (sum(|s| &s.bytes), sum(|s| &s.allocations))
    }

    /// Counts what was allocated, if it was.
    fn counted(&self, place: *mut u8, layout: Layout) -> *mut u8 {
        if !place.is_null() {
            self.count(signed(layout.size()), 1);
        }
        place
    }

    fn count(&self, bytes: i64, allocations: i64) {
        let shard = &self.shards[shard_of_this_thread()];
        shard.bytes.fetch_add(bytes, Ordering::Relaxed);
        shard.allocations.fetch_add(allocations, Ordering::Relaxed);
    }
}

/// A number that tells threads apart, from where their stacks lie: without a thread-local,
/// which an allocator cannot rely on while a thread ends. Stacks are at least 2 MiB apart.
fn shard_of_this_thread() -> usize {
    let here = 0_u8;
    let megabytes = (&raw const here).addr() >> 21;
    (megabytes ^ (megabytes >> 4)) % SHARDS
}

fn signed(size: usize) -> i64 {
    // An allocation is never larger than `isize::MAX`.
    size as i64
}

// SAFETY: every request goes to `System` unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        self.counted(unsafe { System.alloc(layout) }, layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        self.counted(unsafe { System.alloc_zeroed(layout) }, layout)
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        self.count(-signed(layout.size()), -1);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let moved = unsafe { System.realloc(place, layout, size) };
        if !moved.is_null() {
            self.count(signed(size) - signed(layout.size()), 0);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_lives() {
        let allocator = CountingAllocator::new();
        let layout = Layout::new::<[u64; 8]>();
        // SAFETY: the layout has a size above 0.
        let place = unsafe { allocator.alloc(layout) };
        assert_eq!(allocator.live(), (64, 1));
        // SAFETY: allocated above with this layout.
        let place = unsafe { allocator.realloc(place, layout, 128) };
        assert_eq!(allocator.live(), (128, 1));
        let larger = Layout::new::<[u64; 16]>();
        // SAFETY: reallocated above to this layout.
        unsafe { allocator.dealloc(place, larger) };
        assert_eq!(allocator.live(), (0, 0));
    }
}
