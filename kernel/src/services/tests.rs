//! Calls while their providers come and go: what one waiting call does, step by step. Many at
//! once are the job of `tests::storm`; what they are tried on is that of `tests::house`.

mod chains;
mod crew;
mod death;
mod doubts;
mod house;
mod keys;
mod limits;
mod retries;
mod routing;
mod storm;

use std::{sync::Arc, task::Poll, time::Duration};

use octa_plugin_api::{ErrorKind, block_on};
use serde_json::json;

use super::{Intake, Probation};
use crate::time::VirtualClock;
use house::{House, Lamp, Polled, Tripwire};

const SECOND: Duration = Duration::from_secs(1);

/// A house whose lamp is away with its intake paused, and the lamp that was there.
fn paused() -> (House<VirtualClock>, Lamp, Intake) {
    let house = House::new(VirtualClock::default());
    let intake = Intake::default();
    let lamp = house.lamp("lamp");
    house.offer(&lamp, &intake, None);
    intake.pause();
    lamp.instance.close();
    block_on(lamp.instance.drained());
    (house, lamp, intake)
}

#[test]
fn nobody_is_there_unless_somebody_is_expected() {
    let (house, lamp, intake) = paused();
    let mut waiting = Polled::new(house.call("lamp.read", None));
    assert!(waiting.poll().is_pending());
    intake.resume();
    let nobody = "unavailable: no plugin that offers `lamp.read` is started \
                  (hint: `octa why lamp.read` shows why)";
    assert_eq!(waiting.answer(), Err(nobody.to_owned()));
    house.services.unregister("lamp");
    let late = Polled::new(house.call("lamp.read", None));
    assert_eq!(late.answer_at_once(), Err(nobody.to_owned()));
    assert_eq!(house.handled(lamp.number), 0);
}

#[test]
fn goes_on_with_the_old_one() {
    let (house, lamp, intake) = paused();
    let mut waiting = Polled::new(house.call("lamp.read", None));
    assert!(waiting.poll().is_pending());
    lamp.instance.open();
    assert!(waiting.poll().is_pending(), "it is not resumed yet");
    intake.resume();
    assert_eq!(waiting.answer(), Ok(lamp.number));
}

#[test]
fn goes_on_with_the_new_one_as_soon_as_it_is_there() {
    let (house, _, intake) = paused();
    let mut waiting = Polled::new(house.call("lamp.read", None));
    assert!(waiting.poll().is_pending());
    let new = house.lamp("lamp");
    house.offer(&new, &intake, None);
    assert_eq!(waiting.answer(), Ok(new.number));
}

#[test]
fn waits_also_where_the_provider_is_taken_away_first() {
    let (house, _, intake) = paused();
    house.services.unregister("lamp");
    assert!(house.services.offered().is_empty());
    let [mut served, mut unserved] = [(); 2].map(|()| Polled::new(house.call("lamp.read", None)));
    assert!(served.poll().is_pending());
    assert!(unserved.poll().is_pending());
    let new = house.lamp("lamp");
    house.offer(&new, &intake, None);
    assert_eq!(served.answer(), Ok(new.number));
    new.instance.close();
    house.services.unregister("lamp");
    assert!(unserved.poll().is_pending());
    intake.resume();
    assert!(
        unserved
            .answer()
            .is_err_and(|e| e.starts_with("unavailable"))
    );
}

#[test]
fn what_the_new_one_does_not_offer_is_not_waited_for() {
    let (house, _, intake) = paused();
    let mut waiting = Polled::new(house.call("lamp.block", None));
    assert!(waiting.poll().is_pending());
    let new = house.lamp_without("lamp", "lamp.block");
    house.offer(&new, &intake, None);
    assert!(
        waiting
            .answer()
            .is_err_and(|e| e.starts_with("unavailable"))
    );
    assert_eq!(house.call_now("lamp.read"), Ok(new.number));
}

