//! An operation that is submitted later, on another thread than the one that asked for it.

use std::{future::poll_fn, sync::Arc, task::Poll};

use octa_plugin_api::Payload;

use crate::{
    bridge::{BoxFuture, Host, Request, Submitted},
    envelope::Envelope,
    outcome::Outcome,
};

/// What a [`Request`] borrows, owned.
struct Owned {
    operation: u32,
    flags: u32,
    number: u64,
    texts: [String; 7],
    headers: Vec<u8>,
    payload: Payload,
    envelope: Envelope<'static>,
}

/// Submits a copy of `request` when it is first polled, and sees it through.
pub(crate) fn submit(host: Arc<dyn Host>, request: &Request<'_>) -> BoxFuture<Outcome> {
    let owned = Owned::of(request);
    Box::pin(async move {
        let submitted = poll_fn(|cx| Poll::Ready(host.submit(&owned.request(), cx))).await;
        match submitted {
            Submitted::Ready(outcome) => outcome,
            Submitted::New(future) | Submitted::Waiting(future) => future.await,
        }
    })
}

impl Owned {
    fn of(request: &Request<'_>) -> Self {
        let envelope = &request.envelope;
        Self {
            operation: request.operation,
            flags: request.flags,
            number: request.number,
            texts: [
                request.target,
                request.key,
                envelope.caller,
                envelope.chain,
                envelope.trace,
                envelope.routing_key,
                envelope.idempotency_key,
            ]
            .map(str::to_owned),
            headers: envelope.headers.to_vec(),
            payload: request.payload.clone(),
            envelope: Envelope {
                remaining: envelope.remaining,
                correlation: envelope.correlation,
                attempt: envelope.attempt,
                ..Envelope::default()
            },
        }
    }

    fn request(&self) -> Request<'_> {
        let [
            target,
            key,
            caller,
            chain,
            trace,
            routing_key,
            idempotency_key,
        ] = &self.texts;
        Request {
            operation: self.operation,
            flags: self.flags,
            number: self.number,
            target,
            key,
            payload: self.payload.clone(),
            envelope: Envelope {
                caller,
                chain,
                trace,
                routing_key,
                idempotency_key,
                headers: &self.headers,
                ..self.envelope
            },
        }
    }
}
