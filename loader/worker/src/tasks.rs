//! The tasks of an instance: each runs when the kernel says so, and all can be made to stand still.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use async_task::{Runnable, Task};
use octa_loader::{Outcome, Work};
use octa_plugin_api::Payload;
use octa_wire::ToKernel;
use parking_lot::Mutex;

use crate::{jobs::cancelled, seat::Seat};

/// The tasks of one instance.
#[derive(Default)]
pub(crate) struct Tasks {
    table: Mutex<HashMap<u64, Spawned>>,
    standing: Mutex<Standing>,
}

struct Spawned {
    /// `None` once it was started.
    start: Option<Runnable>,
    task: Task<()>,
}

#[derive(Default)]
struct Standing {
    is_frozen: bool,
    /// How many tasks are being polled.
    polled: usize,
    /// Who goes on with the tasks that were to be polled while they shall stand still.
    parked: HashMap<u64, Waker>,
    /// Who waits until no task is being polled.
    waiting: Vec<Waker>,
}

impl Seat {
    /// A task of the plugin, which waits to be started.
    pub(crate) fn spawn(self: &Arc<Self>, work: Work) {
        let number = self.next();
        let (runnable, task) = self.worker.task(Running {
            seat: self.clone(),
            number,
            work: Some(work),
        });
        let spawned = Spawned {
            start: Some(runnable),
            task,
        };
        self.tasks.table.lock().insert(number, spawned);
        self.worker.tell(&ToKernel::Spawned {
            instance: self.number,
            task: number,
        });
    }
}

impl Tasks {
    /// Lets a task run. One that is not there has just ended.
    pub(crate) fn start(&self, task: u64) {
        let mut table = self.table.lock();
        let start = table
            .get_mut(&task)
            .and_then(|spawned| spawned.start.take());
        drop(table);
        if let Some(runnable) = start {
            runnable.schedule();
        }
    }

    /// Ends a task where it stands, or where its code comes to stand.
    pub(crate) fn cancel(&self, task: u64) {
        let spawned = self.table.lock().remove(&task);
        if let Some(Spawned { start, task }) = spawned {
            drop(task);
            if let Some(runnable) = start {
                runnable.schedule();
            }
        }
    }

    /// Lets no task go on; some may be under way still.
    pub(crate) fn freeze(&self) {
        self.standing.lock().is_frozen = true;
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.standing.lock().is_frozen
    }

    /// Lets the tasks go on.
    pub(crate) fn thaw(&self) {
        let mut standing = self.standing.lock();
        standing.is_frozen = false;
        let parked = std::mem::take(&mut standing.parked);
        let waiting = std::mem::take(&mut standing.waiting);
        drop(standing);
        parked.into_values().chain(waiting).for_each(Waker::wake);
    }

    /// Waits until no task is under way, if none may go on.
    pub(crate) async fn frozen(&self) -> Outcome {
        poll_fn(|cx| {
            let mut standing = self.standing.lock();
            if standing.is_frozen && standing.polled > 0 {
                standing.waiting.push(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Outcome::ok(0, Payload::empty()))
        })
        .await
    }

    /// Begins to poll a task, if it may go on.
    fn enter(&self, task: u64, waker: &Waker) -> Option<Polling<'_>> {
        let mut standing = self.standing.lock();
        if standing.is_frozen {
            standing.parked.insert(task, waker.clone());
            return None;
        }
        standing.polled += 1;
        Some(Polling(self))
    }
}

/// A task is being polled.
struct Polling<'a>(&'a Tasks);

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        let mut standing = self.0.standing.lock();
        standing.polled -= 1;
        if standing.polled > 0 {
            return;
        }
        let waiting = std::mem::take(&mut standing.waiting);
        drop(standing);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// A task; its end is told when it is ready or, at the latest, when it is dropped.
struct Running {
    seat: Arc<Seat>,
    number: u64,
    /// `None` once its end is told.
    work: Option<Work>,
}

impl Running {
    fn end(&mut self, outcome: &Outcome) {
        // Whatever code of the plugin's it takes with it runs before its end is told.
        self.work = None;
        let Self { seat, number, .. } = self;
        let spawned = seat.tasks.table.lock().remove(number);
        if let Some(Spawned { task, .. }) = spawned {
            task.detach();
        }
        seat.tasks.standing.lock().parked.remove(number);
        let (instance, task) = (seat.number, *number);
        seat.worker
            .tell_outcome(outcome, |answer| ToKernel::TaskEnded {
                instance,
                task,
                answer,
            });
    }
}

impl Future for Running {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { seat, number, work } = &mut *self;
        let Some(work) = work else {
            return Poll::Ready(());
        };
        let polled = match seat.tasks.enter(*number, cx.waker()) {
            Some(_polling) => Pin::new(work).poll(cx),
            None => Poll::Pending,
        };
        let Poll::Ready(outcome) = polled else {
            return Poll::Pending;
        };
        self.end(&outcome);
        Poll::Ready(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.work.is_some() {
            self.end(&cancelled().into());
        }
    }
}
