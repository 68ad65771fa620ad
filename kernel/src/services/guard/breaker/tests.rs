//! The breaker as a state machine, step by step beside a model that remembers every call.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

const MS: Duration = Duration::from_millis(1);

/// What can happen to a breaker.
#[derive(Debug, Clone)]
enum Step {
    Admit,
    Settle(Index, Ended),
    Wait(u32),
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ended {
    Good,
    Slow,
    Bad,
    Unknown,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ended = prop_oneof![
        4 => Just(Ended::Good),
        1 => Just(Ended::Slow),
        3 => Just(Ended::Bad),
        1 => Just(Ended::Unknown),
    ];
    let step = prop_oneof![
        4 => Just(Step::Admit),
        4 => (any::<Index>(), ended).prop_map(|(index, ended)| Step::Settle(index, ended)),
        2 => (0..80_u32).prop_map(Step::Wait),
    ];
    vec(step, 1..200)
}

prop_compose! {
    fn settings()(
        percent in 1..=100_u32,
        calls in 1..6_u32,
        window in 1..30_u32,
        open in 1..100_u32,
        probes in 1..4_u32,
        is_timed: bool,
    ) -> policy::Breaker {
        policy::Breaker {
            failures: f64::from(percent) / 100.0,
            calls,
            window: MS * window * 10,
            open: MS * open,
            probes,
            slow: is_timed.then_some(MS * 5),
        }
    }
}

/// A breaker that remembers everything.
#[derive(Debug)]
struct Model {
    settings: policy::Breaker,
    /// Grows with each change.
    era: usize,
    open_until: Option<Duration>,
    /// Calls that were let in and are not settled, and when.
    out: Vec<(Pass, usize)>,
    /// Of this era.
    ended: Vec<(Duration, bool)>,
    is_on_trial: bool,
    /// Calls and failures.
    opened_over: (u64, u64),
}

impl Model {
    fn is_open(&mut self, now: Duration) -> bool {
        let is_over = self.open_until.is_some_and(|until| now >= until);
        if is_over {
            self.change();
            self.is_on_trial = true;
        }
        self.open_until.is_some()
    }

    fn change(&mut self) {
        self.era += 1;
        self.open_until = None;
        self.ended.clear();
        self.is_on_trial = false;
    }

    fn probes(&self) -> usize {
        let is_now = |(_, era): &&(Pass, usize)| *era == self.era;
        self.out.iter().filter(is_now).count()
    }

    fn admits(&mut self, now: Duration) -> bool {
        let most = self.settings.probes as usize;
        !self.is_open(now) && (!self.is_on_trial || self.probes() + self.ended.len() < most)
    }

    /// Calls and failures of the last while: of this tenth of the window and the nine before.
    fn counts(&self, now: Duration) -> (u64, u64) {
        let tenth = |at: Duration| at.as_nanos() / (self.settings.window / 10).as_nanos();
        let is_recent = |at: Duration| tenth(at) + 10 > tenth(now);
        let recent = self.ended.iter().filter(|(at, _)| is_recent(*at));
        let failures = recent.clone().filter(|(_, is_good)| !is_good);
        (recent.count() as u64, failures.count() as u64)
    }

    fn settle(&mut self, index: usize, ended: Ended, now: Duration) -> (Pass, bool) {
        let (pass, era) = self.out.remove(index);
        if era != self.era || ended == Ended::Unknown {
            return (pass, era == self.era);
        }
        let is_slow = ended == Ended::Slow && self.settings.slow.is_some();
        let is_good = ended != Ended::Bad && !is_slow;
        self.ended.push((now, is_good));
        if self.is_on_trial {
            if !is_good {
                self.open((self.ended.len() as u64, 1), now);
            } else if self.ended.len() == self.settings.probes as usize {
                self.change();
            }
        } else {
            let (calls, failures) = self.counts(now);
            let percent = (self.settings.failures * 100.0).round() as u64;
            if calls >= u64::from(self.settings.calls) && failures * 100 >= percent * calls {
                self.open((calls, failures), now);
            }
        }
        (pass, true)
    }

    fn open(&mut self, over: (u64, u64), now: Duration) {
        self.change();
        self.opened_over = over;
        self.open_until = Some(now + self.settings.open);
    }

