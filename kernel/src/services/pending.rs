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
    Probation, Provider, Services,
    again::Signals,
    call::{Begun, Setup, note},
    kept::KeptCall,
};

/// A call that waits. Dropping it cancels it.
pub(crate) struct PendingCall {
    work: Waited,
    probation: Option<Arc<Probation>>,
    timer: BoxFuture<()>,
    limit: Duration,
    capability: Arc<str>,
    /// That of a provider that may die over it, where it can be repeated then.
    fate: Option<Fate>,
}

/// What a call waits for.
pub(super) enum Waited {
    /// Work of a plugin, polled by who calls.
    Inline(Work, Option<Arc<KeptCall>>),
    /// A thread to spare that works on it; `None` if the provider turned that away.
    Elsewhere(BoxFuture<Option<Outcome>>, Arc<KeptCall>),
    /// Another provider, or the same one again.
    Provider(Signals, Arc<KeptCall>),
}

impl Services {
    /// Arms the deadline, which a call that is ready at once never needs.
    #[inline(never)]
    pub(super) fn wait(
        &self,
        call: &Setup<'_>,
        provider: Option<&Provider>,
        limit: Duration,
        work: Waited,
        cx: &mut Context<'_>,
    ) -> Begun {
        let mut pending = PendingCall {
            work,
            probation: provider.and_then(|provider| provider.probation.clone()),
            timer: self.0.clock.sleep(limit),
            limit,
            capability: call.route.name().clone(),
            fate: provider
                .filter(|provider| call.is_repeatable_by(provider))
                .map(|provider| provider.fate.clone()),
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
    /// The outcome, or `None` if the call is to begin again.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        match self {
            Self::Inline(work, _) => Pin::new(work).poll(cx).map(Some),
            Self::Elsewhere(told, _) => told.as_mut().poll(cx),
            Self::Provider(signals, _) => Pin::new(signals).poll(cx).map(|()| None),
        }
    }

    /// The call as it was begun, where it may have to begin again.
    fn kept(&self) -> Option<Arc<KeptCall>> {
        match self {
            Self::Inline(_, call) => call.clone(),
            Self::Elsewhere(_, call) | Self::Provider(_, call) => Some(call.clone()),
        }
    }
}

impl PendingCall {
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Some(outcome) = ready!(self.work.poll(cx)) else {
            let begun = self.work.kept().and_then(|call| call.begin_again(cx));
            return self.go_on(begun);
        };
        if let Some(begun) = self.begin_once_more(&outcome, cx) {
            return self.go_on(Some(begun));
        }
        note(&self.capability, self.probation.as_deref(), &outcome);
        Poll::Ready(outcome)
    }

    /// Begins it elsewhere if its provider has died over it and there is time left.
    fn begin_once_more(&mut self, outcome: &Outcome, cx: &mut Context<'_>) -> Option<Begun> {
        let (fate, error) = (self.fate.take()?, outcome.result.as_ref().err()?);
        let kept = self.work.kept().filter(|_| fate.has_ended(error))?;
        kept.begin_once_more(error, cx)
    }

    /// Goes on with another provider, or with the wait for one; the deadline stays as it is. What
    /// was waited for is ready, and must not be polled again.
    fn go_on(&mut self, begun: Option<Begun>) -> Poll<Outcome> {
        match begun {
            None => Poll::Ready(self.too_late()),
            Some(Begun::Ready(outcome)) => Poll::Ready(outcome),
            Some(Begun::Pending(next)) => {
                self.work = next.work;
                self.probation = next.probation;
                self.fate = next.fate;
                Poll::Pending
            }
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.timer.as_mut().poll(cx).map(|()| self.too_late())
    }

    fn too_late(&self) -> Outcome {
        let message = format!(
            "`{}` did not answer within {:?}",
            self.capability, self.limit
        );
        let error = Error::new(ErrorKind::Deadline, message);
        if let Some(probation) = &self.probation {
            probation.note_late(&error);
        }
        error.into()
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
        write!(f, "PendingCall(`{}`)", self.capability)
    }
}
