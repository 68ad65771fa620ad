//! What travels around a payload: the envelope of a call on the way there, the reply on the
//! way back. Both are complete from the first version; later needs go into `headers`.

use abi_stable::{
    StableAbi,
    std_types::{RSlice, RStr},
};

use crate::Buffer;

/// `remaining_nanos` of a call without a deadline.
pub const NO_DEADLINE: u64 = u64::MAX;

/// What the bytes of a payload are.
pub mod content_type {
    /// `application/json`, the default.
    pub const JSON: u32 = 0;
    /// `application/octet-stream`.
    pub const BYTES: u32 = 1;
    /// Another one, named in the headers as `content-type`.
    pub const NAMED: u32 = 2;
}

/// The circumstances of a call.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Envelope<'a> {
    /// Nanoseconds left, or [`NO_DEADLINE`].
    pub remaining_nanos: u64,
    /// The high half of the correlation id.
    pub correlation_high: u64,
    /// The low half of the correlation id; both 0: none yet.
    pub correlation_low: u64,
    /// 0 for the first attempt, counted up by retries.
    pub attempt: u32,
    /// One of [`content_type`].
    pub content_type: u32,
    /// The name of the plugin that calls, or of the host's own part.
    pub caller: RStr<'a>,
    /// Whose handlers wait for this call, in the host's own notation; a plugin hands it back
    /// unchanged in what it asks while it handles the call.
    pub chain: RStr<'a>,
    /// The W3C `traceparent`, or empty.
    pub trace: RStr<'a>,
    /// What a provider is chosen by, or empty.
    pub routing_key: RStr<'a>,
    /// What makes repeated calls one, or empty.
    pub idempotency_key: RStr<'a>,
    /// A JSON object, or empty.
    pub headers: RSlice<'a, u8>,
}

/// The outcome of a call, an event or an operation.
///
/// Written by the side that answers, owned by the side that asked.
#[repr(C)]
#[derive(StableAbi)]
pub struct Reply {
    /// One of [`code`](crate::code).
    pub code: u32,
    /// One of [`content_type`].
    pub content_type: u32,
    /// A number, where the operation has one to give.
    pub number: u64,
    /// The result; where `code` is not OK, the error as a JSON object with `message`
    /// and, where known, `hint`, `location`, `plugin`, `details`.
    pub payload: Buffer,
    /// A JSON object, or empty.
    pub headers: Buffer,
}
