//! What the targets have in common: what an input means, and the side of a connection that does
//! with it what it likes.

#![expect(unsafe_code, reason = "forks, and shares memory with what was forked")]

mod child;
mod counters;
mod messages;
mod peer;
mod script;

pub use child::{Child, Ended};
pub use counters::share as share_counters;
pub use messages::{Numbers, to_kernel, to_worker};
pub use peer::{Peer, Scribbler};
pub use script::Script;
