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
    pending::Waited,
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
        cx: &mut Context<'_>,
    ) -> Begun {
        if envelope.chain.is_empty() {
            let call = Setup {
                route,
                envelope,
                correlation,
                chain: route.chain(),
                payload,
                is_from_inside: false,
                died: None,
            };
            return self.choose(&call, cx);
        }
        self.begin_nested(route, envelope, correlation, payload, cx)
    }

    /// Begins a call that others wait for.
    fn begin_nested(
        &self,
        route: &Arc<Route>,
        envelope: &Envelope<'_>,
        correlation: u128,
        payload: &Payload,
        cx: &mut Context<'_>,
    ) -> Begun {
        match Chain::extend(envelope.chain, route.digits()) {
            Ok(chain) => {
                let call = Setup {
                    route,
                    envelope,
                    correlation,
                    chain: chain.as_str(),
                    payload,
                    is_from_inside: false,
                    died: None,
                };
                self.choose(&call, cx)
            }
            Err(refused) => Begun::Ready(self.refused(refused).into()),
        }
    }

    /// Begins with the provider whose turn it is, or the next one that lets calls in.
    #[inline(always)]
    fn choose(&self, call: &Setup<'_>, cx: &mut Context<'_>) -> Begun {
        self.enter_one(call, &call.route.providers(), cx)
            .unwrap_or_else(|| self.try_again(call, cx))
    }

    /// Enters the provider whose turn it is, or the next one that lets calls in; `None` if there
    /// is none.
    #[inline(always)]
    pub(super) fn enter_one(
        &self,
        call: &Setup<'_>,
        providers: &[Provider],
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        match providers {
            [only] => self.enter(call, only, cx),
            _ => self.enter_in_turn(call, providers, cx),
        }
    }

    /// A provider that says it is dead is asked only if there is no other.
    fn enter_in_turn(
        &self,
        call: &Setup<'_>,
        providers: &[Provider],
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        let (before, after) = providers.split_at(call.route.turn(providers.len()));
        let in_turn = || after.iter().chain(before);
        let alive = in_turn().filter(|provider| !provider.is_dead());
        let dead = in_turn().filter(|provider| provider.is_dead());
        alive
            .chain(dead)
            .find_map(|provider| self.enter(call, provider, cx))
    }

    /// Enters a provider; `None` if it let nothing in.
    #[inline(always)]
    fn enter(&self, call: &Setup<'_>, provider: &Provider, cx: &mut Context<'_>) -> Option<Begun> {
        let limit = self.deadline(call.envelope, provider.deadline);
        if provider.blocking {
            return self.enter_elsewhere(call, provider, limit, cx);
        }
        match provider.start(call, limit, cx) {
            Started::Ready(outcome) => {
                if outcome.result.is_err() || provider.probation.is_some() {
                    if let Some(elsewhere) = self.after_death(call, provider, &outcome, cx) {
                        return elsewhere;
                    }
                    note(call.route.name(), provider.probation.as_deref(), &outcome);
                }
                Some(Begun::Ready(outcome))
            }
            Started::Pending(work) => {
                let is_repeatable = call.is_repeatable_by(provider);
                let kept = is_repeatable.then(|| KeptCall::new(self, call, limit));
                let work = Waited::Inline(work, kept);
                Some(self.wait(call, Some(provider), limit, work, cx))
            }
            Started::TurnedAway(_) => None,
        }
    }

    /// Enters a handler that may block, on a thread to spare.
    fn enter_elsewhere(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        if !call.is_from_inside && !provider.instance.is_open() {
            return None;
        }
        let kept = KeptCall::new(self, call, limit);
        let (copy, entered) = (kept.clone(), provider.clone());
        let told = self.0.spare.run(move || {
            block_on(async {
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
        Some(self.wait(call, Some(provider), limit, work, cx))
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
        let begun = KeptCall::new(self, call, limit).begin_once_more(error, cx)?;
        Some(Some(begun))
    }

    #[cold]
    fn refused(&self, refused: Refused) -> Error {
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

impl From<Error> for Begun {
    fn from(error: Error) -> Self {
        Self::Ready(error.into())
    }
}

impl Provider {
    #[inline(always)]
    fn start(&self, call: &Setup<'_>, limit: Duration, cx: &mut Context<'_>) -> Started {
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
