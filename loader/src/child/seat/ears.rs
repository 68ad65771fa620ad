//! The events that an instance waits for at run time: one that was sent to its process goes back
//! where it came from, unless it is taken there.

use std::{
    collections::HashMap,
    mem,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use octa_plugin_abi::operation;
use octa_plugin_api::Payload;
use parking_lot::Mutex;

use super::Seat;
use crate::{
    bridge::{BoxFuture, Request, Submitted},
    envelope::Envelope,
    outcome::Outcome,
};

/// What is waited for, by the number of the subscription. Locked for some instructions, and never
/// while the host is asked.
pub(super) type Ears = Mutex<HashMap<u64, Ear>>;

/// The wait for the events of one subscription: one at a time, in the order of the events.
#[derive(Default)]
pub(super) struct Ear {
    /// The operation that is to be answered with the next event.
    asked: Option<u64>,
    /// Who goes on with the wait that is under way, also if nobody asks any more.
    waiting: Option<Waker>,
    is_waiting: bool,
    /// The operation that was answered last, with the future that was ready then. To drop that
    /// tells the host that the event was taken; to ask for the next before, that it was not.
    answered: Option<(u64, BoxFuture<Outcome>)>,
}

impl Seat {
    /// Answers the operation with the next event of the subscription; the one before was taken.
    /// False if another operation waits for that already.
    pub(super) fn listen(self: &Arc<Self>, number: u64, subscription: u64) -> bool {
        let mut ears = self.ears.lock();
        let ear = ears.entry(subscription).or_default();
        if ear.asked.is_some() {
            return false;
        }
        ear.asked = Some(number);
        let taken = ear.answered.take();
        let is_waiting = mem::replace(&mut ear.is_waiting, true);
        drop(ears);
        drop(taken);
        // Else who asked before has just been cancelled, and the wait goes on for this one.
        if !is_waiting && let Some(next) = self.next_event(subscription) {
            self.wait_on(subscription, next);
        }
        true
    }

    /// Nobody waits for the answer any more: if it was given, it was not taken.
    pub(super) fn stop_listening(&self, number: u64) {
        let mut ears = self.ears.lock();
        let is_it = |ear: &Ear| {
            ear.asked == Some(number) || ear.answered.as_ref().is_some_and(|it| it.0 == number)
        };
        let Some((subscription, ear)) = ears.iter_mut().find(|(_, ear)| is_it(ear)) else {
            return;
        };
        let subscription = *subscription;
        let waiting = ear.waiting.take();
        if ear.asked.take().is_some() {
            drop(ears);
            waiting.into_iter().for_each(Waker::wake);
            return;
        }
        let ear = ears.remove(&subscription);
        drop(ears);
        if let Some((_, answered)) = ear.and_then(|ear| ear.answered) {
            drop(self.give_back(subscription, answered));
        }
    }

    /// The subscription ends: what was answered was taken, or is not wanted.
    pub(super) fn stop_hearing(&self, subscription: u64) {
        let mut ears = self.ears.lock();
        let ear = ears.get_mut(&subscription);
        let answered = ear.and_then(|ear| ear.answered.take());
        drop(ears);
        drop(answered);
    }

    /// Ends every wait.
    pub(super) fn stop_all_listening(&self) {
        let ears = mem::take(&mut *self.ears.lock());
        for ear in ears.into_values() {
            ear.waiting.into_iter().for_each(Waker::wake);
        }
    }

    fn wait_on(self: &Arc<Self>, subscription: u64, mut next: BoxFuture<Outcome>) {
        let seat = self.clone();
        let wait = std::future::poll_fn(move |cx| seat.poll_ear(subscription, &mut next, cx));
        self.bridge.host().drive(Box::pin(wait));
    }

    /// Goes on with a wait; ready when it has ended.
    fn poll_ear(
        &self,
        subscription: u64,
        next: &mut BoxFuture<Outcome>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        while self.is_asked(subscription, cx.waker()) {
            let Poll::Ready(outcome) = next.as_mut().poll(cx) else {
                return Poll::Pending;
            };
            let answered = mem::replace(next, Box::pin(std::future::pending()));
            match self.heard(subscription, outcome, answered) {
                Some(again) => *next = again,
                None => break,
            }
        }
        Poll::Ready(())
    }

    /// Whether an operation is to be answered; if not, the wait has ended.
    fn is_asked(&self, subscription: u64, waker: &Waker) -> bool {
        let mut ears = self.ears.lock();
        let Some(ear) = ears.get_mut(&subscription) else {
            return false;
        };
        ear.waiting = Some(waker.clone());
        let is_asked = ear.asked.is_some();
        if !is_asked {
            ears.remove(&subscription);
        }
        is_asked
    }

    /// Answers who asked; if that was cancelled meanwhile, gives the event back and waits on.
    fn heard(
        &self,
        subscription: u64,
        outcome: Outcome,
        answered: BoxFuture<Outcome>,
    ) -> Option<BoxFuture<Outcome>> {
        if outcome.result.is_err() {
            self.hear_no_more(subscription, outcome);
            return None;
        }
        let mut ears = self.ears.lock();
        let ear = ears.get_mut(&subscription)?;
        let Some(number) = ear.asked.take() else {
            drop(ears);
            return self.give_back(subscription, answered);
        };
        *ear = Ear {
            answered: Some((number, answered)),
            ..Ear::default()
        };
        drop(ears);
        self.done(number, outcome);
        None
    }

    /// Answers who asked that there is nothing to hear.
    fn hear_no_more(&self, subscription: u64, outcome: Outcome) {
        let ear = self.ears.lock().remove(&subscription);
        if let Some(number) = ear.and_then(|ear| ear.asked) {
            self.done(number, outcome);
        }
    }

    /// Tells the host that an event was not taken; answers the wait for the next, which it is.
    fn give_back(
        &self,
        subscription: u64,
        answered: BoxFuture<Outcome>,
    ) -> Option<BoxFuture<Outcome>> {
        let next = self.next_event(subscription);
        drop(answered);
        next
    }

    /// Asks the host for the next event; if there is none to come, that is told.
    fn next_event(&self, subscription: u64) -> Option<BoxFuture<Outcome>> {
        let request = Request {
            operation: operation::NEXT_EVENT,
            flags: 0,
            number: subscription,
            target: "",
            key: "",
            payload: Payload::empty(),
            envelope: Envelope::of(""),
        };
        let mut cx = Context::from_waker(Waker::noop());
        match self.bridge.host().submit(&request, &mut cx) {
            Submitted::New(next) | Submitted::Waiting(next) => Some(next),
            Submitted::Ready(outcome) => {
                self.hear_no_more(subscription, outcome);
                None
            }
        }
    }
}
