//! The memory behind payloads: the host's implementation of `abi::BufferFunctions`, and the
//! switch by which a plugin uses that of its host instead of its own copy.

use std::{
    alloc::{Layout, alloc, dealloc, realloc},
    mem::transmute,
    ptr::{NonNull, null, null_mut},
    sync::atomic::{AtomicPtr, AtomicU32, Ordering, fence},
};

use octa_plugin_abi::{
    self as abi, BufferFunctions, BufferFunctions_Ref, BufferOwner,
    abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef},
};

/// The largest payload, in bytes.
pub(crate) const LARGEST: usize = u32::MAX as usize;

/// A block: this head, then the bytes.
#[repr(C, align(16))]
struct Block {
    owner: BufferOwner,
    references: AtomicU32,
}

type MakeBuffer = extern "C" fn(usize) -> abi::Buffer;

/// In a plugin, the host's function; null where this code is the host's.
static HOST: AtomicPtr<()> = AtomicPtr::new(null_mut());

/// Makes every further payload of this library in memory of the host.
pub(crate) fn use_buffers_of(host: abi::HostFunctions_Ref) {
    HOST.store(host.buffer() as *mut (), Ordering::Release);
}

/// Makes an empty buffer with room for `capacity` bytes, in memory of the host.
#[inline]
pub(crate) fn buffer(capacity: usize) -> abi::Buffer {
    let host = HOST.load(Ordering::Acquire);
    if host.is_null() {
        return host_buffer(capacity);
    }
    // SAFETY: only `use_buffers_of` stores here, a function of this type.
    let make = unsafe { transmute::<*mut (), MakeBuffer>(host) };
    make(capacity)
}

/// Makes an empty buffer with room for `capacity` bytes in memory of this library: the host's
/// `abi::HostFunctions::buffer`.
///
/// Without a block (`owner` null) if `capacity` is 0 or more than 4 GiB.
pub extern "C" fn host_buffer(capacity: usize) -> abi::Buffer {
    let nothing = abi::Buffer {
        data: NonNull::dangling().as_ptr(),
        length: 0,
        owner: null(),
    };
    if capacity == 0 || capacity > LARGEST {
        return nothing;
    }
    let layout = layout(capacity);
    // SAFETY: the layout has a size above 0.
    let block = unsafe { alloc(layout) }.cast::<Block>();
    if block.is_null() {
        std::alloc::handle_alloc_error(layout);
    }
    let head = Block {
        owner: BufferOwner {
            functions: FUNCTIONS,
            capacity,
        },
        references: AtomicU32::new(1),
    };
    // SAFETY: the block is ours, large and aligned enough.
    unsafe { block.write(head) };
    abi::Buffer {
        data: bytes_of(block),
        length: 0,
        owner: block.cast(),
    }
}

fn layout(capacity: usize) -> Layout {
    Layout::from_size_align(size_of::<Block>() + capacity, align_of::<Block>())
        .expect("at most LARGEST bytes and a head fit into an address space")
}

fn bytes_of(block: *mut Block) -> *mut u8 {
    block.wrapping_add(1).cast()
}

const FUNCTIONS: BufferFunctions_Ref = {
    const TABLE: &WithMetadata<BufferFunctions> = &WithMetadata::new(BufferFunctions {
        retain,
        release,
        reserve,
    });
    BufferFunctions_Ref(
        // SAFETY: a constant, so it lives for ever.
        unsafe { StaticRef::from_raw(TABLE) }.as_prefix(),
    )
};

extern "C" fn retain(owner: *const BufferOwner) {
    // SAFETY: every owner with these functions is the head of a `Block`, alive while the
    // caller holds a reference.
    let block = unsafe { &*owner.cast::<Block>() };
    let before = block.references.fetch_add(1, Ordering::Relaxed);
    // As in `Arc`: a counter that overflows would free memory in use.
    if before > u32::MAX / 2 {
        std::process::abort();
    }
}

extern "C" fn release(owner: *const BufferOwner) {
    let block = owner.cast::<Block>().cast_mut();
    // SAFETY: as in `retain`.
    let references = unsafe { &(*block).references };
    // A sole owner needs no atomic subtraction: nobody else can add a reference.
    if references.load(Ordering::Acquire) != 1 {
        if references.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
    }
    // SAFETY: the last reference is gone, so nobody else reads the head.
    let capacity = unsafe { (*block).owner.capacity };
    // SAFETY: allocated by `host_buffer` with this layout.
    unsafe { dealloc(block.cast(), layout(capacity)) };
}

extern "C" fn reserve(buffer: &mut abi::Buffer, additional: usize) -> u32 {
    let block = buffer.owner.cast::<Block>().cast_mut();
    // SAFETY: as in `retain`.
    let capacity = unsafe { (*block).owner.capacity };
    let Some(needed) = buffer
        .length
        .checked_add(additional)
        .filter(|n| *n <= LARGEST)
    else {
        return abi::code::TOO_LARGE;
    };
    if needed <= capacity {
        return abi::code::OK;
    }
    let larger = needed.max(capacity.saturating_mul(2)).min(LARGEST);
    let size = layout(larger).size();
    // SAFETY: allocated by `host_buffer` with this layout; the new size is not 0 and fits.
    let grown = unsafe { realloc(block.cast(), layout(capacity), size) }.cast::<Block>();
    if grown.is_null() {
        return abi::code::TOO_LARGE;
    }
    // SAFETY: `realloc` kept the head.
    unsafe { (*grown).owner.capacity = larger };
    buffer.data = bytes_of(grown);
    buffer.owner = grown.cast();
    abi::code::OK
}
