//! Rates by what they promise: no while in which a caller gets more, whoever else calls.

use proptest::{collection::vec, prelude::*};

use super::*;

const MS: Duration = Duration::from_millis(1);

prop_compose! {
    fn rate()(calls in 1..50_u32, per in 1..3_000_u64, burst in 1..20_u32) -> Rate {
        Rate { calls, per: Duration::from_micros(per), burst }
    }
}

/// Who calls, and how long after the one before, in microseconds.
fn calls() -> impl Strategy<Value = Vec<(usize, u64)>> {
    vec(
        (
            0..4_usize,
            prop_oneof![3 => Just(0), 2 => 0..200_u64, 1 => 0..9_000_u64],
        ),
        1..200,
    )
}

/// That in no while more than the burst and the share of its length was granted.
fn check_whiles(rate: &Rate, granted: &[Duration]) {
    for (first, begin) in granted.iter().enumerate() {
        for (more, end) in granted[first..].iter().enumerate() {
            let beyond = (more as u128 + 1).saturating_sub(u128::from(rate.burst));
            let length = (*end - *begin).as_nanos();
            assert!(
                beyond * rate.per.as_nanos() <= u128::from(rate.calls) * length,
                "{more} and one more in {length} ns: {rate:?}"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_while_has_more_than_it_may(rate in rate(), calls in calls()) {
        let rates = Rates::new(rate);
        let names = ["a", "b", "c", "d"];
        let alone = names.map(|_| Rates::new(rate));
        let mut granted = names.map(|_| Vec::new());
        let mut now = Duration::ZERO;
        for (who, later) in calls {
            now += Duration::from_micros(later);
            let found = rates.check(names[who], now);
            prop_assert_eq!(found, alone[who].check("alone", now), "others are not his concern");
            match found {
                Ok(()) => granted[who].push(now),
                Err(wait) => prop_assert!(!wait.is_zero()),
            }
        }
        for granted in granted {
            check_whiles(&rate, &granted);
        }
    }

    #[test]
    fn who_waits_as_told_is_let_in_and_not_before(rate in rate(), waits in vec(any::<bool>(), 1..50)) {
        let rates = Rates::new(rate);
        let mut granted = vec![MS * 7; rate.burst as usize];
        let mut now = MS * 7;
        for _ in 0..rate.burst {
            prop_assert_eq!(rates.check("a", now), Ok(()), "the burst comes at once");
        }
        let every = rate.per.as_nanos().div_ceil(u128::from(rate.calls));
        for is_patient in waits {
            let Err(wait) = rates.check("a", now) else {
                panic!("nothing was left");
            };
            prop_assert!(wait.as_nanos() <= every);
            let early = wait - Duration::from_nanos(1);
            prop_assert_eq!(rates.check("a", now + early), Err(wait - early));
            let more = if is_patient { Duration::from_nanos((every / 3) as u64) } else { Duration::ZERO };
            now += wait + more;
            prop_assert_eq!(rates.check("a", now), Ok(()));
            granted.push(now);
            now += Duration::from_nanos(u64::from(is_patient));
        }
        check_whiles(&rate, &granted);
    }
}

fn remembered(rates: Rates) -> usize {
    let callers = rates.limiter.into_state_store();
    callers.memory.into_inner().callers.len()
}

#[test]
fn a_million_callers_are_too_many_to_remember() {
    let rate = Rate {
        calls: 10,
        per: MS * 1_000,
        burst: 5,
    };
    let rates = Rates::new(rate);
    let at_once = |range: std::ops::Range<u32>, now| {
        let granted = range.filter(|caller| rates.check(&format!("caller-{caller}"), now).is_ok());
        granted.count()
    };
    assert_eq!(at_once(0..1_000_000, MS), CALLERS + 5);
    // Whoever is remembered has four left, the others together nothing.
    assert_eq!(at_once(0..1_000, MS), 1_000);
    assert_eq!(at_once(500_000..501_000, MS), 0);
    assert_eq!(remembered(rates), CALLERS);
}

#[test]
fn who_was_one_of_too_many_does_not_begin_afresh() {
    let rate = Rate {
        calls: 10,
        per: MS * 1_000,
        burst: 5,
    };
    let rates = Rates::new(rate);
    for caller in 0..CALLERS {
        assert_eq!(rates.check(&format!("caller-{caller}"), MS), Ok(()));
    }
    let burst = |now| (0..9).filter(|_| rates.check("late", now).is_ok()).count();
    assert_eq!(burst(MS), 5);
    // Those before it are forgotten by now, and there is room.
    assert_eq!(burst(MS * 101), 1);
    assert_eq!(burst(MS * 1_101), 5);
    assert_eq!(remembered(rates), 1);
}

#[test]
fn a_thread_that_read_the_clock_before_does_not_turn_it_back() {
    let rate = Rate {
        calls: 1,
        per: MS,
        burst: 1,
    };
    let rates = Rates::new(rate);
    for (caller, now) in [("a", MS * 10), ("b", MS * 12), ("a", MS * 10)] {
        assert_eq!(rates.check(caller, now), Ok(()), "{caller}");
    }
    assert_eq!(rates.check("a", MS * 12), Err(MS));
}

#[test]
fn the_largest_rates_do_not_overflow() {
    for (calls, per, burst) in [
        (1, Duration::MAX, u32::MAX),
        (u32::MAX, MS, u32::MAX),
        (1, MS * 3_600_000, u32::MAX),
        (1, Duration::from_secs(3_689_300_000), 5),
        (u32::MAX, Duration::from_nanos(1), 1),
    ] {
        let rates = Rates::new(Rate { calls, per, burst });
        for second in 1..100 {
            let _either_way = rates.check("a", Duration::from_secs(second * 1_000_000));
        }
    }
}

#[test]
fn threads_together_get_no_more_than_one() {
    let rate = Rate {
        calls: 1,
        per: MS * 1_000,
        burst: 100,
    };
    let rates = Rates::new(rate);
    let granted: usize = std::thread::scope(|scope| {
        let call = || (0..100).filter(|_| rates.check("a", MS).is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|granted| granted.expect("it ends")).sum()
    });
    assert_eq!(granted, 100);
}
