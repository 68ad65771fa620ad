//! Result codes of replies. Never an exhaustive enum: a newer side may send newer codes.

/// Success; the payload is the result.
pub const OK: u32 = 0;
/// The author's code returned an error.
pub const FAILED: u32 = 1;
/// The author's code panicked; the message and location are in the error document.
pub const PANICKED: u32 = 2;
/// The input is not what the operation takes: the caller's fault.
pub const INVALID_INPUT: u32 = 3;
/// The thing named does not exist.
pub const NOT_FOUND: u32 = 4;
/// A permission is missing.
pub const DENIED: u32 = 5;
/// The deadline passed.
pub const DEADLINE: u32 = 6;
/// The caller went away.
pub const CANCELLED: u32 = 7;
/// The provider was stopped while it worked on the call.
pub const INTERRUPTED: u32 = 8;
/// Nobody can answer now (no provider, or it is not started).
pub const UNAVAILABLE: u32 = 9;
/// A compare-and-set found another version.
pub const CONFLICT: u32 = 10;
/// A limit of size was passed.
pub const TOO_LARGE: u32 = 11;
/// The other side does not know this operation.
pub const UNSUPPORTED: u32 = 12;
/// The generation that owned the handle is gone.
pub const PLUGIN_GONE: u32 = 13;
/// No plugin offers this capability.
pub const UNKNOWN_CAPABILITY: u32 = 14;
/// The call would go round in a circle.
pub const CYCLE: u32 = 15;
/// A queue or a concurrency limit is full.
pub const OVERLOADED: u32 = 16;
/// The output is not what was declared: the provider's fault.
pub const INVALID_OUTPUT: u32 = 17;
/// The host failed.
pub const INTERNAL: u32 = 18;
