//! The way of a call: the provider whose turn it is is chosen and entered.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use octa_loader::{Envelope, Outcome, Started, Terms};
use octa_plugin_api::{Error, ErrorKind, Payload, block_on};

use super::{
    PendingCall, Probation, Provider, Route, Services,
    chain::{Chain, LONGEST, Refused},
    kept::KeptCall,
    keyed::{self, MAX_KEY_BYTES},
    pending::Waited,
    route::Providers,
    seat::Seat,
};

/// How far a call has come.
pub(crate) enum Begun {
    /// It is finished.
    Ready(Outcome),
    /// It waits for something, and will wake who began it.
    Pending(PendingCall),
}

/// A call on its way to a provider.
pub(super) struct Setup<'a> {
    pub(super) route: &'a Arc<Route>,
    pub(super) envelope: &'a Envelope<'a>,
    pub(super) correlation: u128,
    pub(super) chain: &'a str,
    pub(super) payload: &'a Payload,
    /// A call or a delivery inside a provider may wait for it.
    pub(super) is_from_inside: bool,
    /// How its first provider died over it, if one has.
    pub(super) died: Option<&'a Error>,
    /// It may be begun once more after an error that may pass.
    pub(super) may_retry: bool,
    /// The copy of it, where there is one.
    pub(super) kept: Option<&'a Arc<KeptCall>>,
}

/// How a call enters a provider, where that is more than going in.
pub(super) struct Entry {
    pub(super) seat: Option<Seat>,
    pub(super) after: After,
}

/// What becomes of a call that a provider has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// That is the end of it.
    End,
    /// It may go on; whether it may be begun once more, as was so when it was begun.
    GoOn { is_repeatable: bool },
}

impl Entry {
    pub(super) const PLAIN: Self = Self {
        seat: None,
        after: After::End,
    };
}

impl Services {
    /// Begins a call and goes on with it as far as it comes. `correlation` counts instead of the
    /// envelope's.
    #[inline(always)]
    pub(crate) fn begin(
        &self,
        route: &Arc<Route>,
        envelope: &Envelope<'_>,
        correlation: u128,
        payload: &Payload,
        may_retry: bool,
        cx: &mut Context<'_>,
    ) -> Begun {
        let call = Setup {
            route,
            envelope,
            correlation,
            chain: route.chain(),
            payload,
            is_from_inside: false,
            died: None,
            may_retry,
            kept: None,
        };
        if envelope.chain.is_empty() && envelope.idempotency_key.is_empty() {
            return self.choose(&call, cx);
        }
        self.begin_nested(&call, cx)
    }

    /// Begins a call that others wait for, or that has a key.
    fn begin_nested(&self, call: &Setup<'_>, cx: &mut Context<'_>) -> Begun {
        if call.envelope.idempotency_key.len() > MAX_KEY_BYTES {
            return keyed::too_long(call).into();
        }
        match Chain::extend(call.envelope.chain, call.route.digits()) {
            Ok(chain) => {
                let call = Setup {
                    chain: chain.as_str(),
                    ..*call
                };
                self.begin_as(&call, cx)
            }
            Err(refused) => Begun::Ready(self.refused(refused).into()),
        }
    }

    /// Begins a call whose chain is known.
    pub(super) fn begin_as(&self, call: &Setup<'_>, cx: &mut Context<'_>) -> Begun {
        match call.envelope.idempotency_key {
            "" => self.choose(call, cx),
            _ => self.begin_keyed(call, cx),
        }
    }

    /// Begins with the provider whose turn it is, or the next one that lets calls in.
    #[inline(always)]
    pub(super) fn choose(&self, call: &Setup<'_>, cx: &mut Context<'_>) -> Begun {
        let providers = call.route.providers();
        let begun = match providers.plain() {
            Some(only) => self.enter_plain(call, only, cx),
            None => self.begin_guarded(call, &providers, cx),
        };
        drop(providers);
        begun.unwrap_or_else(|| self.try_again(call, cx))
    }

    /// Enters the provider whose turn it is, or the next one that lets calls in; `None` if there
    /// is none.
    pub(super) fn enter_one(
        &self,
        call: &Setup<'_>,
        providers: &Providers,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        match providers.plain() {
            Some(only) if call.may_enter(only) => self.enter_plain(call, only, cx),
            Some(_) => None,
            None => self.offer(call, providers, cx),
        }
    }

    /// Enters a provider where that is all there is to it; `None` if it let nothing in.
    #[inline(always)]
    fn enter_plain(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        if provider.blocking {
            return self.enter(call, provider, Entry::PLAIN, cx);
        }
        let limit = self.deadline(call.envelope, provider.deadline);
        match provider.start(call, limit, cx) {
            Started::Ready(outcome) if outcome.result.is_ok() && provider.probation.is_none() => {
                Some(Begun::Ready(outcome))
            }
            other => self.go_on_plainly(call, provider, limit, other, cx),
        }
    }

    /// Apart, so that the way of an answer that is ready makes no room for what it does not need.
    #[inline(never)]
    fn go_on_plainly(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        limit: Duration,
        started: Started,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        self.go_on_with(call, provider, Entry::PLAIN, limit, started, cx)
    }

    /// Enters a provider; `None` if it let nothing in.
    pub(super) fn enter(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        entry: Entry,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        let limit = self.deadline(call.envelope, provider.deadline);
        if provider.blocking {
            return self.enter_elsewhere(call, provider, entry, limit, cx);
        }
        let started = provider.start(call, limit, cx);
        self.go_on_with(call, provider, entry, limit, started, cx)
    }

