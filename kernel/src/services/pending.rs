//! A call that waits: for a plugin's work, for a thread that works on it, or to begin again.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use octa_loader::{BoxFuture, Outcome, Work};
use octa_plugin_api::{Error, ErrorKind};

use crate::fate::Fate;

use super::{
    Probation, Provider, Route, Services,
    again::Signals,
    call::{After, Begun, Entry, Setup, note},
    kept::KeptCall,
    room::Place,
    seat::Seat,
};

/// A call that waits. Dropping it cancels it.
pub(crate) struct PendingCall {
    work: Waited,
    probation: Option<Arc<Probation>>,
    timer: BoxFuture<()>,
    limit: Duration,
    /// It was given less time than its provider should have: it is not to blame for being late.
    is_hasty: bool,
    /// What becomes of it when its provider has answered.
    after: After,
    route: Arc<Route>,
    /// That of its provider, where it can be repeated if that dies over it.
    fate: Fate,
    /// Its seat at a provider where it has one; apart, since few calls have.
    seat: Option<Box<Seat>>,
}

/// What a call waits for.
pub(super) enum Waited {
    /// Work of a plugin, polled by who calls.
    Inline(Work, Option<Arc<KeptCall>>),
    /// A thread to spare that works on it; `None` if the provider turned that away.
    Elsewhere(BoxFuture<Option<Outcome>>, Arc<KeptCall>),
    /// Another provider, or the same one again.
    Provider(Signals, Arc<KeptCall>),
    /// A place at a provider; `None` if that took too long.
    Place(BoxFuture<Option<Place>>, Box<(Provider, Arc<KeptCall>)>),
    /// The time to be begun once more.
    Pause(BoxFuture<()>, Arc<KeptCall>),
    /// What others make of it: the steps of a pipeline, the first call with the same key.
    Others(BoxFuture<Outcome>),
    /// It has ended.
    Nothing,
}

/// What came of the wait.
enum Turn {
    /// The answer of a provider.
    Answered(Outcome),
    /// The end of it.
    Ended(Outcome),
    /// It is to begin again.
    Again,
    /// It is to begin at the place that it got, if it got one.
    At(Option<Place>),
}

impl Services {
    /// Arms the deadline, which a call that is ready at once never needs.
    #[inline(never)]
    pub(super) fn wait(
        &self,
        call: &Setup<'_>,
        provider: Option<&Provider>,
        entry: Entry,
        limit: Duration,
        work: Waited,
        cx: &mut Context<'_>,
    ) -> Begun {
        let mut pending = PendingCall {
            work,
            probation: provider.and_then(|provider| provider.probation.clone()),
            timer: self.0.clock.sleep(limit),
            limit,
            is_hasty: provider.is_some_and(|provider| limit < provider.patience()),
            route: call.route.clone(),
            fate: provider
                .filter(|provider| call.is_repeatable_by(provider))
                .map_or_else(Fate::shared, |provider| provider.fate.clone()),
            after: entry.after,
            seat: entry.seat.map(Box::new),
        };
        let polled = match pending.work {
            // It was polled when it began.
            Waited::Inline(..) => pending.poll_timer(cx),
            _ => Pin::new(&mut pending).poll(cx),
        };
        match polled {
            Poll::Ready(outcome) => Begun::Ready(outcome),
            Poll::Pending => Begun::Pending(pending),
        }
    }
}

impl Waited {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        match self {
            Self::Inline(work, ..) => Pin::new(work).poll(cx).map(Turn::Answered),
            Self::Elsewhere(told, ..) => {
                let told = told.as_mut().poll(cx);
                told.map(|told| told.map_or(Turn::Again, Turn::Answered))
            }
            Self::Provider(signals, _) => Pin::new(signals).poll(cx).map(|()| Turn::Again),
            Self::Place(place, ..) => place.as_mut().poll(cx).map(Turn::At),
            Self::Pause(pause, _) => pause.as_mut().poll(cx).map(|()| Turn::Again),
            Self::Others(work) => work.as_mut().poll(cx).map(Turn::Ended),
            Self::Nothing => Poll::Pending,
        }
    }

    /// The call as it was begun, where it may have to begin again.
    fn kept(&self) -> Option<Arc<KeptCall>> {
        match self {
            Self::Inline(_, call) => call.clone(),
            Self::Elsewhere(_, call) | Self::Provider(_, call) | Self::Pause(_, call) => {
                Some(call.clone())
            }
            Self::Place(_, at) => Some(at.1.clone()),
            Self::Others(_) | Self::Nothing => None,
        }
    }
}

