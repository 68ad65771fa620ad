//! The tasks that an instance has running: they can be made to stand still, all at once, and to
//! go on. Which thread polls them is up to others.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use octa_loader::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The tasks of one instance.
#[derive(Default)]
pub(super) struct Tasks(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Looked at on every poll; what a poll writes lies with its task, apart from all others'.
    frozen: AtomicBool,
    seats: Mutex<HashMap<u64, Arc<Seat>>>,
    next: AtomicU64,
    /// Tells that a poll has ended while all shall stand still.
    left: Notify,
}

/// What is known of a task from outside.
#[derive(Default)]
struct Seat {
    phase: AtomicU8,
    /// Who goes on with the task, if it was polled while all shall stand still.
    parked: Mutex<Option<Waker>>,
}

/// Nobody is in the task.
const IDLE: u8 = 0;
/// It is being polled.
const POLLED: u8 = 1;
/// It stood still when the instance was closed, and ends when it is polled again.
const ENDED: u8 = 2;

impl Tasks {
    /// A task that stands still when it is told to.
    pub(super) fn enter(&self, future: BoxFuture<()>) -> impl Future<Output = ()> + Send + use<> {
        let (shared, seat) = (self.0.clone(), Arc::new(Seat::default()));
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        shared.seats.lock().insert(number, seat.clone());
        Task {
            shared,
            seat,
            number,
            future: Some(future),
        }
    }

    /// Lets no task go on; some may be under way still.
    pub(super) fn freeze(&self) {
        self.0.frozen.store(true, Ordering::SeqCst);
    }

    /// Waits until no task is under way, if none may go on.
    pub(super) async fn frozen(&self) {
        loop {
            // Hears of all that is told from here on.
            let left = self.0.left.notified();
            if !self.0.is_any_polled() {
                return;
            }
            left.await;
        }
    }

    /// Lets all tasks go on.
    pub(super) fn thaw(&self) {
        self.0.frozen.store(false, Ordering::SeqCst);
        let parked = self.0.parked(|_| ());
        parked.into_iter().for_each(Waker::wake);
    }

    /// Ends the tasks that stand still, each where it is polled again, which is now.
    pub(super) fn end(&self) {
        // Marked before any may go on.
        let parked = self.0.parked(Seat::end);
        self.0.frozen.store(false, Ordering::SeqCst);
        parked.into_iter().for_each(Waker::wake);
        // Who went to stand still in between goes on, as if it had come later.
        self.thaw();
    }
}

impl Shared {
    fn is_any_polled(&self) -> bool {
        let seats = self.seats.lock();
        seats
            .values()
            .any(|seat| seat.phase.load(Ordering::SeqCst) == POLLED)
    }

    /// Takes out who goes on with the tasks that stand still, and does `mark` to each of these.
    fn parked(&self, mark: fn(&Seat)) -> Vec<Waker> {
        let take = |seat: &Arc<Seat>| {
            let waker = seat.parked.lock().take();
            waker.inspect(|_| mark(seat))
        };
        self.seats.lock().values().filter_map(take).collect()
    }
}

impl Seat {
    fn end(&self) {
        self.phase.store(ENDED, Ordering::SeqCst);
    }

    /// Stands still; false if there is no need to any more.
    #[cold]
    fn park(&self, shared: &Shared, waker: &Waker) -> bool {
        let previous = self.parked.lock().replace(waker.clone());
        drop(previous);
        // Again after that: who thaws says so first, and looks for parked tasks after that.
        let frozen = shared.frozen.load(Ordering::SeqCst);
        if !frozen {
            let parked = self.parked.lock().take();
            drop(parked);
        }
        frozen
    }
}

struct Task {
    shared: Arc<Shared>,
    seat: Arc<Seat>,
    number: u64,
    /// `None` once it has ended.
    future: Option<BoxFuture<()>>,
}

impl Future for Task {
    type Output = ();

    /// Who polls says so first and looks after that whether it may; who freezes says so first
    /// and looks after that who polls: one of the two sees the other.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Task {
            shared,
            seat,
            future,
            ..
        } = &mut *self;
        let before = seat.phase.swap(POLLED, Ordering::SeqCst);
        let _leaving = Leaving(shared, seat);
        if before == ENDED {
            *future = None;
            return Poll::Ready(());
        }
        if shared.frozen.load(Ordering::SeqCst) && seat.park(shared, cx.waker()) {
            return Poll::Pending;
        }
        future
            .as_mut()
            .map_or(Poll::Ready(()), |future| future.as_mut().poll(cx))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let seat = self.shared.seats.lock().remove(&self.number);
        drop(seat);
    }
}

/// Says that a poll has ended, however it did.
struct Leaving<'a>(&'a Shared, &'a Seat);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let Self(shared, seat) = self;
        // It may have been ended meanwhile, and stays so.
        let _ = seat
            .phase
            .compare_exchange(POLLED, IDLE, Ordering::SeqCst, Ordering::SeqCst);
        if shared.frozen.load(Ordering::SeqCst) {
            shared.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_all_thawed_does_not_stand_still() {
        let (shared, seat) = (Shared::default(), Seat::default());
        assert!(!seat.park(&shared, Waker::noop()));
        assert!(shared.parked(|_| ()).is_empty());
    }
}