#[test]
fn what_happens_between_the_look_and_the_wait_is_not_missed() {
    let clock = Tripwire::default();
    let house = Arc::new(House::new(clock.clone()));
    let (old, new, intake) = (house.lamp("lamp"), house.lamp("lamp"), Intake::default());
    house.offer(&old, &intake, None);
    intake.pause();
    old.instance.close();
    let (again, resumed) = (old.instance.clone(), intake.clone());
    clock.set(move || {
        again.open();
        resumed.resume();
    });
    assert_eq!(house.call_now("lamp.read"), Ok(old.number));
    intake.pause();
    old.instance.close();
    let (there, number) = (house.clone(), new.number);
    clock.set(move || drop(there.offer(&new, &intake, None)));
    assert_eq!(house.call_now("lamp.read"), Ok(number));
}

#[test]
fn a_blocking_one_is_waited_for_as_well() {
    let (house, lamp, intake) = paused();
    let mut waiting = Polled::new(house.call("lamp.block", None));
    assert!(waiting.poll().is_pending());
    lamp.instance.open();
    intake.resume();
    assert_eq!(waiting.answer(), Ok(lamp.number));
}

#[test]
fn waits_no_longer_than_its_own_deadline() {
    let (house, _, _intake) = paused();
    let limits = [None, Some(5 * SECOND)];
    let [mut default, mut own] = limits.map(|limit| Polled::new(house.call("lamp.read", limit)));
    assert!(default.poll().is_pending());
    assert!(own.poll().is_pending());
    house.clock.advance(5 * SECOND - Duration::from_nanos(1));
    assert!(own.poll().is_pending());
    house.clock.advance(Duration::from_nanos(1));
    let late = |limit: &str| {
        Err(format!(
            "deadline: `lamp.read` did not answer within {limit}"
        ))
    };
    assert_eq!(own.answer(), late("5s"));
    assert!(default.poll().is_pending());
    house.clock.advance(25 * SECOND);
    assert_eq!(default.answer(), late("30s"));
}

#[test]
fn has_left_what_it_did_not_wait() {
    let (house, lamp, intake) = paused();
    let limit = Some(5 * SECOND);
    let [mut asks, mut holds] =
        ["lamp.left", "lamp.hold"].map(|name| Polled::new(house.call(name, limit)));
    assert!(asks.poll().is_pending());
    assert!(holds.poll().is_pending());
    house.clock.advance(3 * SECOND);
    lamp.instance.open();
    intake.resume();
    assert_eq!(asks.answer(), Ok(2));
    assert!(holds.poll().is_pending());
    house.clock.advance(2 * SECOND);
    let late = "deadline: `lamp.hold` did not answer within 5s";
    assert_eq!(holds.answer(), Err(late.to_owned()));
}

#[test]
fn waits_through_more_than_one_replacement() {
    let (house, lamp, intake) = paused();
    let mut waiting = Polled::new(house.call("lamp.read", Some(5 * SECOND)));
    assert!(waiting.poll().is_pending());
    for _ in 0..3 {
        house.clock.advance(SECOND);
        intake.resume();
        intake.pause();
        assert!(waiting.poll().is_pending(), "it is closed and paused again");
    }
    lamp.instance.open();
    intake.resume();
    assert_eq!(waiting.answer(), Ok(lamp.number));
}

#[test]
fn given_up_it_is_never_made() {
    let (house, lamp, intake) = paused();
    let routes = house.services.offered();
    let before = Arc::strong_count(&routes[0]);
    for route in &routes {
        let mut waiting = Polled::new(house.call(route.name(), None));
        assert!(waiting.poll().is_pending());
    }
    lamp.instance.open();
    intake.resume();
    assert_eq!(house.handled(lamp.number), 0);
    assert_eq!(Arc::strong_count(&routes[0]), before);
    assert_eq!(house.clock.until_next(), None, "its timer is gone");
}

#[test]
fn another_provider_takes_the_call() {
    let (house, lamp, intake) = paused();
    let other_intake = Intake::default();
    let other = house.lamp("other");
    house.offer(&other, &other_intake, None);
    for _ in 0..4 {
        assert_eq!(house.call_now("lamp.read"), Ok(other.number));
    }
    other_intake.pause();
    other.instance.close();
    let [mut one, mut two] = [(); 2].map(|()| Polled::new(house.call("lamp.read", None)));
    assert!(one.poll().is_pending());
    assert!(two.poll().is_pending());
    other.instance.open();
    other_intake.resume();
    assert_eq!(one.answer(), Ok(other.number));
    other.instance.close();
    assert!(
        two.poll().is_pending(),
        "the first one is expected back still"
    );
    lamp.instance.open();
    intake.resume();
    assert_eq!(two.answer(), Ok(lamp.number));
}

