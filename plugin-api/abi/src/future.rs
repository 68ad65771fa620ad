//! Work that is not finished yet: wakers, futures, and the place a future is put in.

use abi_stable::StableAbi;

use crate::Reply;

/// Wakes whoever polls. Borrowed where it is passed; [`WakerFunctions::retain`] makes it one's own.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Waker {
    /// The head of a block of the side that made it.
    pub head: *const WakerHead,
}

/// The head of the block behind a [`Waker`].
#[repr(C)]
#[derive(StableAbi)]
pub struct WakerHead {
    /// The functions of the side that made it.
    pub functions: WakerFunctions_Ref,
}

/// What can be done with a [`Waker`].
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = WakerFunctions_Ref)))]
#[sabi(missing_field(panic))]
pub struct WakerFunctions {
    /// Makes an owned waker of a borrowed one, or another of an owned one.
    ///
    /// * **who** the side that was given the waker.
    /// * **when** while the given waker is valid.
    /// * **where** any thread.
    /// * **whose** the result is the caller's and is released by it.
    pub retain: extern "C" fn(waker: Waker) -> Waker,
    /// Wakes; does not use the waker up.
    ///
    /// * **who** the side that was given the waker.
    /// * **when** while the waker is valid, any number of times.
    /// * **where** any thread.
    /// * **whose** nothing changes hands.
    pub wake: extern "C" fn(waker: Waker),
    /// Gives an owned waker back.
    ///
    /// * **who** the side that retained it.
    /// * **when** once for each owned waker.
    /// * **where** any thread.
    /// * **whose** the waker is gone afterwards.
    #[sabi(last_prefix_field)]
    pub release: extern "C" fn(waker: Waker),
}

/// A place of the host for a future that is not ready at once.
///
/// The plugin puts its future there if it fits, so that a call that is ready at once
/// allocates nothing, and boxes it otherwise. The place stays where it is and stays the
/// future's until it is ready or dropped.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Slot {
    /// The first byte.
    pub data: *mut u8,
    /// How many bytes there are.
    pub size: usize,
    /// What `data` is a multiple of.
    pub align: usize,
}

/// A future of the plugin, owned by the host from the moment it is returned.
#[repr(C)]
#[derive(StableAbi)]
pub struct Future {
    /// The plugin's.
    pub data: *mut (),
    /// Goes on with the work; answers one of [`status`](crate::status).
    ///
    /// * **who** the host.
    /// * **when** until it answers READY; never twice at once.
    /// * **where** any thread of the host, also another than before.
    /// * **whose** the reply is the host's; after READY the future is gone.
    pub poll: extern "C" fn(data: *mut (), waker: &Waker, reply: &mut Reply) -> u32,
    /// Ends the work where it stands.
    ///
    /// * **who** the host.
    /// * **when** once, instead of any further poll.
    /// * **where** any thread of the host.
    /// * **whose** the future is gone afterwards.
    pub drop: extern "C" fn(data: *mut ()),
}
