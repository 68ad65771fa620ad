//! What the host offers to a plugin instance.

use abi_stable::{
    StableAbi,
    std_types::{RSlice, RStr},
};

use crate::{Buffer, Bytes, Envelope, Future, Reply, Waker};

/// A plugin instance's handle on its host; one reference count. Its identity is in it:
/// it works from any thread.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Host {
    /// The host's.
    pub data: *const (),
    /// The host's functions, valid for ever.
    pub functions: HostFunctions_Ref,
}

/// One operation asked of the host; see [`operation`](crate::operation).
/// Valid until the function it is passed to returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Request<'a> {
    /// One of [`operation`](crate::operation).
    pub operation: u32,
    /// As the operation says.
    pub flags: u32,
    /// As the operation says.
    pub number: u64,
    /// A topic, pattern, capability or namespace.
    pub target: RStr<'a>,
    /// A key.
    pub key: RStr<'a>,
    /// The operation's payload.
    pub payload: Bytes<'a>,
    /// The circumstances; those of the call that is being handled, where there is one.
    pub envelope: Envelope<'a>,
}

/// A line for the log. Valid until the function it is passed to returns.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct LogRecord<'a> {
    /// 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub level: u32,
    /// The line of the source, or 0.
    pub line: u32,
    /// The module that logs.
    pub target: RStr<'a>,
    /// The text.
    pub message: RStr<'a>,
    /// The file of the source, or empty.
    pub file: RStr<'a>,
    /// A JSON object, or empty.
    pub headers: RSlice<'a, u8>,
}

/// What a plugin can call of its host.
///
/// After its generation is gone every function still may be called and answers
/// `code::PLUGIN_GONE`, or does nothing.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostFunctions_Ref)))]
#[sabi(missing_field(option))]
pub struct HostFunctions {
    /// Adds a reference to a host handle.
    ///
    /// * **who** the plugin.
    /// * **when** while it holds a reference.
    /// * **where** any thread.
    /// * **whose** the new reference is the plugin's.
    pub retain: extern "C" fn(host: *const ()),
    /// Gives a reference to a host handle back.
    ///
    /// * **who** the plugin.
    /// * **when** once for each reference.
    /// * **where** any thread.
    /// * **whose** the reference is gone afterwards.
    pub release: extern "C" fn(host: *const ()),
    /// Makes an empty buffer with room for `capacity` bytes; one without a block (`owner`
    /// null) if that is more than the host gives.
    ///
    /// * **who** the plugin.
    /// * **when** always.
    /// * **where** any thread.
    /// * **whose** the buffer is the plugin's.
    pub buffer: extern "C" fn(capacity: usize) -> Buffer,
    /// Starts an operation and goes on with it as far as it comes; answers one of
    /// [`status`](crate::status). If PENDING, `operation` is its id for `poll` and `cancel`.
    ///
    /// * **who** the plugin.
    /// * **when** from `create` on.
    /// * **where** any thread. On a thread of the plugin's own the host drives the operation
    ///   on its own threads, and polling only waits for it.
    /// * **whose** the reply is the plugin's; the waker stays the plugin's.
    pub submit: extern "C" fn(
        host: *const (),
        request: &Request<'_>,
        waker: &Waker,
        reply: &mut Reply,
        operation: &mut u64,
    ) -> u32,
    /// Goes on with an operation.
    ///
    /// * **who** the plugin.
    /// * **when** after PENDING, until READY.
    /// * **where** any thread.
    /// * **whose** the reply is the plugin's; after READY the id is used up.
    pub poll:
        extern "C" fn(host: *const (), operation: u64, waker: &Waker, reply: &mut Reply) -> u32,
    /// Ends an operation where it stands.
    ///
    /// * **who** the plugin.
    /// * **when** after PENDING, instead of any further poll.
    /// * **where** any thread.
    /// * **whose** the id is used up.
    pub cancel: extern "C" fn(host: *const (), operation: u64),
    /// Hands a future over to the host's pool, which polls it to its end.
    /// Answers `code::OK` and the task's id, or why not; then the future was dropped.
    ///
    /// * **who** the plugin.
    /// * **when** from `create` to the end of `stop`.
    /// * **where** any thread.
    /// * **whose** the future is the host's, also if it is refused.
    pub spawn: extern "C" fn(host: *const (), future: Future, task: &mut u64) -> u32,
    /// Writes a line to the log; never waits.
    ///
    /// * **who** the plugin.
    /// * **when** always.
    /// * **where** any thread.
    /// * **whose** the record stays the plugin's.
    #[sabi(last_prefix_field)]
    pub log: extern "C" fn(host: *const (), record: &LogRecord<'_>),
}
