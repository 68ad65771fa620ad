//! What `submit`, `poll` and the plugin's entry points return: how far the work has come.

/// Finished: the reply is written. The future or operation is used up.
pub const READY: u32 = 0;
/// Not finished: poll again after the waker was woken.
pub const PENDING: u32 = 1;
/// An item of a stream is in the reply; more may come: poll again. The future is written as with
/// [`PENDING`]. Comes only where who asked said in the headers that it takes a stream; otherwise,
/// as with any status that is not known, the work is dropped and answered as unsupported.
pub const ITEM: u32 = 2;
