//! A call that outlives who began it: a copy of all it consists of, to begin with again.

use std::{fmt, sync::Arc, task::Context, time::Duration};

use octa_loader::Envelope;
use octa_plugin_api::{Error, Payload};

use super::{
    Route, Services,
    call::{Begun, Setup},
};

/// A copy of a call.
pub(super) struct KeptCall {
    services: Services,
    route: Arc<Route>,
    correlation: u128,
    attempt: u32,
    caller: String,
    chain: String,
    trace: String,
    routing_key: String,
    idempotency_key: String,
    headers: Vec<u8>,
    payload: Payload,
    is_from_inside: bool,
    may_retry: bool,
    died: Option<Error>,
    /// When its time is over, by the monotonic clock.
    until: Duration,
}

impl KeptCall {
    pub(super) fn new(services: &Services, call: &Setup<'_>, limit: Duration) -> Arc<Self> {
        let envelope = call.envelope;
        Arc::new(Self {
            services: services.clone(),
            route: call.route.clone(),
            correlation: call.correlation,
            attempt: envelope.attempt,
            caller: envelope.caller.to_owned(),
            chain: call.chain.to_owned(),
            trace: envelope.trace.to_owned(),
            routing_key: envelope.routing_key.to_owned(),
            idempotency_key: envelope.idempotency_key.to_owned(),
            headers: envelope.headers.to_vec(),
            payload: call.payload.clone(),
            is_from_inside: call.is_from_inside,
            may_retry: call.may_retry,
            died: call.died.cloned(),
            until: services.0.clock.monotonic().saturating_add(limit),
        })
    }

    /// Looks for a provider once more, if there is time left.
    pub(super) fn begin_again(self: &Arc<Self>, cx: &mut Context<'_>) -> Option<Begun> {
        (!self.is_late()).then(|| self.with(|call| self.services.try_again(&call.as_outside(), cx)))
    }

    /// Looks for another provider after this one died, or for the same one when it is back, if
    /// there is time left.
    pub(super) fn begin_once_more(
        self: &Arc<Self>,
        died: &Error,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        let begin = |call: &Setup<'_>| {
            let envelope = Envelope {
                attempt: call.envelope.attempt + 1,
                ..*call.envelope
            };
            let call = Setup {
                envelope: &envelope,
                died: Some(died),
                kept: None,
                ..call.as_outside()
            };
            self.services.try_again(&call, cx)
        };
        (!self.is_late()).then(|| self.with(begin))
    }

    pub(super) fn is_late(&self) -> bool {
        self.left().is_zero()
    }

    /// The time that is left of it.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_sub(self.services.0.clock.monotonic())
    }

    /// The same call with the time that is left of it.
    pub(super) fn with<R>(self: &Arc<Self>, job: impl FnOnce(&Setup<'_>) -> R) -> R {
        let envelope = Envelope {
            remaining: Some(self.left()),
            attempt: self.attempt,
            trace: &self.trace,
            routing_key: &self.routing_key,
            idempotency_key: &self.idempotency_key,
            headers: &self.headers,
            ..Envelope::of(&self.caller)
        };
        job(&Setup {
            route: &self.route,
            envelope: &envelope,
            correlation: self.correlation,
            chain: &self.chain,
            payload: &self.payload,
            is_from_inside: self.is_from_inside,
            died: self.died.as_ref(),
            may_retry: self.may_retry,
            kept: Some(self),
        })
    }

    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    pub(super) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub(super) fn payload(&self) -> &Payload {
        &self.payload
    }
}

impl fmt::Debug for KeptCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptCall(`{}`)", self.route.name())
    }
}
