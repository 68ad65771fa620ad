//! Many calls from several threads while generations follow each other in every way: none fails,
//! and an independent tally agrees with what the generations count.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use octa_loader::BoxFuture;
use octa_plugin_api::block_on;
use tokio::runtime::Runtime;

use super::house::{House, Lamp};
use crate::{
    services::{Intake, Probation},
    time::{Clock, SystemClock},
};

const CYCLES: usize = 1_000;

/// The system's clock, so that a call that nobody wakes fails at its deadline.
#[derive(Debug, Clone)]
struct Real(Arc<SystemClock>);

impl Clock for Real {
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn wall(&self) -> Duration {
        self.0.wall()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<()> {
        self.0.sleep(time)
    }
}

/// How often each generation answered.
type Tally = HashMap<u64, u64>;

/// A plugin that is replaced again and again.
struct Replaced<'a> {
    house: &'a House<Real>,
    intake: Intake,
    lamp: Lamp,
    /// What each generation had handled when nobody was inside any more.
    drained: Tally,
    answered: Tally,
}

impl Replaced<'_> {
    fn replace(&mut self, cycle: usize) {
        match cycle % 4 {
            0 => self.overlap(),
            1 => self.hand_over(),
            2 => self.one_after_the_other(),
            _ => self.give_up(),
        }
        let answer = block_on(self.house.call("lamp.read", None));
        assert_eq!(answer, Ok(self.lamp.number), "in cycle {cycle}");
        *self.answered.entry(self.lamp.number).or_default() += 1;
    }

    fn overlap(&mut self) {
        let new = self.house.lamp("lamp");
        let probation = Probation::new(new.instance.name());
        self.house.offer(&new, &self.intake, Some(&probation));
        self.close();
        self.lamp = new;
        self.house.offer(&self.lamp, &self.intake, None);
    }

    fn hand_over(&mut self) {
        self.intake.pause();
        self.close();
        self.lamp = self.house.lamp("lamp");
        self.house.offer(&self.lamp, &self.intake, None);
        self.intake.resume();
    }

    fn one_after_the_other(&mut self) {
        self.intake.pause();
        self.close();
        self.house.services.unregister("lamp");
        assert!(self.lamp.instance.clone().destroy());
        self.lamp = self.house.lamp("lamp");
        self.house.offer(&self.lamp, &self.intake, None);
        self.intake.resume();
    }

    fn give_up(&mut self) {
        self.intake.pause();
        self.close();
        self.drained.remove(&self.lamp.number);
        self.lamp.instance.open();
        self.intake.resume();
    }

    fn close(&mut self) {
        self.lamp.instance.close();
        block_on(self.lamp.instance.drained());
        let number = self.lamp.number;
        self.drained.insert(number, self.house.handled(number));
    }
}

/// Calls until it is told to end.
fn tally(call: impl Fn() -> Result<u64, String>, is_over: &AtomicBool) -> Result<Tally, String> {
    let mut tally = Tally::new();
    while !is_over.load(Ordering::SeqCst) {
        *tally.entry(call()?).or_default() += 1;
    }
    Ok(tally)
}

#[test]
fn no_call_fails_while_generations_change() {
    let (_runtime, house) = real_house();
    let relay = house.lamp("relay");
    house.offer_relay(&relay);
    let mut replaced = Replaced {
        intake: Intake::default(),
        lamp: house.lamp("lamp"),
        drained: Tally::new(),
        answered: Tally::new(),
        house: &house,
    };
    house.offer(&replaced.lamp, &replaced.intake, None);
    let is_over = AtomicBool::new(false);
    let tallies: Vec<Result<Tally, String>> = thread::scope(|scope| {
        let (house, is_over) = (&house, &is_over);
        let threads = [
            scope.spawn(|| tally(|| block_on(house.call("lamp.read", None)), is_over)),
            scope.spawn(|| tally(|| block_on(house.call("lamp.block", None)), is_over)),
            scope.spawn(|| tally(|| block_on(house.ask("lamp.read")), is_over)),
        ];
        for cycle in 0..CYCLES {
            replaced.replace(cycle);
        }
        is_over.store(true, Ordering::SeqCst);
        threads
            .map(|thread| thread.join().expect("it does not panic"))
            .into()
    });
    let mut total = replaced.answered;
    for tally in tallies {
        for (number, count) in tally.expect("no call fails") {
            *total.entry(number).or_default() += count;
        }
    }
    assert!(total.len() > CYCLES / 2);
    for (number, count) in total {
        assert_eq!(house.handled(number), count, "by generation {number}");
    }
    for (number, count) in replaced.drained {
        assert_eq!(
            house.handled(number),
            count,
            "{number} was called once it was drained"
        );
    }
}

#[test]
fn no_call_fails_between_two_pauses() {
    let (_runtime, house) = real_house();
    let (lamp, intake) = (house.lamp("lamp"), Intake::default());
    house.offer(&lamp, &intake, None);
    let is_over = AtomicBool::new(false);
    let tallies = thread::scope(|scope| {
        let (house, is_over) = (&house, &is_over);
        let call = || tally(|| block_on(house.call("lamp.read", None)), is_over);
        let threads = [scope.spawn(call), scope.spawn(call)];
        for _ in 0..100 * CYCLES {
            intake.pause();
            lamp.instance.close();
            lamp.instance.open();
            intake.resume();
        }
        is_over.store(true, Ordering::SeqCst);
        threads.map(|thread| thread.join().expect("it does not panic"))
    });
    let counts = tallies.map(|tally| tally.expect("no call fails").values().sum::<u64>());
    assert_eq!(house.handled(lamp.number), counts.iter().sum::<u64>());
}

fn real_house() -> (Runtime, House<Real>) {
    let runtime = Runtime::new().expect("a runtime");
    let clock = Real(Arc::new(SystemClock::new(runtime.handle().clone())));
    (runtime, House::new(clock))
}