impl PendingCall {
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let outcome = match ready!(self.work.poll(cx)) {
            Turn::Answered(outcome) => outcome,
            Turn::Ended(outcome) => return Poll::Ready(outcome),
            Turn::Again => {
                self.seat = None;
                let begun = self.work.kept().and_then(|call| call.begin_again(cx));
                return self.go_on(begun, cx);
            }
            Turn::At(place) => {
                let begun = self.begin_at(place, cx);
                return self.go_on(begun, cx);
            }
        };
        let outcome = match self.seat.take() {
            Some(seat) => seat.settle(outcome),
            None => outcome,
        };
        if let Some(begun) = self.begin_once_more(&outcome, cx) {
            return self.go_on(Some(begun), cx);
        }
        note(self.route.name(), self.probation.as_deref(), &outcome);
        let after = self.after;
        match self.work.kept() {
            Some(call) if after != After::End => {
                let conclude = |it: &Setup<'_>| call.services().conclude(it, after, outcome, cx);
                let begun = call.with(conclude);
                self.go_on(Some(begun), cx)
            }
            _ => Poll::Ready(outcome),
        }
    }

    /// Begins it at a place that it waited for.
    fn begin_at(&self, place: Option<Place>, cx: &mut Context<'_>) -> Option<Begun> {
        let Waited::Place(_, at) = &self.work else {
            return None;
        };
        let (provider, call) = &**at;
        Some(call.with(|it| call.services().begin_at(it, provider, place, cx)))
    }

    /// Begins it elsewhere if its provider has died over it and there is time left.
    fn begin_once_more(&mut self, outcome: &Outcome, cx: &mut Context<'_>) -> Option<Begun> {
        let fate = std::mem::replace(&mut self.fate, Fate::shared());
        let error = outcome.result.as_ref().err()?;
        let kept = self.work.kept().filter(|_| fate.has_ended(error))?;
        kept.begin_once_more(error, cx)
    }

    /// Goes on with another provider, or with the wait for one; the deadline stays as it is unless
    /// another capability answers now, which may declare less. What was waited for is ready, and
    /// must not be polled again.
    fn go_on(&mut self, begun: Option<Begun>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match begun {
            None => Poll::Ready(self.too_late()),
            Some(Begun::Ready(outcome)) => Poll::Ready(outcome),
            Some(Begun::Pending(next)) => {
                self.work = next.work;
                self.probation = next.probation;
                self.fate = next.fate;
                self.seat = next.seat;
                self.is_hasty = next.is_hasty;
                self.after = next.after;
                if !Arc::ptr_eq(&self.route, &next.route) {
                    self.route = next.route;
                    self.timer = next.timer;
                    self.limit = next.limit;
                    return self.poll_timer(cx);
                }
                Poll::Pending
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let is_late = self.timer.as_mut().poll(cx);
        is_late.map(|()| self.too_late())
    }

    fn too_late(&mut self) -> Outcome {
        let message = format!(
            "`{}` did not answer within {:?}",
            self.route.name(),
            self.limit
        );
        let error = Error::new(ErrorKind::Deadline, message);
        if let Some(probation) = self.probation.as_ref().filter(|_| !self.is_hasty) {
            probation.note_late(&error);
        }
        // Its place is not free before it has ended.
        self.work = Waited::Nothing;
        match self.seat.take() {
            Some(seat) => seat.settle(error.into()),
            None => error.into(),
        }
    }
}

impl Future for PendingCall {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.poll_work(cx) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => self.poll_timer(cx),
        }
    }
}

impl fmt::Debug for PendingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingCall(`{}`)", self.route.name())
    }
}
