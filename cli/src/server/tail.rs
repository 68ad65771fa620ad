//! The body of an answer that does not end: one line of JSON for each event.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use octa_kernel::bus::Subscription;

use crate::event_line::EventLine;

/// Events as they are published. A client that reads slowly loses the oldest, as any subscriber.
#[derive(Debug)]
pub(super) struct Events(Subscription);

impl Events {
    pub(super) fn new(events: Subscription) -> Self {
        Self(events)
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = ready!(self.0.poll_recv(cx));
        Poll::Ready(event.map(|event| {
            let line = EventLine::of(&event).to_json() + "\n";
            Ok(Frame::data(line.into()))
        }))
    }
}
