//! Lets futures be polled anywhere that need the runtime which the database was opened in.

use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::JoinSet;

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

    /// What a task answers, which ends by itself, also when nobody polls this; or when this is dropped.
    ///
    /// Nothing, if the runtime ends before.
    pub(super) async fn task<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut only = JoinSet::new();
        only.spawn_on(future, &self.0);
        match only
            .join_next()
            .await?
            .map_err(|ended| ended.try_into_panic())
        {
            Ok(answer) => Some(answer),
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(_)) => None,
        }
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
