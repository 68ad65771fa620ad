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
    call::{Begun, Entry, Setup},
    chain::DIGITS,
    intake::Moment,
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
    /// It broke down: nobody has seen to that yet, or it may come back.
    is_dead: bool,
    is_expected: bool,
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
            let is_awaited = |watched: &&Watched| {
                watched.moment.is_paused()
                    || call.died.is_some() && (watched.is_dead || watched.is_expected)
            };
            let Some(paused) = seen.intakes.iter().find(is_awaited) else {
                return self.not_begun(call, self.nobody(call), cx);
            };
            if call.may_be_waited_for(&seen.providers)
                && let Some(begun) = self.enter_one(&call.as_inside(), &seen.providers, cx)
            {
                return begun;
            }
            let limit = self.deadline(call.envelope, paused.deadline);
            let work = Waited::Provider(seen.signals, call.keep(self, limit));
            return self.wait(call, None, Entry::PLAIN, limit, work, cx);
        }
    }

    /// That there is no provider; who had one knows how it died.
    fn nobody(&self, call: &Setup<'_>) -> Error {
        if let Some(died) = call.died {
            return died.clone();
        }
        let name = call.route.name();
        let called = self.stands_in_for(call);
        let called = called.map(|called| format!(", which stands in for `{called}`"));
        let called = called.unwrap_or_default();
        if !self.0.declared.lock().contains(name) {
            let message = format!("no plugin offers the capability `{name}`{called}");
            return self.unknown(name, message);
        }
        let comma = if called.is_empty() { "" } else { "," };
        let message = format!("no plugin that offers `{name}`{called}{comma} is started");
        Error::new(ErrorKind::Unavailable, message)
            .with_hint(format!("`octa why {name}` shows why"))
    }

    /// What was called, where a call is answered by a fallback: its own, or that of another one.
    fn stands_in_for(&self, call: &Setup<'_>) -> Option<Arc<str>> {
        let routes = self.0.routes.load();
        let (mut fallback, mut called) = (call.route.name().clone(), None);
        for digits in call.chain.as_bytes().chunks(DIGITS).rev().skip(1) {
            let mut known = routes.values();
            let route = known.find(|route| route.digits() == digits)?;
            if route.providers().rules().fallback() != Some(&*fallback) {
                break;
            }
            fallback = route.name().clone();
            called = Some(fallback.clone());
        }
        called
    }
}

impl Setup<'_> {
    /// Whether it is begun once more if this provider dies over it.
    pub(super) fn is_repeatable_by(&self, provider: &Provider) -> bool {
        provider.fate.is_mortal() && provider.idempotent && self.died.is_none()
    }

    /// Whether a provider may wait for it, directly or by way of other calls.
    fn may_be_waited_for(&self, providers: &Providers) -> bool {
        let is_caller = |provider: &Provider| **provider.instance.name() == *self.envelope.caller;
        self.chain != self.route.chain() || providers.iter().any(is_caller)
    }

    fn as_inside(&self) -> Self {
        Self {
            is_from_inside: true,
            kept: None,
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
        let watch = |(intake, deadline, is_dead): (&Intake, _, bool)| {
            signals.push(Box::pin(intake.next_resumption()));
            Watched {
                moment: intake.look(),
                is_dead,
                is_expected: intake.is_expected(),
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
        let has_changed = |watched: &Watched| {
            let is_given_up = watched.is_expected && !watched.intake.is_expected();
            is_given_up || watched.intake.look() != watched.moment
        };
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
