//! The way of a call that is more than the way to a provider and back: what is checked before it,
//! who it is offered to, and how it goes on when that fails. Everything here is off the way of a
//! plain call.

use std::{sync::Arc, task::Context, time::Duration};

use octa_loader::{
    Envelope, Outcome,
    policy::{Retry, Routing, Switch},
};
use octa_plugin_api::Error;

use super::{
    Provider, Route, Services,
    call::{After, Begun, Entry, Setup},
    chain::{Chain, LONGEST},
    counts::Counted,
    kept::KeptCall,
    kinds::{is_no_answer, may_pass},
    order::Order,
    pending::Waited,
    refusals::{cut_off, full, no_key, too_soon},
    room::Place,
    route::Providers,
    rules::Rules,
    seat::{NoSeat, Seat},
};
use crate::backoff::backoff;

impl Services {
    /// Begins a call whose capability is limited, judged, or answered in another way. `None` if
    /// no provider let it in.
    #[cold]
    #[inline(never)]
    pub(super) fn begin_guarded(
        &self,
        call: &Setup<'_>,
        providers: &Providers,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        let rules = providers.rules();
        if let Some(refused) = self.refuse(call, providers) {
            return Some(refused.into());
        }
        if let Some(budget) = rules.budget() {
            budget.deposit();
        }
        if let Some(steps) = rules.steps() {
            return Some(self.begin_steps(call, steps.clone(), cx));
        }
        if !rules.may_go_on() {
            return self.offer(call, providers, cx);
        }
        // A copy from the first on: its time runs from here, however often it is begun.
        let declared = providers.first().and_then(|provider| provider.deadline);
        let kept = KeptCall::new(self, call, self.deadline(call.envelope, declared));
        let begin = |call: &Setup<'_>| {
            let begun = self.offer(call, providers, cx);
            begun.unwrap_or_else(|| self.try_again(call, cx))
        };
        Some(kept.with(begin))
    }

    /// Why a call is not even offered to anybody.
    fn refuse(&self, call: &Setup<'_>, providers: &Providers) -> Option<Error> {
        let (route, rules) = (call.route, providers.rules());
        let caller = call.envelope.caller;
        if let Some(wait) = rules.too_soon(caller, self.0.clock.monotonic()) {
            route.counts().add(Counted::TooSoon);
            return Some(too_soon(route, rules, caller, wait));
        }
        if rules.routing() == Routing::ByKey && call.envelope.routing_key.is_empty() {
            return Some(no_key(route));
        }
        None
    }

    /// Offers a call to one provider after the other; `None` if none let it in.
    pub(super) fn offer(
        &self,
        call: &Setup<'_>,
        providers: &Providers,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        let (mut full, mut is_cut_off) = (Vec::new(), false);
        let order = Order::of(call.route, providers, call.envelope.routing_key);
        let begun = order.find(|provider| {
            // The dead come last: those who do well are waited for instead.
            let is_last = provider.is_dead() && full.iter().any(|it: &&Provider| !it.is_dead());
            if is_last || !call.may_enter(provider) {
                return None;
            }
            let seat = match provider.guard.as_ref().map(|guard| guard.take_seat()) {
                None => None,
                Some(Ok(seat)) => Some(seat),
                Some(Err(NoSeat::Full)) => {
                    full.push(provider);
                    return None;
                }
                Some(Err(NoSeat::CutOff)) => {
                    is_cut_off = true;
                    return None;
                }
            };
            let checked = provider.guard.as_ref().map(|it| it.check(call.payload));
            if let Some(Err(wrong)) = checked {
                return Some(wrong.into());
            }
            let after = self.after(call, provider, providers.rules());
            self.enter(call, provider, Entry { seat, after }, cx)
        });
        if begun.is_some() {
            return begun;
        }
        if !full.is_empty() {
            return Some(self.wait_for_place(call, &full, cx));
        }
        // While one is being replaced, its next generation is waited for.
        let is_paused = || providers.intakes().any(|(intake, ..)| intake.is_paused());
        if is_cut_off && !is_paused() {
            call.route.counts().add(Counted::CutOff);
            return Some(self.cut_off(call, providers, cx));
        }
        None
    }

    /// What is to become of a call when this provider has answered it.
    fn after(&self, call: &Setup<'_>, provider: &Provider, rules: &Rules) -> After {
        if !rules.may_go_on() {
            return After::End;
        }
        let has_key = !call.envelope.idempotency_key.is_empty();
        let is_repeatable = has_key || provider.idempotent && call.route.is_idempotent();
        After::GoOn { is_repeatable }
    }

    /// Queues at the first of those that have room for one who waits, and takes the first place that any of them has.
    fn wait_for_place(&self, call: &Setup<'_>, full: &[&Provider], cx: &mut Context<'_>) -> Begun {
        let guards = || full.iter().filter_map(|provider| provider.guard.as_ref());
        let rooms: Vec<_> = guards().filter_map(|guard| guard.room()).collect();
        let queued = guards().find_map(|guard| guard.queue(&rooms));
        let provider = full[0];
        let Some(queued) = queued else {
            return self.no_place(call, provider, cx);
        };
        let limit = self.deadline(call.envelope, provider.deadline);
        let kept = call.keep(self, limit);
        let work = Waited::Place(queued, Box::new((provider.clone(), kept)));
        self.wait(call, None, Entry::PLAIN, limit, work, cx)
    }

    /// Enters a provider whose place was waited for, or goes on without one.
    pub(super) fn begin_at(
        &self,
        call: &Setup<'_>,
        provider: &Provider,
        place: Option<Place>,
        cx: &mut Context<'_>,
    ) -> Begun {
        let Some(place) = place else {
            return self.no_place(call, provider, cx);
        };
        // Whoever has taken over from one serves in the same room.
        let providers = call.route.providers();
        let guarded = providers.iter().filter(|it| call.may_enter(it));
        let mut guarded = guarded.filter_map(|it| Some((it, it.guard.as_ref()?)));
        let Some((provider, guard)) = guarded.find(|(_, guard)| guard.is_of(&place)) else {
            return self.try_again(call, cx);
        };
        let seat = guard.take_seat_at(Some(place)).ok();
        let enter = |seat: Seat| {
            let after = self.after(call, provider, providers.rules());
            let seat = Some(seat);
            self.enter(call, provider, Entry { seat, after }, cx)
        };
        seat.and_then(enter)
            .unwrap_or_else(|| self.try_again(call, cx))
    }

    fn no_place(&self, call: &Setup<'_>, provider: &Provider, cx: &mut Context<'_>) -> Begun {
        call.route.counts().add(Counted::NoPlace);
        self.not_begun(call, full(call.route, provider), cx)
    }

    /// What becomes of a call that all breakers keep away: it fails at once, and is not tried again before they would
    /// let it in.
    fn cut_off(&self, call: &Setup<'_>, providers: &Providers, cx: &mut Context<'_>) -> Begun {
        let error = cut_off(call.route, providers);
        let is_safe = call.died.is_none() || self.is_repeatable(call);
        let fall_back = || self.fall_back(call, providers.rules(), &error, cx);
        let begun = is_safe.then(fall_back).flatten();
        begun.unwrap_or_else(|| error.into())
    }

    /// What becomes of a call that no provider began.
    pub(super) fn not_begun(&self, call: &Setup<'_>, error: Error, cx: &mut Context<'_>) -> Begun {
        let is_repeatable = || self.is_repeatable(call);
        let has_run = call.died.is_some().then(is_repeatable);
        self.go_on(call, &error, has_run, cx)
            .unwrap_or_else(|| error.into())
    }

    /// What becomes of a call that a provider has answered.
    pub(super) fn conclude(
        &self,
        call: &Setup<'_>,
        after: After,
        outcome: Outcome,
        cx: &mut Context<'_>,
    ) -> Begun {
        let (Err(error), After::GoOn { is_repeatable }) = (&outcome.result, after) else {
            return Begun::Ready(outcome);
        };
        self.go_on(call, error, Some(is_repeatable), cx)
            .unwrap_or(Begun::Ready(outcome))
    }

    /// How a call goes on that failed, if it does. `has_run` if a provider may have begun it: then
    /// whether it may be begun once more.
    pub(super) fn go_on(
        &self,
        call: &Setup<'_>,
        error: &Error,
        has_run: Option<bool>,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        let rules = call.route.providers().rules().clone();
        if let Some(Switch::On(retry)) = &rules.policy().retry
            && has_run.unwrap_or_else(|| self.is_repeatable(call))
            && let Some(begun) = self.retry(call, retry, &rules, error, cx)
        {
            return Some(begun);
        }
        let is_safe = has_run.unwrap_or(true);
        is_safe
            .then(|| self.fall_back(call, &rules, error, cx))
            .flatten()
    }

    /// Whether it does no harm to begin it once more: so declared, or to be told by its key.
    pub(super) fn is_repeatable(&self, call: &Setup<'_>) -> bool {
        !call.envelope.idempotency_key.is_empty() || self.is_idempotent(call.route)
    }

    /// Whether all who offer it declare it idempotent; for a pipeline, all that it comes down to.
    pub(super) fn is_idempotent(&self, route: &Route) -> bool {
        let providers = route.providers();
        let Some(steps) = providers.rules().steps() else {
            return route.is_idempotent();
        };
        let is_idempotent =
            |leaf: &Arc<str>| self.route_of(leaf).is_some_and(|it| it.is_idempotent());
        steps.leaves().all(is_idempotent)
    }

    /// The same of all that a call of it may lead to.
    pub(crate) fn is_harmless(&self, route: &Arc<Route>) -> bool {
        let mut next = Some(route.clone());
        // A circle of fallbacks ends somewhere too.
        for _ in 0..LONGEST {
            let Some(route) = next else {
                return true;
            };
            if !self.is_idempotent(&route) {
                return false;
            }
            let fallback = route.providers().rules().fallback().map(str::to_owned);
            next = fallback.and_then(|name| self.route_of(&name));
        }
        false
    }

    fn retry(
        &self,
        call: &Setup<'_>,
        retry: &Retry,
        rules: &Rules,
        error: &Error,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        let number = call.envelope.attempt.saturating_add(1);
        if !call.may_retry || number >= retry.attempts || !may_pass(error) {
            return None;
        }
        let seed = (call.correlation, &**call.route.name());
        let wait = backoff(retry.backoff, retry.backoff_max, number, seed);
        let left = self.deadline(call.envelope, None);
        if wait >= left || !rules.budget().is_none_or(|budget| budget.withdraw()) {
            return None;
        }
        call.route.counts().add(Counted::Retry);
        let envelope = Envelope {
            attempt: number,
            remaining: Some(left),
            ..*call.envelope
        };
        let again = Setup {
            envelope: &envelope,
            kept: None,
            died: None,
            ..call.as_outside()
        };
        let kept = KeptCall::new(self, &again, left);
        let work = Waited::Pause(self.0.clock.sleep(wait), kept);
        Some(self.wait(&again, None, Entry::PLAIN, left, work, cx))
    }

    fn fall_back(
        &self,
        call: &Setup<'_>,
        rules: &Rules,
        error: &Error,
        cx: &mut Context<'_>,
    ) -> Option<Begun> {
        let name = rules.fallback().filter(|_| is_no_answer(error))?;
        let route = self.find(name).ok()?;
        let chain = Chain::extend(call.chain, route.digits()).ok()?;
        call.route.counts().add(Counted::Fallback);
        let envelope = Envelope {
            attempt: 0,
            remaining: self.left_for(&route, call.envelope),
            ..*call.envelope
        };
        let other = Setup {
            route: &route,
            envelope: &envelope,
            chain: chain.as_str(),
            kept: None,
            died: None,
            ..call.as_outside()
        };
        Some(self.begin_as(&other, cx))
    }
}

impl Setup<'_> {
    /// The copy of it that there is, or a new one.
    pub(super) fn keep(&self, services: &Services, limit: Duration) -> Arc<KeptCall> {
        let kept = self.kept.cloned();
        kept.unwrap_or_else(|| KeptCall::new(services, self, limit))
    }
}
