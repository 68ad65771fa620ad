//! One call: the provider is chosen, entered, and waited for no longer than the deadline.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use octa_loader::{BoxFuture, Envelope, Outcome, Started, Work};
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

enum Waited {
    /// Work of a plugin, polled by who calls.
    Inline(Work),
    /// A thread to spare that works on it.
    Elsewhere(BoxFuture<Outcome>),
}

impl Services {
    /// Begins a call and goes on with it as far as it comes.
    #[inline]
    pub(crate) fn begin(
        &self,
        route: &Route,
        envelope: &Envelope<'_>,
        payload: &Payload,
        cx: &mut Context<'_>,
    ) -> Begun {
        if envelope.chain.is_empty() {
            let envelope = Envelope {
                chain: route.chain(),
                ..*envelope
            };
            return self.choose(route, &envelope, payload, cx);
        }
        match Chain::extend(envelope.chain, route.digits()) {
            Ok(chain) => {
                let envelope = Envelope {
                    chain: chain.as_str(),
                    ..*envelope
                };
                self.choose(route, &envelope, payload, cx)
            }
            Err(refused) => Begun::Ready(self.refused(refused).into()),
        }
    }

    /// Begins with the provider whose turn it is, or the next one that lets calls in; one that
    /// says it is dead is asked only if there is no other.
    #[inline]
    fn choose(
        &self,
        route: &Route,
        envelope: &Envelope<'_>,
        payload: &Payload,
        cx: &mut Context<'_>,
    ) -> Begun {
        let providers = route.providers();
        if let [only] = providers.as_slice() {
            return self
                .enter(route, only, envelope, payload, cx)
                .unwrap_or_else(Begun::from);
        }
        let (before, after) = providers.split_at(route.turn(providers.len()));
        let in_turn = || after.iter().chain(before);
        let alive = in_turn().filter(|provider| !provider.is_dead());
        let dead = in_turn().filter(|provider| provider.is_dead());
        let mut turned_away = None;
        for provider in alive.chain(dead) {
            match self.enter(route, provider, envelope, payload, cx) {
                Ok(begun) => return begun,
                Err(error) => turned_away = Some(error),
            }
        }
        turned_away.unwrap_or_else(|| nobody(route)).into()
    }

    /// Enters a provider; an error says that it let nothing in.
    #[inline]
    fn enter(
        &self,
        route: &Route,
        provider: &Provider,
        envelope: &Envelope<'_>,
        payload: &Payload,
        cx: &mut Context<'_>,
    ) -> Result<Begun, Error> {
        let limit = self.deadline(envelope, provider);
        let envelope = Envelope {
            remaining: Some(limit),
            ..*envelope
        };
        if provider.blocking {
            let work = Waited::Elsewhere(self.enter_elsewhere(provider, &envelope, payload));
            return Ok(self.wait(route, work, limit, cx));
        }
        match provider
            .instance
            .call(provider.handler, &envelope, payload, cx)
        {
            Started::Ready(outcome) => Ok(Begun::Ready(outcome)),
            Started::Pending(work) => Ok(self.wait_polled(route, Waited::Inline(work), limit, cx)),
            Started::TurnedAway(error) => Err(error),
        }
    }

    /// Enters a handler that may block, on a thread to spare.
    fn enter_elsewhere(
        &self,
        provider: &Provider,
        envelope: &Envelope<'_>,
        payload: &Payload,
    ) -> BoxFuture<Outcome> {
        let (provider, payload) = (provider.clone(), payload.clone());
        let texts = [envelope.caller, envelope.chain, envelope.trace].map(str::to_owned);
        let keys = [envelope.routing_key, envelope.idempotency_key].map(str::to_owned);
        let headers = envelope.headers.to_vec();
        let (remaining, correlation, attempt) =
            (envelope.remaining, envelope.correlation, envelope.attempt);
        let told = self.0.spare.run(move || {
            let envelope = Envelope {
                remaining,
                correlation,
                attempt,
                caller: &texts[0],
                chain: &texts[1],
                trace: &texts[2],
                routing_key: &keys[0],
                idempotency_key: &keys[1],
                headers: &headers,
            };
            block_on(async {
                let started = std::future::poll_fn(|cx| {
                    let call = provider
                        .instance
                        .call(provider.handler, &envelope, &payload, cx);
                    Poll::Ready(call)
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
