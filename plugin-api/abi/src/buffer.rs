//! Payloads: reference-counted byte buffers whose memory and functions belong to the host,
//! so that a payload outlives the plugin that wrote it.

use abi_stable::{StableAbi, std_types::RSlice};

/// A handle on a byte buffer of the host; one reference count.
///
/// `owner` null means the empty buffer: `length` 0, `data` dangling.
/// The `length` bytes at `data` are initialised and immutable while more than one handle
/// exists; a sole handle may write `data[..capacity]` and set `length`.
#[repr(C)]
#[derive(StableAbi)]
pub struct Buffer {
    /// The first byte.
    pub data: *mut u8,
    /// How many bytes are initialised and meant.
    pub length: usize,
    /// The host's block, or null.
    pub owner: *const BufferOwner,
}

/// The head of the host's block behind a [`Buffer`].
#[repr(C)]
#[derive(StableAbi)]
pub struct BufferOwner {
    /// The host's functions for this block.
    pub functions: BufferFunctions_Ref,
    /// How many bytes fit behind the first `data` of this block.
    pub capacity: usize,
}

/// What can be done with a [`Buffer`]: functions of the host, valid for ever.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = BufferFunctions_Ref)))]
#[sabi(missing_field(panic))]
pub struct BufferFunctions {
    /// Adds a reference.
    ///
    /// * **who** both sides.
    /// * **when** while the caller holds a reference.
    /// * **where** any thread.
    /// * **whose** the new reference is the caller's.
    pub retain: extern "C" fn(owner: *const BufferOwner),
    /// Gives a reference back; the last one frees the block.
    ///
    /// * **who** both sides.
    /// * **when** once for each reference.
    /// * **where** any thread.
    /// * **whose** the reference is gone afterwards.
    pub release: extern "C" fn(owner: *const BufferOwner),
    /// Makes room for `additional` bytes behind `length`, perhaps in another block.
    /// Answers `code::OK`, or `code::TOO_LARGE` and leaves the buffer as it was.
    ///
    /// * **who** both sides.
    /// * **when** while the caller holds the only reference, and `data` is where the host put it.
    /// * **where** any thread.
    /// * **whose** the buffer stays the caller's.
    #[sabi(last_prefix_field)]
    pub reserve: extern "C" fn(buffer: &mut Buffer, additional: usize) -> u32,
}

/// Borrowed bytes, valid for the duration of the function they are passed to.
///
/// Where `owner` is not null the bytes lie in that block: who wants to keep them adds a
/// reference. Where it is null they must be copied.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Bytes<'a> {
    /// The bytes.
    pub bytes: RSlice<'a, u8>,
    /// The block they lie in, or null.
    pub owner: *const BufferOwner,
}
