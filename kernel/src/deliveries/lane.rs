//! Carries events from a mailbox into a handler, batch by batch, until it is told to leave.

use std::{
    future::poll_fn,
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use octa_plugin_api::{Error, ErrorKind};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, watch};

use super::{
    Deliveries,
    mailbox::{Mailbox, Taking, Turn},
};
use crate::{bus::Held, fate::DEATHS_MAX};

/// The most events of one batch.
const BATCH: usize = 64;

/// Added to the count of handled events, it puts the batch at its end: the handler that runs is
/// the last.
const CUT: usize = 1 << (usize::BITS - 1);

/// One of those that deliver a mailbox's events to a handler, one batch at a time.
pub(super) struct Lane {
    mailbox: Mailbox,
    deliveries: Deliveries,
    /// Locked for some instructions by the lane itself before and after it enters the plugin, and
    /// by who tells it to leave or cuts it off.
    hand: Mutex<Hand>,
}

/// What a lane has in hand.
struct Hand {
    /// Empty while neither the plugin has one, nor the lane until it is tried again.
    batch: Vec<Held>,
    /// The plugin has none of the batch: its first is to be tried again after a while.
    is_pausing: bool,
    /// Counts how many of them the plugin has handled well.
    handled: Arc<AtomicUsize>,
    /// None once the lane has ended, or was cut off: then others have seen to its batch.
    place: Option<Place>,
}

/// A lane's place among the lanes of its generation.
pub(super) struct Place {
    /// Keeps those that read the same mailbox from taking until what the lane took is begun. Here,
    /// so that it is taken away from a lane that is cut off as it begins.
    pub(super) taking: Option<Taking>,
    /// Shared with those that read the same mailbox. Declared before the next, so given away
    /// before: who sees that the lanes are gone finds the turn free.
    pub(super) _turn: Arc<OnceCell<Turn>>,
    /// Dropped when the lane is gone.
    pub(super) _here: watch::Receiver<()>,
}

impl Lane {
    pub(super) fn new(mailbox: Mailbox, deliveries: Deliveries, place: Place) -> Self {
        let hand = Hand {
            batch: Vec::new(),
            is_pausing: false,
            handled: Arc::default(),
            place: Some(place),
        };
        Self {
            mailbox,
            deliveries,
            hand: Mutex::new(hand),
        }
    }

    /// Delivers until it is told to leave, the mailbox is closed and empty, or the instance lets
    /// no more in.
    pub(super) async fn run(
        self: Arc<Self>,
        turn: Arc<OnceCell<Turn>>,
        mut leaving: watch::Receiver<bool>,
    ) {
        let lane = Ending(&self);
        tokio::select! {
            biased;
            _ = leaving.changed() => return,
            turn = turn.get_or_try_init(|| lane.0.mailbox.turn()) => if turn.is_err() { return },
        }
        // From now on the place alone holds the turn: it can be taken away.
        drop(turn);
        let mut batch = Vec::new();
        let told = &leaving;
        while self.take(&mut batch, told).await && self.deliver_all(&mut batch, told).await {}
    }

    /// Waits for events. False if there are none to come, or it shall leave.
    async fn take(&self, batch: &mut Vec<Held>, leaving: &watch::Receiver<bool>) -> bool {
        if !self.is_alone() {
            return self.take_one(batch, leaving).await;
        }
        let _taking = self.mailbox.taking().await;
        self.take_some(batch, BATCH, leaving).await
    }

    /// Waits for one event, and keeps the other lanes from taking until it is begun: they would
    /// begin later ones before it.
    async fn take_one(&self, batch: &mut Vec<Held>, leaving: &watch::Receiver<bool>) -> bool {
        let taking = self.mailbox.kept_taking().await;
        let is_taken = self.take_some(batch, 1, leaving).await;
        if is_taken && let Some(place) = &mut self.hand.lock().place {
            place.taking = Some(taking);
        }
        is_taken
    }

