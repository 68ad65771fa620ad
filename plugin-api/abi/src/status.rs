//! What `submit`, `poll` and the plugin's entry points return: how far the work has come.

/// Finished: the reply is written. The future or operation is used up.
pub const READY: u32 = 0;
/// Not finished: poll again after the waker was woken.
pub const PENDING: u32 = 1;
/// An item of a stream is in the reply; more may come: poll again at once.
pub const ITEM: u32 = 2;