    fn go_on_with(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        entry: Entry,
        limit: Duration,
        started: Started,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        match started {
            Started::Ready(outcome) => self.ended(call, provider, entry, outcome, cx),
            Started::Pending(work) => {
                let is_kept = entry.after != After::End || call.is_repeatable_by(provider);
                let kept = is_kept.then(|| call.keep(self, limit));
                let work = Waited::Inline(work, kept);
                Some(self.wait(call, Some(provider), entry, limit, work, cx))
            }
            Started::TurnedAway(_) => None,
        }
    }

    /// What follows from the answer of a provider: `None` if it was as if that let nothing in.
    fn ended(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        entry: Entry,
        outcome: Outcome,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        let outcome = match entry.seat {
            Some(seat) => seat.settle(outcome),
            None => outcome,
        };
        if let Some(elsewhere) = self.after_death(call, provider, &outcome, cx) {
            return elsewhere;
        }
        note(call.route.name(), provider.probation.as_deref(), &outcome);
        Some(self.conclude(call, entry.after, outcome, cx))
    }

    /// Enters a handler that may block, on a thread to spare.
    fn enter_elsewhere(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        mut entry: Entry,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        if !call.is_from_inside && !provider.instance.is_open() {
            return None;
        }
        let kept = call.keep(self, limit);
        // Gone when nobody waits for it any more: then it is not begun.
        let (copy, entered) = (Arc::downgrade(&kept), provider.clone());
        // A handler that blocks may outlast its call, and takes its place as long.
        let place = entry.seat.as_mut().and_then(Seat::give_place);
        let told = self.0.spare.run(move || {
            let _place = place;
            let copy = copy.upgrade().filter(|call| !call.is_late())?;
            block_on(async {
                // It may have waited for its thread.
                let limit = limit.min(copy.left());
                let start = |cx: &mut Context<'_>| copy.with(|call| entered.start(call, limit, cx));
                match poll_fn(|cx| Poll::Ready(start(cx))).await {
                    // It was closed while the thread got ready.
                    Started::TurnedAway(_) => None,
                    started => Some(started.finish().await),
                }
            })
        });
        let told = Box::pin(async move {
            told.await.unwrap_or_else(|_| {
                let message = "the thread of the call ended early";
                Some(Error::new(ErrorKind::Internal, message).into())
            })
        });
        let work = Waited::Elsewhere(told, kept);
        Some(self.wait(call, Some(provider), entry, limit, work, cx))
    }

    /// Where a call goes whose provider was dead, which is as if that let nothing in, or died over
    /// it; nowhere if the outcome is to stay.
    #[cold]
    fn after_death(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        outcome: &Outcome,
        cx: &mut Context<'_>,
    ) -> Option<Option<Begun>> {
        let error = outcome.result.as_ref().err()?;
        if provider.fate.has_refused(error) && provider.idempotent {
            return Some(None);
        }
        if !call.is_repeatable_by(provider) || !provider.fate.has_ended(error) {
            return None;
        }
        let limit = self.deadline(call.envelope, provider.deadline);
        let begun = call.keep(self, limit).begin_once_more(error, cx)?;
        Some(Some(begun))
    }

    #[cold]
    pub(super) fn refused(&self, refused: Refused) -> Error {
        match refused {
            Refused::Cycle(numbers) => {
                let around = self.names(&numbers).join("` → `");
                Error::new(
                    ErrorKind::Cycle,
                    format!("the call waits for itself: `{around}`"),
                )
                .with_hint("publish an event instead of calling back")
            }
            Refused::TooLong => Error::new(
                ErrorKind::Cycle,
                format!("more than {LONGEST} calls wait for each other"),
            ),
        }
    }
}

impl Setup<'_> {
    /// One that a provider died over may have been done.
    pub(super) fn may_enter(&self, provider: &Provider) -> bool {
        self.died.is_none() || provider.idempotent
    }
}

impl From<Error> for Begun {
    fn from(error: Error) -> Self {
        Self::Ready(error.into())
    }
}

impl Provider {
    #[inline(always)]
    fn start(&self, call: &Setup<'_>, limit: Duration, cx: &mut Context<'_>) -> Started {
        if limit.is_zero() {
            return no_time(call);
        }
        let terms = Terms {
            remaining: limit,
            correlation: call.correlation,
            chain: call.chain,
        };
        let (instance, handler) = (&self.instance, self.handler);
        if call.is_from_inside {
            return instance.call_from_inside(handler, call.envelope, &terms, call.payload, cx);
        }
        instance.call(handler, call.envelope, &terms, call.payload, cx)
    }
}

/// Whoever is told so may call again: what is begun now would be done twice.
#[cold]
#[inline(never)]
fn no_time(call: &Setup<'_>) -> Started {
    let message = format!("no time is left for a call of `{}`", call.route.name());
    Started::Ready(Error::new(ErrorKind::Deadline, message).into())
}

/// Notes how a call ended. A panic is a bug of the plugin: its author looks for it in the log.
#[cold]
pub(super) fn note(capability: &str, probation: Option<&Probation>, outcome: &Outcome) {
    if let Err(error) = &outcome.result
        && error.kind() == ErrorKind::Panicked
    {
        log::warn!("the call of `{capability}` {error:?}");
    }
    if let Some(probation) = probation {
        probation.note(&outcome.result);
    }
}