    fn take_some(
        &self,
        batch: &mut Vec<Held>,
        most: usize,
        leaving: &watch::Receiver<bool>,
    ) -> impl Future<Output = bool> {
        poll_fn(move |cx| {
            if told(leaving) {
                return Poll::Ready(false);
            }
            match self.mailbox.poll_take(cx, batch, most) {
                Poll::Ready(taken) => Poll::Ready(taken > 0),
                // Told just now, when there was nobody to be woken yet.
                Poll::Pending if told(leaving) => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
    }

    /// Whether no other lane of its generation reads the mailbox.
    fn is_alone(&self) -> bool {
        self.deliveries.declared.concurrency <= 1
    }

    /// Takes out what keeps the others from taking: what it took is begun.
    fn stop_taking(&self) -> Option<Taking> {
        if self.is_alone() {
            return None;
        }
        let mut hand = self.hand.lock();
        hand.place.as_mut().and_then(|place| place.taking.take())
    }

    /// Delivers a batch. False if the lane ends, and what is left of the batch is in the mailbox.
    pub(super) async fn deliver_all(
        &self,
        batch: &mut Vec<Held>,
        leaving: &watch::Receiver<bool>,
    ) -> bool {
        while !batch.is_empty() {
            let letters = batch.clone();
            let handled = Arc::new(AtomicUsize::new(0));
            if !self.take_in_hand(batch, &handled, leaving) {
                self.give_back(batch);
                return false;
            }
            let begun = || self.stop_taking();
            let result = self.deliveries.deliver(letters, &handled, begun).await;
            // Empty if the lane was cut off meanwhile.
            mem::swap(&mut self.hand.lock().batch, batch);
            let mut ends = result.is_none() || told(leaving);
            if let Some(result) = result {
                // Nothing is begun in a process that is dead.
                ends |= result.is_err() && self.deliveries.fate.is_dead();
                let pause = self.settle(batch, handled.load(Ordering::Acquire), result, ends);
                if !pause.is_zero() && !ends {
                    ends = !self.pause(batch, pause, leaving).await;
                }
            }
            if ends {
                self.give_back(batch);
                return false;
            }
        }
        true
    }

    /// Waits until the first event of a batch is to be tried again. False if the lane shall leave.
    #[cold]
    async fn pause(
        &self,
        batch: &mut Vec<Held>,
        pause: Duration,
        leaving: &watch::Receiver<bool>,
    ) -> bool {
        self.keep_in_hand(batch, true);
        let mut leaving = leaving.clone();
        let goes_on = tokio::select! {
            biased;
            _ = leaving.changed() => false,
            () = self.deliveries.clock.sleep(pause) => true,
        };
        self.keep_in_hand(batch, false);
        goes_on
    }

    fn keep_in_hand(&self, batch: &mut Vec<Held>, is_pausing: bool) {
        let mut hand = self.hand.lock();
        mem::swap(&mut hand.batch, batch);
        hand.is_pausing = is_pausing;
    }

    /// False if none of the batch shall be begun. A single event always is: others may have begun
    /// those after it.
    fn take_in_hand(
        &self,
        batch: &mut Vec<Held>,
        handled: &Arc<AtomicUsize>,
        leaving: &watch::Receiver<bool>,
    ) -> bool {
        let mut hand = self.hand.lock();
        // Under the lock: who tells to leave looks into the hand afterwards.
        if batch.len() > 1 && told(leaving) {
            return false;
        }
        mem::swap(&mut hand.batch, batch);
        hand.handled = handled.clone();
        true
    }

    /// Takes out of a batch what needs no more: what was handled, and the event after it if it
    /// was tried too often. Answers how long that waits if it is to be tried again.
    pub(super) fn settle(
        &self,
        batch: &mut Vec<Held>,
        handled: usize,
        result: Result<(), Error>,
        ends: bool,
    ) -> Duration {
        let handled = batch.len().min(handled & !CUT);
        if let Some(probation) = &self.deliveries.probation {
            probation.note_deliveries(handled as u64, &result);
        }
        batch.drain(..handled);
        let Err(error) = result else {
            // Unless it was cut short, that is all of it.
            if !ends {
                batch.clear();
            }
            return Duration::ZERO;
        };
        let Some(failed) = batch.first_mut() else {
            return Duration::ZERO;
        };
        if self.deliveries.fate.has_ended(&error) {
            self.settle_death(batch, &error);
            return Duration::ZERO;
        }
        if failed.attempt < self.deliveries.declared.retries {
            failed.attempt += 1;
            self.mailbox.count_retry();
            return self.deliveries.pause(failed);
        }
        let failed = batch.remove(0);
        self.tell_dead(&failed, failed.attempt + 1, &error);
        Duration::ZERO
    }

    /// The process died over the first event of a batch. It is delivered again whatever was
    /// declared: that may have been no fault of it, unless it happens again.
    fn settle_death(&self, batch: &mut Vec<Held>, error: &Error) {
        let Some(held) = batch.first_mut() else {
            return;
        };
        held.attempt += 1;
        held.deaths += 1;
        self.deliveries.fate.note(held);
        if held.deaths < DEATHS_MAX {
            return self.mailbox.count_retry();
        }
        let times = held.deaths;
        let given_up = batch.remove(0);
        let error = error.clone().context(format!("in {times} deliveries"));
        self.tell_dead(&given_up, given_up.attempt, &error);
    }

    fn tell_dead(&self, held: &Held, attempts: u32, error: &Error) {
        let publisher = &self.deliveries.publisher;
        self.mailbox.tell_dead(held, attempts, error, publisher);
    }

    fn give_back(&self, batch: &mut Vec<Held>) {
        let publisher = &self.deliveries.publisher;
        self.mailbox.take_back(mem::take(batch), publisher);
    }

    /// Ends it soon, when it has been told: the plugin begins no further event of the batch it
    /// has, and the lane looks up if it waits for events.
    pub(super) fn leave(&self) {
        let hand = self.hand.lock();
        if hand.batch.len() > 1 {
            hand.handled.fetch_or(CUT, Ordering::AcqRel);
        }
        drop(hand);
        self.mailbox.wake();
    }

    /// Takes its batch from a lane whose handler does not return. The event it runs on is
    /// interrupted, the others go back.
    pub(super) fn cut_off(&self) {
        let mut hand = self.hand.lock();
        if hand.batch.is_empty() || hand.is_pausing {
            // On its way out by itself.
            return;
        }
        let place = hand.place.take();
        let mut batch = mem::take(&mut hand.batch);
        let handled = hand.handled.fetch_or(CUT, Ordering::AcqRel);
        drop(hand);
        let message = "the handler did not return before the plugin was stopped";
        let error = Error::new(ErrorKind::Interrupted, message);
        self.settle(&mut batch, handled, Err(error), true);
        self.give_back(&mut batch);
        drop(place);
    }
}

/// A lane that runs, and is gone when this is dropped, also with the thread pool.
struct Ending<'a>(&'a Lane);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut hand = self.0.hand.lock();
        let mut batch = mem::take(&mut hand.batch);
        let place = hand.place.take();
        drop(hand);
        self.0.give_back(&mut batch);
        drop(place);
    }
}

/// Whether the plugin has handled any event of a batch well.
pub(super) fn is_any_handled(handled: &AtomicUsize) -> bool {
    handled.load(Ordering::Acquire) & !CUT > 0
}

/// Whether the lane shall leave.
fn told(leaving: &watch::Receiver<bool>) -> bool {
    leaving.has_changed().unwrap_or(true)
}
