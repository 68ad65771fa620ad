//! Two things measured in turns, so that whatever else the machine does meets both.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// Does something so many times and says how long that took.
pub(crate) type Contender<'a> = &'a mut dyn FnMut(u64) -> Duration;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How often each has its turn.
    pub(crate) rounds: usize,
    /// How long a turn takes, at least one repetition long.
    pub(crate) turn: Duration,
}

/// What two contenders took, in nanoseconds for one time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// The median of the floor.
    pub(crate) floor: f64,
    /// The median of ours.
    pub(crate) ours: f64,
    /// Ours over floor in each round: the lower quartile, the median, the upper quartile.
    pub(crate) ratio: [f64; 3],
}

impl Pace {
    pub(crate) fn thorough() -> Self {
        Self {
            rounds: 200,
            turn: Duration::from_millis(10),
        }
    }

    pub(crate) fn quick() -> Self {
        Self {
            rounds: 40,
            turn: Duration::from_millis(4),
        }
    }

    /// The same time in turns so many times as long: for what needs long turns.
    pub(crate) fn in_turns_longer(self, times: u32) -> Self {
        Self {
            rounds: (self.rounds / times as usize).max(5),
            turn: self.turn * times,
        }
    }

    /// Fewer turns by this factor: for one of many rows of a kind.
    pub(crate) fn in_fewer_turns(self, times: usize) -> Self {
        Self {
            rounds: (self.rounds / times).max(5),
            ..self
        }
    }

    /// Lets one have all the turns; the median of what it took, in nanoseconds for one time.
    pub(crate) fn alone(self, contender: Contender<'_>) -> f64 {
        let count = self.calibrate(contender);
        let took = (0..self.rounds).map(|_| one(contender, count));
        quartiles(took.collect())[1]
    }

    /// Lets both have their turns.
    pub(crate) fn side_by_side(self, floor: Contender<'_>, ours: Contender<'_>) -> Pair {
        let (floor_count, ours_count) = (self.calibrate(floor), self.calibrate(ours));
        let mut took = Vec::new();
        for round in 0..self.rounds {
            // Who goes first finds the caches as the other left them.
            let (floor, ours) = if round % 2 == 0 {
                let floor = one(floor, floor_count);
                (floor, one(ours, ours_count))
            } else {
                let ours = one(ours, ours_count);
                (one(floor, floor_count), ours)
            };
            took.push([floor, ours]);
        }
        Pair::new(&took)
    }

    /// How many repetitions make a turn; warms up on the way.
    fn calibrate(self, contender: Contender<'_>) -> u64 {
        let mut count = 1;
        loop {
            let took = contender(count);
            if took >= self.turn / 4 {
                let wanted = self.turn.as_secs_f64() / took.as_secs_f64() * count as f64;
                return (wanted as u64).max(1);
            }
            count *= 2;
        }
    }
}

impl Pair {
    /// What the floor and ours took in each round.
    pub(crate) fn of(rounds: impl Iterator<Item = (Duration, Duration)>) -> Self {
        let nanos = |time: Duration| time.as_secs_f64() * 1e9;
        let rounds: Vec<_> = rounds
            .map(|(floor, ours)| [nanos(floor), nanos(ours)])
            .collect();
        Self::new(&rounds)
    }

    fn new(rounds: &[[f64; 2]]) -> Self {
        let middle = |which: usize| quartiles(rounds.iter().map(|round| round[which]).collect())[1];
        Self {
            floor: middle(0),
            ours: middle(1),
            ratio: quartiles(rounds.iter().map(|[floor, ours]| ours / floor).collect()),
        }
    }
}

/// Does it `count` times.
pub(crate) fn timed(count: u64, mut work: impl FnMut()) -> Duration {
    let begin = Instant::now();
    for _ in 0..count {
        work();
    }
    begin.elapsed()
}

/// The outcome of a future that does not have to wait.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("what is measured here is ready at once"),
    }
}

fn one(contender: Contender<'_>, count: u64) -> f64 {
    contender(count).as_secs_f64() * 1e9 / count as f64
}

/// The lower quartile, the median, the upper quartile.
pub(crate) fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
