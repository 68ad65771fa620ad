//! The signals that ask the program to end.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Explain;

/// Ctrl-C, a request to terminate, or a terminal that goes away.
#[derive(Debug)]
pub(crate) struct Signals([Signal; 3]);

/// The system does not tell of signals.
#[derive(Debug, Error)]
#[error("cannot listen to signals")]
pub(crate) struct SignalError(#[from] io::Error);

impl Explain for SignalError {
    fn kind(&self) -> &'static str {
        "unavailable"
    }
}

/// Signals so close together are one request: `timeout`, for one, sends its signal to the process
/// and to its group.
const TOGETHER: Duration = Duration::from_millis(50);

impl Signals {
    /// From now on signals arrive here.
    pub(crate) fn listen() -> Result<Self, SignalError> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// The next request to end.
    pub(crate) async fn next(&mut self) {
        poll_fn(|cx| {
            let arrived = |signal: &mut Signal| signal.poll_recv(cx).is_ready();
            // Not `any`: each one has to leave its waker.
            match self.0.iter_mut().map(arrived).filter(|is| *is).count() {
                0 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
    }

    /// The next request to end after the one that has just arrived.
    pub(crate) async fn again(&mut self) {
        let echoes = async {
            loop {
                self.next().await;
            }
        };
        drop(tokio::time::timeout(TOGETHER, echoes).await);
        self.next().await;
    }
}
