//! One call: the provider is chosen, entered, and waited for no longer than the deadline.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use octa_loader::{BoxFuture, Envelope, Outcome, Started, Terms, Work};
use octa_plugin_api::{Error, ErrorKind, Payload, block_on};

use super::{
    Provider, Route, Services,
    chain::{Chain, LONGEST, Refused},
};

/// How far a call has come.
pub(crate) enum Begun {
    /// It is finished.
    Ready(Outcome),
    /// It waits for something, and will wake who began it.
    Pending(PendingCall),
}

/// A call that waits. Dropping it cancels it.
pub(crate) struct PendingCall {
    work: Waited,
    timer: BoxFuture<()>,
    limit: Duration,
    capability: std::sync::Arc<str>,
}

/// A call on its way to a provider.
struct Setup<'a> {
    route: &'a Route,
    envelope: &'a Envelope<'a>,
    correlation: u128,
    chain: &'a str,
    payload: &'a Payload,
}

enum Waited {
    /// Work of a plugin, polled by who calls.
    Inline(Work),
    /// A thread to spare that works on it.
    Elsewhere(BoxFuture<Outcome>),
}

impl Services {
    /// Begins a call and goes on with it as far as it comes. `correlation` counts instead of the
    /// envelope's.
    #[inline(always)]
    pub(crate) fn begin(
        &self,
        route: &Route,
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
            };
            return self.choose(&call, cx);
        }
        self.begin_nested(route, envelope, correlation, payload, cx)
    }

    /// Begins a call that others wait for.
    fn begin_nested(
        &self,
        route: &Route,
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
                };
                self.choose(&call, cx)
            }
            Err(refused) => Begun::Ready(self.refused(refused).into()),
        }
    }

    /// Begins with the provider whose turn it is, or the next one that lets calls in.
    #[inline(always)]
    fn choose(&self, call: &Setup<'_>, cx: &mut Context<'_>) -> Begun {
        let providers = call.route.providers();
        if let [only] = providers.as_slice() {
            return self.enter(call, only, cx).unwrap_or_else(Begun::from);
        }
        self.choose_among(call, &providers, cx)
    }

    /// A provider that says it is dead is asked only if there is no other.
    fn choose_among(
        &self,
        call: &Setup<'_>,
        providers: &[Provider],
        cx: &mut Context<'_>,
    ) -> Begun {
        let (before, after) = providers.split_at(call.route.turn(providers.len()));
        let in_turn = || after.iter().chain(before);
        let alive = in_turn().filter(|provider| !provider.is_dead());
        let dead = in_turn().filter(|provider| provider.is_dead());
        let mut turned_away = None;
        for provider in alive.chain(dead) {
            match self.enter(call, provider, cx) {
                Ok(begun) => return begun,
                Err(error) => turned_away = Some(error),
            }
        }
        turned_away.unwrap_or_else(|| nobody(call.route)).into()
    }

    /// Enters a provider; an error says that it let nothing in.
    #[inline(always)]
    fn enter(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        cx: &mut Context<'_>,
    ) -> Result<Begun, Error> {
        let terms = Terms {
            remaining: self.deadline(call.envelope, provider),
            correlation: call.correlation,
            chain: call.chain,
        };
        if provider.blocking {
            let work = Waited::Elsewhere(self.enter_elsewhere(call, provider, &terms));
            return Ok(self.wait(call.route, work, terms.remaining, cx));
        }
        let (handler, envelope) = (provider.handler, call.envelope);
        match provider
            .instance
            .call(handler, envelope, &terms, call.payload, cx)
        {
            Started::Ready(outcome) => {
                tell_panic(call.route.name(), &outcome);
                Ok(Begun::Ready(outcome))
            }
            Started::Pending(work) => {
                let work = Waited::Inline(work);
                Ok(self.wait_polled(call.route, work, terms.remaining, cx))
            }
            Started::TurnedAway(error) => Err(error),
        }
    }

    /// Enters a handler that may block, on a thread to spare.
    fn enter_elsewhere(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        terms: &Terms<'_>,
    ) -> BoxFuture<Outcome> {
        let (provider, payload) = (provider.clone(), call.payload.clone());
        let envelope = call.envelope;
        let texts = [envelope.caller, terms.chain, envelope.trace].map(str::to_owned);
        let keys = [envelope.routing_key, envelope.idempotency_key].map(str::to_owned);
        let headers = envelope.headers.to_vec();
        let (remaining, correlation, attempt) =
            (terms.remaining, terms.correlation, envelope.attempt);
        let told = self.0.spare.run(move || {
            let envelope = Envelope {
                attempt,
                trace: &texts[2],
                routing_key: &keys[0],
                idempotency_key: &keys[1],
                headers: &headers,
                ..Envelope::of(&texts[0])
            };
            let terms = Terms {
                remaining,
                correlation,
                chain: &texts[1],
            };
            block_on(async {
                let started = std::future::poll_fn(|cx| {
                    let (instance, handler) = (&provider.instance, provider.handler);
                    Poll::Ready(instance.call(handler, &envelope, &terms, &payload, cx))
                });
                started.await.finish().await
            })
        });
        Box::pin(async move {
            told.await.unwrap_or_else(|_| {
                Error::new(ErrorKind::Internal, "the thread of the call ended early").into()
            })
        })
    }

    /// Waits for work that was not polled yet.
    fn wait(
        &self,
        route: &Route,
        mut work: Waited,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Begun {
        match work.poll(cx) {
            Poll::Ready(outcome) => Begun::Ready(outcome),
            Poll::Pending => self.wait_polled(route, work, limit, cx),
        }
    }

    /// Arms the deadline, which a call that is ready at once never needs.
    fn wait_polled(
        &self,
        route: &Route,
        work: Waited,
        limit: Duration,
        cx: &mut Context<'_>,
    ) -> Begun {
        let timer = self.0.clock.sleep(limit);
        let mut call = PendingCall {
            work,
            timer,
            limit,
            capability: route.name().clone(),
        };
        match call.timer.as_mut().poll(cx) {
            Poll::Ready(()) => Begun::Ready(call.too_late()),
            Poll::Pending => Begun::Pending(call),
        }
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

#[cold]
fn nobody(route: &Route) -> Error {
    let message = format!("no plugin that offers `{}` is started", route.name());
    Error::new(ErrorKind::Unavailable, message).with_hint("`octa list` shows why")
}

/// A panic is a bug of the plugin: its author looks for it in the log.
#[inline]
fn tell_panic(capability: &str, outcome: &Outcome) {
    if let Err(error) = &outcome.result
        && error.kind() == ErrorKind::Panicked
    {
        log::warn!("the call of `{capability}` {error:?}");
    }
}

impl Waited {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self {
            Self::Inline(work) => Pin::new(work).poll(cx),
            Self::Elsewhere(told) => told.as_mut().poll(cx),
        }
    }
}

impl PendingCall {
    fn too_late(&self) -> Outcome {
        let message = format!(
            "`{}` did not answer within {:?}",
            self.capability, self.limit
        );
        Error::new(ErrorKind::Deadline, message).into()
    }
}

impl Future for PendingCall {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Poll::Ready(outcome) = self.work.poll(cx) {
            tell_panic(&self.capability, &outcome);
            return Poll::Ready(outcome);
        }
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(self.too_late()),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl fmt::Debug for PendingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PendingCall(`{}`)", self.capability)
    }
}