#[test]
fn a_call_of_a_plugin_waits_too() {
    let (house, lamp, intake) = paused();
    let relay = house.lamp("relay");
    house.offer_relay(&relay);
    let mut waiting = Polled::new(house.ask("lamp.read"));
    let mut given_up = Polled::new(house.ask("lamp.read"));
    assert!(waiting.poll().is_pending());
    assert!(given_up.poll().is_pending());
    drop(given_up);
    lamp.instance.open();
    intake.resume();
    assert_eq!(waiting.answer(), Ok(lamp.number));
    assert_eq!(house.handled(lamp.number), 1);
    assert_eq!(relay.instance.unfinished(), 0);
}

#[test]
fn what_the_old_one_waits_for_itself_is_let_in() {
    for capability in ["lamp.read", "lamp.block"] {
        let house = House::new(VirtualClock::default());
        let (lamp, intake) = (house.lamp("lamp"), Intake::default());
        house.offer(&lamp, &intake, None);
        let mut asks = Polled::new(house.call_with("lamp.ask_later", None, &json!(capability)));
        assert!(asks.poll().is_pending());
        intake.pause();
        lamp.instance.close();
        let instance = lamp.instance.clone();
        let mut drained = Polled::new(async move { instance.drained().await });
        assert!(drained.poll().is_pending());
        let mut other = Polled::new(house.call("lamp.read", None));
        assert!(other.poll().is_pending(), "it comes from outside");
        house.clock.advance(SECOND);
        assert_eq!(asks.answer(), Ok(lamp.number));
        drained.answer();
        assert!(other.poll().is_pending());
    }
}

#[test]
fn is_idempotent_if_all_who_offer_it_say_so() {
    let (house, _, _intake) = paused();
    let route = |name| house.services.find(name).expect("it is known");
    assert!(route("lamp.read").is_idempotent());
    assert!(!route("lamp.ask").is_idempotent());
    house.services.unregister("lamp");
    assert!(route("lamp.read").is_idempotent(), "it is expected back");
    assert!(!route("lamp.ask").is_idempotent());
    let other = house.lamp_not_idempotent("other");
    house.offer(&other, &Intake::default(), None);
    assert!(!route("lamp.read").is_idempotent());
    assert!(!route("lamp.ask").is_idempotent());
}

#[test]
fn probation_sees_how_calls_end() {
    let house = House::new(VirtualClock::default());
    let lamp = house.lamp("lamp");
    let probation = Probation::new(lamp.instance.name());
    house.offer(&lamp, &Intake::default(), Some(&probation));
    let panicked = house.call_now("lamp.panic");
    assert!(panicked.is_err_and(|e| e.starts_with("panicked")));
    let mut later = Polled::new(house.call("lamp.panic_later", None));
    assert!(later.poll().is_pending());
    house.clock.advance(SECOND);
    assert!(later.answer().is_err());
    assert!(probation.verdict().is_none());
    let blocked = Polled::new(house.call("lamp.panic_blocking", None));
    assert!(blocked.answer().is_err());
    let verdict = probation.verdict().map(|problem| problem.kind.clone());
    assert_eq!(verdict.as_deref(), Some(ErrorKind::Panicked.label()));
}

#[test]
fn probation_sees_what_hangs() {
    let house = House::new(VirtualClock::default());
    let lamp = house.lamp("lamp");
    let probation = Probation::new(lamp.instance.name());
    house.offer(&lamp, &Intake::default(), Some(&probation));
    let mut calls = [(); 8].map(|()| Polled::new(house.call("lamp.hold", Some(SECOND))));
    assert!(calls.iter_mut().all(|call| call.poll().is_pending()));
    house.clock.advance(SECOND);
    for call in &mut calls {
        assert!(matches!(call.poll(), Poll::Ready(Err(_))));
    }
    assert!(probation.verdict().is_some());
}
