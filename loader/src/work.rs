//! A plugin's unfinished work: a future of its own that the host polls, and that can be ended
//! from outside at any time, whoever holds it.

use std::{
    any::Any,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use octa_plugin_abi::{self as abi, status};
use octa_plugin_api::{Error, ErrorKind};
use parking_lot::{Mutex, MutexGuard};

use crate::{
    gate::Inside,
    instance::{Entered, Shared},
    outcome::{Outcome, empty_reply, read_reply},
    presence::{Errand, Part},
    slot::Slot,
    wakers::lend,
};

/// Unfinished work of a plugin. Dropping it cancels the work.
///
/// Answers [`ErrorKind::Interrupted`] if the work was ended because its plugin stops.
pub struct Work {
    cell: Arc<Cell>,
    key: usize,
}

/// What the ledger of an instance holds.
pub(crate) struct Cell {
    /// `None` once the work is finished, cancelled or interrupted. Locked while it is polled,
    /// by whoever owns the [`Work`]; nobody else comes but to end it.
    running: Mutex<Option<Running>>,
    /// Set when the work is taken out to be ended, or has ended.
    taken: AtomicBool,
    /// It shall end: who polls it ends it, if that is who holds the lock.
    ending: AtomicBool,
    serial: usize,
    errand: Errand,
    shared: Arc<Shared>,
}

struct Running {
    future: abi::Future,
    slot: Slot,
    /// The guard of the call; none for tasks and for what starts and stops the plugin.
    inside: Option<Inside>,
    /// What the plugin's future refers to, such as the events of a delivery.
    _borrowed: Option<Box<dyn Any + Send>>,
    /// Who waits, to be told when the work is ended from outside.
    waker: Option<Waker>,
}

// SAFETY: the future of a plugin may be polled and dropped on any thread (`abi::Future`);
// the lock gives it to one at a time.
unsafe impl Send for Running {}

impl Work {
    /// Takes over what a plugin's entry point left behind with PENDING, for this errand; without
    /// one it is a task.
    pub(crate) fn new(
        shared: &Arc<Shared>,
        errand: Option<Errand>,
        future: abi::Future,
        slot: Slot,
        inside: Option<Inside>,
        borrowed: Option<Box<dyn Any + Send>>,
        waker: Option<Waker>,
    ) -> Self {
        let running = Running {
            future,
            slot,
            inside,
            _borrowed: borrowed,
            waker,
        };
        let serial = shared.ledger.next_serial();
        let cell = Arc::new(Cell {
            errand: errand.unwrap_or_else(|| Errand::task(serial)),
            running: Mutex::new(Some(running)),
            taken: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            serial,
            shared: shared.clone(),
        });
        let key = shared.ledger.enter(cell.clone());
        Self { cell, key }
    }

    /// The work's number, which no other work of its instance ever has.
    pub(crate) fn serial(&self) -> usize {
        self.cell.serial
    }
}

impl Future for Work {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut running = self.cell.running.lock();
        let Some(work) = running.as_mut() else {
            return Poll::Ready(interrupted(&self.cell.shared.name).into());
        };
        let mut reply = empty_reply();
        let (poll, data) = (work.future.poll, work.future.data);
        let errand = self.cell.errand.part(Part::Poll);
        let status = (self.cell.shared.generation).run(errand, || {
            lend(cx.waker(), |waker| poll(data, waker, &mut reply))
        });
        match status {
            status::PENDING => {
                match &mut work.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                drop(running);
                self.cell.end_if_asked()
            }
            status::READY => {
                let outcome = read_reply(reply, &self.cell.shared.name);
                let done = running.take();
                drop(running);
                self.cell.taken.store(true, Ordering::SeqCst);
                self.cell.shared.finish(done);
                Poll::Ready(outcome)
            }
            other => {
                drop(read_reply(reply, &self.cell.shared.name));
                self.cell.end(running);
                Poll::Ready(unknown_status(&self.cell.shared.name, other).into())
            }
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let running = self.cell.running.lock();
        self.cell.end(running);
        self.cell.shared.ledger.leave(self.key);
    }
}

impl Cell {
    pub(crate) fn serial(&self) -> usize {
        self.serial
    }

    /// After a poll: who wanted the work to end meanwhile may have found it locked.
    fn end_if_asked(&self) -> Poll<Outcome> {
        if !self.ending.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        self.end(self.running.lock());
        Poll::Ready(interrupted(&self.shared.name).into())
    }

    /// Whether nobody has begun to end the work. Looks at no lock: its owner may hold it only to
    /// see that the work is gone.
    pub(crate) fn is_unfinished(&self) -> bool {
        !self.taken.load(Ordering::SeqCst)
    }

    /// Ends the work where it stands and tells who waits for it. False if it is being polled
    /// for longer than `patience`: its code blocks, and the work ends when that returns.
    pub(crate) fn interrupt(&self, patience: Duration) -> bool {
        self.ending.store(true, Ordering::SeqCst);
        let Some(running) = self.running.try_lock_for(patience) else {
            return false;
        };
        if let Some(waker) = self.end(running) {
            waker.wake();
        }
        true
    }

    /// Ends the work if there is some left; answers who waits for it. The instance is busy until
    /// the plugin's future is dropped: first the entry is counted, then the work counts no more.
    fn end(&self, mut running: MutexGuard<'_, Option<Running>>) -> Option<Waker> {
        let mut work = running.take()?;
        let _entered = Entered::new(&self.shared);
        self.taken.store(true, Ordering::SeqCst);
        drop(running);
        let waker = work.waker.take();
        self.shared.cancel(work, self.errand);
        waker
    }
}

impl Shared {
    fn cancel(&self, work: Running, errand: Errand) {
        let (drop, data) = (work.future.drop, work.future.data);
        self.generation.run(errand.part(Part::Drop), || drop(data));
        self.finish(Some(work));
    }

    fn finish(&self, work: Option<Running>) {
        if let Some(Running { slot, inside, .. }) = work {
            slot.give_back();
            if let Some(inside) = inside {
                self.gate.leave(inside);
            }
        }
    }
}

/// The error of a plugin that answers with a status of a later version.
pub(crate) fn unknown_status(plugin: &str, status: u32) -> Error {
    let message =
        format!("plugin `{plugin}` answered with status {status}, which is not known here");
    Error::new(ErrorKind::Unsupported, message).with_hint("update the kernel")
}

pub(crate) fn interrupted(plugin: &str) -> Error {
    Error::new(
        ErrorKind::Interrupted,
        format!("plugin `{plugin}` was stopped before it answered"),
    )
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Work({} of `{}`)", self.key, self.cell.shared.name)
    }
}
