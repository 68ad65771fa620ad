//! What the writer is asked to do, and who waits for it, until when.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU8,
    Ordering::{AcqRel, Acquire, Release},
};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::StorageError;
use super::super::batch::{Batch, Outcome};
use super::super::change::Change;

/// What the writer can be asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Apply(Batch, Ticket<Vec<Outcome>>),
    Replicate(Vec<Change>, u64, Ticket<()>),
    /// Brings the watches to where the database is.
    CatchUp(Reply<()>),
}

/// Where an answer goes, for as long as it is waited for.
///
/// The writer knows when that ends: the future of a caller says nothing where nobody polls or drops it.
#[derive(Debug)]
pub(super) struct Reply<T> {
    answer: oneshot::Sender<Result<T, StorageError>>,
    end: Instant,
}

/// Who waits for a write.
#[derive(Debug)]
pub(super) struct Ticket<T> {
    reply: Reply<T>,
    hold: Arc<Hold>,
}

/// Who has a write in hand: it is under way, or given up, and never both.
#[derive(Debug, Default)]
pub(super) struct Hold(AtomicU8);

const WAITING: u8 = 0;
const UNDER_WAY: u8 = 1;
const GIVEN_UP: u8 = 2;

impl<T> Reply<T> {
    /// Makes one, and what receives it.
    pub(super) fn until(end: Instant) -> (Self, oneshot::Receiver<Result<T, StorageError>>) {
        let (answer, receiver) = oneshot::channel();
        (Self { answer, end }, receiver)
    }

    pub(super) fn is_awaited(&self) -> bool {
        !self.answer.is_closed() && Instant::now() < self.end
    }

    pub(super) fn send(self, answer: Result<T, StorageError>) {
        // Who stopped waiting has lost the answer, not what was done.
        drop(self.answer.send(answer));
    }
}

impl Hold {
    /// Gives the write up for good, unless it is under way.
    pub(super) fn give_up(&self) -> bool {
        let given_up = self.0.compare_exchange(WAITING, GIVEN_UP, AcqRel, Acquire);
        given_up.is_ok()
    }

    fn take(&self) -> bool {
        let taken = self.0.compare_exchange(WAITING, UNDER_WAY, AcqRel, Acquire);
        taken.is_ok()
    }
}

impl<T> Ticket<T> {
    pub(super) fn new(reply: Reply<T>, hold: Arc<Hold>) -> Self {
        Self { reply, hold }
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.reply.is_awaited()
    }

    /// Takes the write in hand, unless it was given up.
    pub(super) fn take(&self) -> bool {
        self.is_awaited() && self.hold.take()
    }

    /// Lays it down again, with nothing of it done.
    pub(super) fn lay_down(&self) {
        self.hold.0.store(WAITING, Release);
    }

    pub(super) fn answer(self, answer: Result<T, StorageError>) {
        self.reply.send(answer);
    }
}
