//! Waiting on the test's own thread, for a bounded time.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use octa_plugin_api::{Error, ErrorKind, Result};

/// How long a test waits for what should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls `future` on this thread until it is ready.
pub(crate) fn wait<F: Future>(what: &str, future: F) -> Result<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let end = Instant::now() + PATIENCE;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Ok(output);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(late(what));
        }
        thread::park_timeout(left);
    }
}

/// What did not happen in time.
pub(crate) fn late(what: &str) -> Error {
    let message = format!("{what}: nothing came within {PATIENCE:?}");
    Error::new(ErrorKind::Deadline, message)
}
