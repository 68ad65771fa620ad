//! What the kernel waits for, by number, until it is answered: calls, deliveries and controls. Each
//! can be ended from outside, wherever it is.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use async_task::Task;
use octa_loader::Outcome;
use octa_plugin_api::{Error, ErrorKind};
use octa_wire::ToKernel;
use parking_lot::Mutex;

use crate::worker::Worker;

/// What is not answered yet.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Begun by a thread that leads, or led until it was caught in it: few.
    begun: Vec<Begun>,
    waiting: HashMap<u64, Waiting>,
}

struct Begun {
    id: u64,
    is_cancelled: bool,
    cut: Option<Cut>,
}

struct Waiting {
    task: Task<()>,
    cut: Option<Cut>,
}

/// Says that a delivery is to begin no further event.
pub(crate) type Cut = Arc<AtomicBool>;

impl Jobs {
    /// A job is about to be begun by the leader.
    pub(crate) fn begin(&self, id: u64, cut: Option<Cut>) {
        self.0.lock().begun.push(Begun {
            id,
            is_cancelled: false,
            cut,
        });
    }

    /// What was begun has ended.
    fn end(&self, id: u64) {
        self.0.lock().take_begun(id);
    }

    /// What was begun goes on later. Answers the task if it is to be ended instead.
    fn keep(&self, id: u64, task: Task<()>) -> Option<Task<()>> {
        let mut table = self.0.lock();
        let begun = table.take_begun(id);
        if begun.as_ref().is_some_and(|begun| begun.is_cancelled) {
            return Some(task);
        }
        let cut = begun.and_then(|begun| begun.cut);
        table.waiting.insert(id, Waiting { task, cut });
        None
    }

    /// A job that goes on elsewhere.
    fn enter(&self, id: u64, task: Task<()>, cut: Option<Cut>) {
        self.0.lock().waiting.insert(id, Waiting { task, cut });
    }

    /// It has ended.
    fn leave(&self, id: u64) {
        let left = self.0.lock().waiting.remove(&id);
        if let Some(Waiting { task, .. }) = left {
            task.detach();
        }
    }

    /// Ends a job where it stands, or where its code comes to stand. One that is not there has just
    /// ended.
    pub(crate) fn cancel(&self, id: u64) {
        let ended = {
            let mut table = self.0.lock();
            if let Some(begun) = table.begun(id) {
                begun.is_cancelled = true;
            }
            table.waiting.remove(&id)
        };
        // Dropping its task ends it.
        drop(ended);
    }

    /// Begins no further event of a delivery.
    pub(crate) fn cut(&self, id: u64) {
        let mut table = self.0.lock();
        let begun = table.begun(id).and_then(|begun| begun.cut.clone());
        let cut = begun.or_else(|| table.waiting.get(&id)?.cut.clone());
        if let Some(cut) = cut {
            cut.store(true, Ordering::SeqCst);
        }
    }
}

impl Table {
    fn begun(&mut self, id: u64) -> Option<&mut Begun> {
        self.begun.iter_mut().find(|begun| begun.id == id)
    }

    fn take_begun(&mut self, id: u64) -> Option<Begun> {
        let at = self.begun.iter().rposition(|begun| begun.id == id)?;
        Some(self.begun.swap_remove(at))
    }
}

impl Worker {
    /// Answers what was begun and has ended.
    pub(crate) fn answer_begun(&self, id: u64, outcome: &Outcome) {
        self.jobs.end(id);
        self.answer(id, outcome);
    }

    pub(crate) fn answer(&self, id: u64, outcome: &Outcome) {
        self.tell_outcome(outcome, |answer| ToKernel::Answer { id, answer });
    }

    /// Goes on with what was begun, as far as it comes.
    ///
    /// It is polled with no waker first, since most of it is ready at once; only what is not
    /// becomes a task, and is polled again with that.
    pub(crate) fn go_on(&'static self, id: u64, mut future: impl Job) {
        match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => self.answer_begun(id, &outcome),
            Poll::Pending => self.keep(id, future),
        }
    }

    /// Goes on with what was begun and waits for something, of which it does not know whom to wake.
    pub(crate) fn keep(&'static self, id: u64, future: impl Job) {
        let (runnable, task) = self.task(Owing::new(self, id, future));
        drop(self.jobs.keep(id, task));
        runnable.run();
    }

    /// Runs a job on a thread that it may block.
    pub(crate) fn run_blocking(&'static self, id: u64, cut: Option<Cut>, future: impl Job) {
        let (runnable, task) = self.blocking_task(Owing::new(self, id, future));
        self.jobs.enter(id, task, cut);
        runnable.schedule();
    }
}

/// What becomes the answer.
pub(crate) trait Job: Future<Output = Outcome> + Unpin + Send + 'static {}

impl<F: Future<Output = Outcome> + Unpin + Send + 'static> Job for F {}

/// A job that is answered when it is ready or, at the latest, when it is dropped.
struct Owing<F> {
    worker: &'static Worker,
    id: u64,
    /// `None` once it is answered.
    future: Option<F>,
}

impl<F: Job> Owing<F> {
    fn new(worker: &'static Worker, id: u64, future: F) -> Self {
        Self {
            worker,
            id,
            future: Some(future),
        }
    }
}

impl<F> Owing<F> {
    fn pay(&mut self, outcome: &Outcome) {
        // Whatever code of the plugin's it takes with it runs before the answer.
        self.future = None;
        self.worker.jobs.leave(self.id);
        self.worker.answer(self.id, outcome);
    }
}

impl<F: Job> Future for Owing<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        let Poll::Ready(outcome) = Pin::new(future).poll(cx) else {
            return Poll::Pending;
        };
        self.pay(&outcome);
        Poll::Ready(())
    }
}

impl<F> Drop for Owing<F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            self.pay(&cancelled().into());
        }
    }
}

/// Nobody waits for it any more, or the plugin was made to end it.
pub(crate) fn cancelled() -> Error {
    Error::new(ErrorKind::Interrupted, "it was ended before it answered")
}
