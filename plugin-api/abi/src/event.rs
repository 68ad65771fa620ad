//! An event on its way to a subscriber.

use abi_stable::{
    StableAbi,
    std_types::{RSlice, RStr},
};

use crate::Bytes;

/// One event of a batch. Valid until the delivery is finished.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct Event<'a> {
    /// Unique in this kernel.
    pub id: u64,
    /// Counted up by the publisher.
    pub sequence: u64,
    /// Nanoseconds since 1970 when it was published.
    pub time: u64,
    /// The high half of the correlation id.
    pub correlation_high: u64,
    /// The low half of the correlation id.
    pub correlation_low: u64,
    /// How often it was delivered before.
    pub attempt: u32,
    /// One of [`content_type`](crate::content_type).
    pub content_type: u32,
    /// What it is about.
    pub topic: RStr<'a>,
    /// Who published it.
    pub source: RStr<'a>,
    /// What it says.
    pub payload: Bytes<'a>,
    /// A JSON object, or empty.
    pub headers: RSlice<'a, u8>,
}
