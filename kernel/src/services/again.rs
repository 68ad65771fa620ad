//! What becomes of a call that every provider turned away: while they change it looks again, while
//! they are being replaced it waits, and only then is nobody there.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use octa_plugin_api::{Error, ErrorKind};
use tokio::sync::futures::OwnedNotified;

use super::{
    Intake, Provider, Route, Services,
    call::{Begun, Setup},
    intake::Moment,
    kept::KeptCall,
    pending::Waited,
    route::Providers,
};

/// Ready at the first of several signals.
pub(super) struct Signals(Box<[Pin<Box<OwnedNotified>>]>);

/// A route and its intakes as they were before a call tried its providers.
struct Seen {
    /// Asked for before anything was looked at, so that no change is missed.
    signals: Signals,
    providers: Arc<Providers>,
    intakes: Vec<Watched>,
}

struct Watched {
    intake: Intake,
    moment: Moment,
    deadline: Option<Duration>,
}

impl Services {
    /// Begins a call that was turned away once more. A caller may have found a provider before it
    /// was replaced and entered it after: who is turned away by what nobody has replaced meanwhile
    /// knows that it is not that.
    #[cold]
    #[inline(never)]
    pub(super) fn try_again(&self, call: &Setup<'_>, cx: &mut Context<'_>) -> Begun {
        loop {
            let seen = Seen::now(call.route);
            if let Some(begun) = self.enter_one(call, &seen.providers, cx) {
                return begun;
            }
            if seen.is_past(call.route) {
                continue;
            }
            let Some(paused) = seen.intakes.iter().find(|w| w.moment.is_paused()) else {
                return nobody(call.route).into();
            };
            if call.may_be_waited_for(&seen.providers)
                && let Some(begun) = self.enter_one(&call.as_inside(), &seen.providers, cx)
            {
                return begun;
            }
            let limit = self.deadline(call.envelope, paused.deadline);
            let kept = KeptCall::new(self, call, limit);
            return self.wait(call, None, limit, Waited::Provider(seen.signals, kept), cx);
        }
    }
}

impl Setup<'_> {
    /// Whether a provider may wait for it, directly or by way of other calls.
    fn may_be_waited_for(&self, providers: &Providers) -> bool {
        let is_caller = |provider: &Provider| **provider.instance.name() == *self.envelope.caller;
        self.chain != self.route.chain() || providers.iter().any(is_caller)
    }

    fn as_inside(&self) -> Self {
        Self {
            is_from_inside: true,
            ..*self
        }
    }

    pub(super) fn as_outside(&self) -> Self {
        Self {
            is_from_inside: false,
            ..*self
        }
    }
}

impl Seen {
    fn now(route: &Route) -> Self {
        let mut signals = vec![Box::pin(route.next_change())];
        let providers = route.providers();
        let watch = |(intake, deadline): (&Intake, _)| {
            signals.push(Box::pin(intake.next_resumption()));
            Watched {
                moment: intake.look(),
                intake: intake.clone(),
                deadline,
            }
        };
        Self {
            intakes: providers.intakes().map(watch).collect(),
            signals: Signals(signals.into()),
            providers: Arc::clone(&providers),
        }
    }

    fn is_past(&self, route: &Route) -> bool {
        let has_changed = |watched: &Watched| watched.intake.look() != watched.moment;
        !Arc::ptr_eq(&self.providers, &route.providers()) || self.intakes.iter().any(has_changed)
    }
}

impl Future for Signals {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut signals = self.0.iter_mut();
        if signals.any(|signal| signal.as_mut().poll(cx).is_ready()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

fn nobody(route: &Route) -> Error {
    let message = format!("no plugin that offers `{}` is started", route.name());
    Error::new(ErrorKind::Unavailable, message).with_hint("`octa list` shows why")
}
