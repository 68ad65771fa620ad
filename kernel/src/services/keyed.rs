//! Calls with an idempotency key: the first runs on to its deadline also when its caller goes away,
//! and whoever repeats it gets its result.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use octa_loader::Outcome;
use octa_plugin_api::{Error, ErrorKind};
use tokio::sync::watch;

use super::{
    Services,
    call::{Begun, Entry, Setup},
    counts::Counted,
    guard::{Look, Ticket},
    kept::KeptCall,
    pending::{PendingCall, Waited},
};

/// The most bytes of the key of a call from outside; steps of pipelines have longer ones.
pub(super) const MAX_KEY_BYTES: usize = 256;

impl Services {
    /// Begins a call with a key, or finds out what came of the first one.
    #[cold]
    #[inline(never)]
    pub(super) fn begin_keyed(&self, call: &Setup<'_>, cx: &mut Context<'_>) -> Begun {
        let results = call.route.providers().rules().results().clone();
        let (caller, key) = (call.envelope.caller, call.envelope.idempotency_key);
        let now = self.0.clock.monotonic();
        match results.look(caller, key, call.payload, now) {
            Look::Fresh(ticket) => self.begin_first(call, ticket, cx),
            Look::Done(outcome) => {
                call.route.counts().add(Counted::Remembered);
                Begun::Ready(outcome)
            }
            Look::Running(result) => {
                call.route.counts().add(Counted::Remembered);
                self.wait_for_first(call, result, cx)
            }
            Look::OtherInput => other_input(call).into(),
            Look::Full => full(call).into(),
        }
    }

    /// Begins the first call with its key. From now on it is nobody's to cancel.
    fn begin_first(&self, call: &Setup<'_>, ticket: Ticket, cx: &mut Context<'_>) -> Begun {
        match self.choose(call, cx) {
            Begun::Ready(outcome) => {
                ticket.finish(&outcome, self.0.clock.monotonic());
                Begun::Ready(outcome)
            }
            Begun::Pending(pending) => {
                let (result, clock) = (ticket.result(), self.0.clock.clone());
                self.0.pool.spawn(async move {
                    ticket.finish(&pending.await, clock.monotonic());
                });
                self.wait_for_first(call, result, cx)
            }
        }
    }

    fn wait_for_first(
        &self,
        call: &Setup<'_>,
        mut result: watch::Receiver<Option<Outcome>>,
        cx: &mut Context<'_>,
    ) -> Begun {
        let declared = call.route.providers();
        let declared = declared.first().and_then(|provider| provider.deadline);
        let limit = self.deadline(call.envelope, declared);
        let kept = call.keep(self, limit);
        let work = Box::pin(async move {
            let told = result.wait_for(Option::is_some).await;
            let told = told.ok().and_then(|told| told.clone());
            match told.filter(|outcome| !is_late(outcome) || kept.is_late()) {
                Some(outcome) => outcome,
                // The first was given up, or had less time: this one is the first now.
                None => repeat(kept).await,
            }
        });
        self.wait(call, None, Entry::PLAIN, limit, Waited::Others(work), cx)
    }
}

fn is_late(outcome: &Outcome) -> bool {
    let error = outcome.result.as_ref().err();
    error.is_some_and(|error| error.kind() == ErrorKind::Deadline)
}

/// Looks once more for the result of a call.
async fn repeat(kept: Arc<KeptCall>) -> Outcome {
    let begin = |cx: &mut Context<'_>| kept.with(|call| kept.services().begin_keyed(call, cx));
    finish(begin).await
}

/// Begins a call and waits for its end.
pub(super) async fn finish(begin: impl FnOnce(&mut Context<'_>) -> Begun) -> Outcome {
    let mut begin = Some(begin);
    let mut pending: Option<PendingCall> = None;
    poll_fn(|cx| {
        if let Some(begin) = begin.take() {
            match begin(cx) {
                Begun::Ready(outcome) => return Poll::Ready(outcome),
                Begun::Pending(call) => pending = Some(call),
            }
            return Poll::Pending;
        }
        match &mut pending {
            Some(call) => Pin::new(call).poll(cx),
            None => Poll::Pending,
        }
    })
    .await
}

pub(super) fn too_long(call: &Setup<'_>) -> Error {
    let (name, found) = (call.route.name(), call.envelope.idempotency_key.len());
    let message = format!(
        "the idempotency key of a call of `{name}` has {found} bytes, expected 1 to {MAX_KEY_BYTES}"
    );
    Error::new(ErrorKind::InvalidInput, message).with_hint("shorten it, or take a hash of it")
}

fn other_input(call: &Setup<'_>) -> Error {
    let message = format!(
        "`{}` has called `{}` with the idempotency key `{}` before, and with another input",
        call.envelope.caller,
        call.route.name(),
        call.envelope.idempotency_key,
    );
    Error::new(ErrorKind::Conflict, message)
        .with_hint("one key stands for one call: make a new one")
}

fn full(call: &Setup<'_>) -> Error {
    let message = format!(
        "as many calls of `{}` with an idempotency key are under way as can be remembered",
        call.route.name(),
    );
    let hint = format!(
        "raise `remember.results` in `[capabilities.\"{}\"]`",
        call.route.name()
    );
    Error::new(ErrorKind::Overloaded, message).with_hint(hint)
}
