//! Calls whose provider's process dies over them: those that can be repeated are, once, within
//! their deadline; all others are told.

use std::{sync::atomic::Ordering, task::Poll, time::Duration};

use super::{
    SECOND,
    house::{Answer, Generation, House, Lamp, Polled},
};
use crate::{services::Intake, time::VirtualClock};

struct Street {
    house: House<VirtualClock>,
    lamp: Lamp,
    intake: Intake,
}

impl Street {
    fn new() -> Self {
        let house = House::new(VirtualClock::default());
        let (lamp, intake) = (house.lamp("lamp"), Intake::default());
        house.offer(&lamp, &intake, None);
        Self {
            house,
            lamp,
            intake,
        }
    }

    /// A call that the lamp has in hand.
    fn begun(&self, capability: &str, limit: Option<Duration>) -> Polled<Answer> {
        let mut call = Polled::new(self.house.call(capability, limit));
        assert!(call.poll().is_pending());
        call
    }

    /// What the manager does first when a plugin has died.
    fn fall(&self) {
        self.intake.expect();
        self.house.services.unregister("lamp");
    }
}

fn interrupted(answer: &Answer) -> bool {
    answer
        .as_ref()
        .is_err_and(|error| error.starts_with("interrupted"))
}

#[test]
fn another_provider_takes_what_can_be_repeated() {
    let street = Street::new();
    let mut calls = ["lamp.attempt", "lamp.hold"].map(|name| street.begun(name, None));
    let other = street.house.lamp("other");
    street.house.offer(&other, &Intake::default(), None);
    street.lamp.die();
    assert!(calls[0].poll().is_pending(), "the other one works on it");
    street.house.clock.advance(SECOND);
    let [repeated, told] = calls;
    assert_eq!(repeated.answer(), Ok(1), "the second attempt");
    assert_eq!(street.house.handled(other.number), 1);
    assert!(interrupted(&told.answer()));
}

#[test]
fn it_waits_for_the_same_one_to_come_back() {
    let street = Street::new();
    let mut early = street.begun("lamp.attempt", None);
    let mut late = street.begun("lamp.attempt", None);
    street.lamp.die();
    assert!(early.poll().is_pending(), "nobody has seen to it yet");
    street.fall();
    assert!(early.poll().is_pending());
    assert!(late.poll().is_pending());
    let new = Polled::new(street.house.call("lamp.read", None));
    let told = new.answer_at_once();
    assert!(told.is_err_and(|error| error.starts_with("unavailable")));
    let back = street.house.lamp("lamp");
    street.house.offer(&back, &street.intake, None);
    street.intake.expect_no_more();
    for call in [&mut early, &mut late] {
        assert!(call.poll().is_pending(), "it works on it");
    }
    street.house.clock.advance(SECOND);
    assert_eq!([early.answer(), late.answer()], [Ok(1), Ok(1)]);
    assert_eq!(street.house.handled(street.lamp.number), 0);
}

#[test]
fn who_is_not_to_come_back_is_not_waited_for() {
    let street = Street::new();
    let mut call = street.begun("lamp.attempt", None);
    street.lamp.die();
    assert!(call.poll().is_pending());
    street.fall();
    assert!(call.poll().is_pending());
    street.intake.expect_no_more();
    assert!(interrupted(&call.answer()), "how it ended is told");
}

#[test]
fn it_waits_no_longer_than_its_deadline() {
    let street = Street::new();
    let mut call = street.begun("lamp.attempt", Some(5 * SECOND));
    street.lamp.die();
    street.fall();
    assert!(call.poll().is_pending());
    street.house.clock.advance(5 * SECOND);
    let late = "deadline: `lamp.attempt` did not answer within 5s";
    assert_eq!(call.answer(), Err(late.to_owned()));
}

#[test]
fn it_is_repeated_once() {
    let street = Street::new();
    let mut call = street.begun("lamp.attempt", None);
    let second = street.house.lamp("second");
    street.house.offer(&second, &Intake::default(), None);
    street.lamp.die();
    assert!(call.poll().is_pending());
    let third = street.house.lamp("third");
    street.house.offer(&third, &Intake::default(), None);
    second.die();
    assert!(interrupted(&call.answer()));
    assert_eq!(street.house.handled(third.number), 0);
}

#[test]
fn an_interruption_without_a_death_is_told() {
    let street = Street::new();
    let call = street.begun("lamp.attempt", None);
    let other = street.house.lamp("other");
    street.house.offer(&other, &Intake::default(), None);
    street.lamp.instance.interrupt(SECOND);
    assert!(!street.lamp.is_dead.load(Ordering::SeqCst));
    assert!(interrupted(&call.answer()));
}

#[test]
fn who_gives_up_a_repeated_call_leaves_nothing() {
    let street = Street::new();
    let mut call = street.begun("lamp.attempt", None);
    street.lamp.die();
    street.fall();
    assert_eq!(call.poll(), Poll::Pending);
    drop(call);
    assert_eq!(street.house.clock.until_next(), None, "its timer is gone");
}

#[test]
fn another_that_is_not_idempotent_does_not_take_it() {
    let street = Street::new();
    let mut call = street.begun("lamp.attempt", None);
    let other = street.house.make_of::<Generation>("other", |manifest| {
        let all = manifest.capabilities.iter_mut();
        all.for_each(|it| it.idempotent = false);
    });
    street.house.offer(&other, &Intake::default(), None);
    street.lamp.die();
    assert!(call.poll().is_pending(), "nobody has seen to it yet");
    street.fall();
    street.intake.expect_no_more();
    assert!(interrupted(&call.answer()));
    assert_eq!(street.house.handled(other.number), 0);
}
