//! Lets futures be polled anywhere that need the runtime which the database was opened in.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use super::super::BoxFuture;

/// A runtime, for its timers, its sockets and new tasks.
#[derive(Clone, Debug)]
pub(super) struct Within(pub(super) Handle);

impl Within {
    /// A future that can be polled by whoever has one to poll, as plugins' own executors do.
    pub(super) fn run<'a, T: 'a>(self, future: BoxFuture<'a, T>) -> BoxFuture<'a, T> {
        Box::pin(Entering {
            handle: self.0,
            future,
        })
    }
}

struct Entering<'a, T> {
    handle: Handle,
    future: BoxFuture<'a, T>,
}

impl<T> Future for Entering<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let _entered = this.handle.enter();
        this.future.as_mut().poll(cx)
    }
}
