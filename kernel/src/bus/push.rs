//! What comes of handing an event to one queue; what has to be done about it is left to `publisher`.

use std::sync::Arc;
use std::task::Waker;

use super::Event;

/// What became of an event at one queue.
#[derive(Debug)]
pub(super) enum Push {
    /// It is in the queue; the consumer is to be woken if there is one.
    Queued(Option<Waker>),
    /// An event was dropped, this or an older one; `tell` if the overflow report has to be woken.
    Dropped {
        event: Option<Arc<Event>>,
        tell: bool,
    },
    /// It waits for room under this ticket.
    Waiting(u64),
    /// The subscription is closed.
    Closed,
}