    fn check(&mut self, breaker: &Breaker, now: Duration) {
        let health = breaker.health(now);
        let status = breaker.status(now);
        let left = self.open_until.map(|until| until.saturating_sub(now));
        let left = left.filter(|left| !left.is_zero());
        assert_eq!(status.next_try_ms, left.map(millis));
        let is_admitting = self.admits(now);
        if self.is_open(now) || self.is_on_trial {
            assert_eq!(status.state == BreakerState::Open, self.is_open(now));
            assert_eq!((status.calls, status.failures), self.opened_over);
            assert_eq!(health, if is_admitting { 1.0 } else { 0.0 });
            return;
        }
        let (calls, failures) = self.counts(now);
        assert_eq!(status.state, BreakerState::Closed);
        assert_eq!((status.calls, status.failures), (calls, failures));
        match calls < u64::from(self.settings.calls) {
            true => assert_eq!(health, 1.0),
            false => assert!((health - (calls - failures) as f64 / calls as f64).abs() < 1e-9),
        }
    }
}

fn settle(breaker: &Breaker, pass: Pass, ended: Ended, now: Duration) {
    let (verdict, took) = match ended {
        Ended::Good => (Verdict::Good, MS * 5),
        Ended::Slow => (Verdict::Good, MS * 6),
        Ended::Bad => (Verdict::Bad("out of order"), MS),
        Ended::Unknown => (Verdict::Unknown, MS * 9),
    };
    breaker.settle(pass, verdict, took, now);
}

proptest! {
    #[test]
    fn does_as_the_model_does(settings in settings(), steps in steps(), begin in 0..5_000_u32) {
        let breaker = Breaker::new(settings, Duration::ZERO);
        let mut model = Model {
            settings,
            era: 0,
            open_until: None,
            out: Vec::new(),
            ended: Vec::new(),
            is_on_trial: false,
            opened_over: (0, 0),
        };
        let mut now = MS * begin;
        for step in steps {
            match step {
                Step::Wait(time) => now += MS * time,
                Step::Admit => {
                    let pass = breaker.admit(now);
                    prop_assert_eq!(pass.is_some(), model.admits(now));
                    model.out.extend(pass.map(|pass| (pass, model.era)));
                    prop_assert!(!model.is_on_trial || model.probes() <= settings.probes as usize);
                }
                Step::Settle(..) if model.out.is_empty() => {}
                Step::Settle(index, ended) => {
                    let index = index.index(model.out.len());
                    let before = breaker.status(now);
                    model.is_open(now);
                    let (pass, is_in_time) = model.settle(index, ended, now);
                    settle(&breaker, pass, ended, now);
                    prop_assert!(is_in_time || breaker.status(now) == before, "late, but counted");
                }
            }
            model.check(&breaker, now);
        }
    }
}

fn breaker(settings: policy::Breaker) -> impl Fn(Ended, u32) -> Option<()> {
    let breaker = Breaker::new(settings, Duration::ZERO);
    move |ended, at| {
        let pass = breaker.admit(MS * at)?;
        settle(&breaker, pass, ended, MS * at);
        Some(())
    }
}

#[test]
fn opens_at_the_share_and_not_before() {
    for (failures, bad) in [(0.07, 7), (0.5, 50), (0.29, 29), (1.0, 100)] {
        let settings = policy::Breaker {
            failures,
            calls: 100,
            ..Default::default()
        };
        for (bad, is_open) in [(bad - 1, false), (bad, true)] {
            let call = breaker(settings);
            for number in 0..100 {
                let ended = if number < bad {
                    Ended::Bad
                } else {
                    Ended::Good
                };
                assert_eq!(call(ended, 0), Some(()), "{failures} {number}");
            }
            assert_eq!(call(Ended::Good, 0).is_none(), is_open, "{failures}");
        }
    }
}

#[test]
fn tells_how_the_last_one_failed() {
    let settings = policy::Breaker {
        slow: Some(MS * 200),
        ..Default::default()
    };
    let breaker = Breaker::new(settings, Duration::ZERO);
    let last_error = |verdict, took| {
        let pass = breaker.admit(MS).expect("it is closed");
        breaker.settle(pass, verdict, took, MS);
        breaker.status(MS).last_error
    };
    assert_eq!(last_error(Verdict::Good, MS * 200), None);
    let slow = last_error(Verdict::Good, MS * 201);
    assert_eq!(
        slow.as_deref(),
        Some("it took 201ms, which is more than 200ms")
    );
    let broken = last_error(Verdict::Bad("broken"), MS * 300);
    assert_eq!(broken.as_deref(), Some("broken"));
    assert_eq!(last_error(Verdict::Good, MS).as_deref(), Some("broken"));
    let long = format!("a{}", "é".repeat(200));
    let cut = last_error(Verdict::Bad(&long), MS);
    assert_eq!(cut, Some(format!("a{}", "é".repeat(127))));
}

#[test]
fn is_shown_as_it_goes_on() {
    let breaker = Breaker::new(Default::default(), Duration::ZERO);
    for _ in 0..10 {
        let pass = breaker.admit(MS * 1_000).expect("it is closed");
        breaker.settle(pass, Verdict::Bad("broken"), MS, MS * 2_000);
    }
    let shown = |at| serde_json::to_string(&breaker.status(MS * at)).expect("plain data");
    assert_eq!(
        shown(2_001),
        r#"{"state":"open","for_ms":1,"calls":10,"failures":10,"next_try_ms":4999,"last_error":"broken"}"#
    );
    let soon = breaker.status(MS * 7_000 - Duration::from_nanos(1));
    assert_eq!(soon.next_try_ms, Some(1), "it is not yet");
    assert_eq!(
        shown(7_010),
        r#"{"state":"half-open","for_ms":10,"calls":10,"failures":10,"next_try_ms":null,"last_error":"broken"}"#
    );
}
