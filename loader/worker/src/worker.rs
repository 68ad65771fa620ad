//! What all threads of the process share: the connection, what waits to be run, and what there is.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_task::{Runnable, Task};
use crossbeam_queue::SegQueue;
use octa_loader::{Generation, Link, LinkError, Opener, Outcome};
use octa_plugin_abi::code;
use octa_plugin_api::{Error, ErrorKind};
use octa_wire::{Answer, ToKernel};
use parking_lot::{Mutex, RwLock};

use crate::{failure::Failure, jobs::Jobs, life::Lodger, spare::Spare, turn::Watch};

/// Beyond this, a buffer for messages is not kept.
pub(crate) const KEPT_BYTES: usize = 1 << 20;

/// The worker; there is one in the process, to its end.
pub(crate) struct Worker {
    pub(crate) link: Link,
    /// The connection has rings; else it is a mere socket.
    pub(crate) uses_rings: bool,
    pub(crate) watch: Watch,
    pub(crate) spare: Spare,
    pub(crate) jobs: Jobs,
    pub(crate) opener: Opener,
    pub(crate) generations: Mutex<HashMap<u32, Arc<Generation>>>,
    /// Instances there are, and those that are being made.
    pub(crate) lodgers: RwLock<HashMap<u32, Lodger>>,
    /// What was woken, for whoever leads.
    pub(crate) queue: SegQueue<Runnable>,
    /// Whoever leads sleeps, or is about to.
    pub(crate) sleeps: AtomicBool,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Worker {
    /// A worker whose watch this thread is to keep.
    pub(crate) fn new(link: Link, uses_rings: bool) -> Self {
        Self {
            link,
            uses_rings,
            watch: Watch::here(),
            spare: Spare::default(),
            jobs: Jobs::default(),
            opener: Opener::default(),
            generations: Mutex::default(),
            lodgers: RwLock::default(),
            queue: SegQueue::new(),
            sleeps: AtomicBool::new(false),
        }
    }

    /// A future that the leader polls, once it is scheduled.
    pub(crate) fn task(
        &'static self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> (Runnable, Task<()>) {
        async_task::spawn(future, |runnable| self.schedule(runnable))
    }

    /// A future that is polled on threads to spare, once it is scheduled.
    pub(crate) fn blocking_task(
        &'static self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> (Runnable, Task<()>) {
        let elsewhere = |runnable: Runnable| {
            self.spare.run(move || {
                runnable.run();
            });
        };
        async_task::spawn(future, elsewhere)
    }

    /// Who queues something looks for the sleeper after that; who goes to sleep says so first, and
    /// looks at the queue after that: one of the two sees the other.
    fn schedule(&self, runnable: Runnable) {
        self.queue.push(runnable);
        if self.sleeps.load(Ordering::SeqCst) && self.sleeps.swap(false, Ordering::SeqCst) {
            self.link.unpark();
        }
    }

    /// Tells the kernel something.
    ///
    /// # Errors
    ///
    /// It is too large, or the kernel does not read what it is told. Any other failure of the
    /// connection ends the process.
    pub(crate) fn send(&self, message: &ToKernel<'_>) -> Result<(), Error> {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            message.encode(buffer);
            let sent = self.link.send(buffer);
            if buffer.capacity() > KEPT_BYTES {
                *buffer = Vec::new();
            }
            match sent {
                Ok(()) => Ok(()),
                Err(error @ LinkError::TooLong { .. }) => Err(refused(ErrorKind::TooLarge, &error)),
                Err(error @ LinkError::Overrun { .. }) => {
                    Err(refused(ErrorKind::Overloaded, &error))
                }
                Err(error) => Failure::from(error).end(),
            }
        })
    }

    /// Tells the kernel something that it has to know.
    pub(crate) fn tell(&self, message: &ToKernel<'_>) {
        if let Err(error) = self.send(message) {
            Failure::NotHeard(error.message().to_owned()).end();
        }
    }

    /// Says how something ended: `ending` makes the answer a message. What cannot be said is
    /// answered with why.
    pub(crate) fn tell_outcome(
        &self,
        outcome: &Outcome,
        ending: impl for<'a> Fn(Answer<'a>) -> ToKernel<'a>,
    ) {
        let sent = with_answer(outcome, |answer| self.send(&ending(answer)));
        if let Err(error) = sent {
            with_answer(&error.into(), |answer| self.tell(&ending(answer)));
        }
    }
}

fn with_answer<R>(outcome: &Outcome, then: impl FnOnce(Answer<'_>) -> R) -> R {
    let document = outcome.result.as_ref().err().map(Error::to_document);
    let (code, payload) = match &outcome.result {
        Ok(payload) => (code::OK, payload.as_slice()),
        Err(error) => (error.kind().code(), document.as_deref().unwrap_or_default()),
    };
    then(Answer {
        code,
        number: outcome.number,
        payload,
        headers: &outcome.headers,
    })
}

fn refused(kind: ErrorKind, error: &LinkError) -> Error {
    Error::new(kind, error.to_string())
}
