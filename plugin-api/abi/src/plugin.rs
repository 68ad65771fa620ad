//! What a plugin offers to its host.

use core::sync::atomic::AtomicUsize;

use abi_stable::{
    StableAbi,
    std_types::{RSlice, RStr},
};

use crate::{Bytes, Envelope, Event, Future, Host, Reply, Slot, Waker};

/// What an instance is made from. Valid until `create` returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct CreateRequest<'a> {
    /// The instance's handle on its host; the reference is the plugin's.
    pub host: Host,
    /// The most verbose level that is wanted: 0 off, 1 error … 5 trace.
    pub log_level: u32,
    /// Bits of [`create_flag`].
    pub flags: u32,
    /// The plugin's name, as the host knows it.
    pub name: RStr<'a>,
    /// The configuration section as a JSON object.
    pub config: Bytes<'a>,
    /// A JSON object, or empty.
    pub headers: RSlice<'a, u8>,
}

/// Circumstances of `create`.
pub mod create_flag {
    /// The plugin is part of the host's own program: it shares its `log` and panic hook,
    /// and installs none.
    pub const LINKED: u32 = 1;
}

/// What can be asked of an instance through `control`. An instance that does not know one
/// answers `code::UNSUPPORTED`.
pub mod control {
    /// Starts: subscriptions and calls come only after it succeeded.
    pub const START: u32 = 1;
    /// Stops: the last thing an instance is asked before it is destroyed or started again.
    pub const STOP: u32 = 2;
    /// Reads the health. Reply: `number` = the bits of an `f64` from 0.0 (dead) to 1.0.
    pub const HEALTH: u32 = 3;
    /// Saves the state. Reply: `payload` = the state, `number` = its version.
    pub const SAVE: u32 = 4;
    /// Restores a saved state. `argument`: the state; `number`: its version.
    pub const RESTORE: u32 = 5;
    /// Describes itself. Reply: `payload` = the manifest.
    pub const DESCRIBE: u32 = 6;
    /// Counts. Reply: a JSON object; `allocated_bytes` and `allocations` that are live, where
    /// the plugin counts them.
    pub const USAGE: u32 = 7;
}

/// What a host can call of a plugin.
///
/// `slot`, `future` and `reply` work the same everywhere: READY has written the reply;
/// PENDING has written the future, which lies in the slot or in the plugin's memory.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginFunctions_Ref)))]
#[sabi(missing_field(option))]
pub struct PluginFunctions {
    /// Makes an instance. Answers `code::OK` and the instance, or the error in the reply.
    ///
    /// * **who** the host.
    /// * **when** any number of times.
    /// * **where** a thread that may be blocked.
    /// * **whose** the instance is the host's until `destroy`; the reply is the host's.
    pub create: extern "C" fn(
        request: &CreateRequest<'_>,
        instance: &mut *const (),
        reply: &mut Reply,
    ) -> u32,
    /// Ends an instance. A panic in the author's drop is caught and logged.
    ///
    /// * **who** the host.
    /// * **when** once, after every future of the instance is gone.
    /// * **where** a thread that may be blocked.
    /// * **whose** the instance is gone afterwards.
    pub destroy: extern "C" fn(instance: *const ()),
    /// Handles a call of the capability with this number in the manifest.
    ///
    /// * **who** the host.
    /// * **when** between `START` and `STOP`.
    /// * **where** any thread of the host; of a capability that is `blocking`, one that may
    ///   be blocked. Also several at once.
    /// * **whose** the envelope, with all that it refers to, stays the host's until the reply is
    ///   written or the future dropped; the payload for the duration of this function.
    pub call: extern "C" fn(
        instance: *const (),
        handler: u32,
        envelope: &Envelope<'_>,
        payload: &Bytes<'_>,
        waker: &Waker,
        slot: &Slot,
        future: &mut Future,
        reply: &mut Reply,
    ) -> u32,
    /// Handles events for the subscription with this number in the manifest, in order, up to
    /// the first one that fails. `handled` is raised by one after each that was handled well, so
    /// that it is known also of a delivery that is dropped. The host may set its highest bit at
    /// any time: the plugin then begins no further event, and answers OK. Reply: `code` = OK for all, or how the one
    /// after `handled` failed.
    ///
    /// * **who** the host.
    /// * **when** between `START` and `STOP`.
    /// * **where** any thread of the host; of a subscription that is `blocking`, one that may
    ///   be blocked.
    /// * **whose** the events and `handled` stay the host's, until the future is ready or dropped.
    pub deliver: extern "C" fn(
        instance: *const (),
        handler: u32,
        events: RSlice<'_, Event<'_>>,
        handled: &AtomicUsize,
        waker: &Waker,
        slot: &Slot,
        future: &mut Future,
        reply: &mut Reply,
    ) -> u32,
    /// Asks one of [`control`].
    ///
    /// * **who** the host.
    /// * **when** between `create` and `destroy`; each at most once at a time.
    /// * **where** a thread that may be blocked; HEALTH and USAGE on any thread of the host.
    /// * **whose** the argument stays the host's, for the duration of this call.
    #[sabi(last_prefix_field)]
    pub control: extern "C" fn(
        instance: *const (),
        what: u32,
        number: u64,
        argument: &Bytes<'_>,
        waker: &Waker,
        slot: &Slot,
        future: &mut Future,
        reply: &mut Reply,
    ) -> u32,
}
