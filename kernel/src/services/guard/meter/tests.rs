//! The meter beside the exact numbers.

use proptest::{collection::vec, prelude::*};

use super::*;

proptest! {
    #[test]
    fn percentiles_are_within_a_hundredth(times in vec(0..20_000_000_u64, 1..300)) {
        let meter = Meter::new(Duration::ZERO);
        for took in &times {
            meter.note(Duration::from_micros(*took), took % 3 > 0, Duration::ZERO);
        }
        let found = meter.measured(Duration::ZERO);
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let exact = |percent: usize| sorted[(times.len() * percent).div_ceil(100) - 1];
        let is_near = |found: u64, exact: u64| exact.abs_diff(found) <= exact / 100 + 1;
        prop_assert!(is_near(found.p50, exact(50)), "{} {}", found.p50, exact(50));
        prop_assert!(is_near(found.p99, exact(99)), "{} {}", found.p99, exact(99));
        prop_assert_eq!(found.max, exact(100));
        prop_assert_eq!(found.calls, times.len() as u64);
        let failed = times.iter().filter(|took| *took % 3 == 0);
        prop_assert_eq!(found.failed, failed.count() as u64);
    }
}

#[test]
fn is_shown_in_numbers() {
    let meter = Meter::new(Duration::ZERO);
    let shown = |at| {
        let measured = meter.measured(Duration::from_secs(at));
        serde_json::to_string(&measured).expect("plain data")
    };
    assert_eq!(
        shown(1),
        r#"{"calls":0,"failed":0,"per_second":0.0,"p50":0,"p99":0,"max":0}"#
    );
    for call in 0..18 {
        meter.note(
            Duration::from_secs(3_600),
            call > 0,
            Duration::from_secs(100),
        );
    }
    assert_eq!(
        shown(100),
        r#"{"calls":18,"failed":1,"per_second":2.0,"p50":603979775,"p99":603979775,"max":3600000000}"#
    );
    assert!(shown(200).contains(r#""per_second":0.0"#));
}

#[test]
fn no_percentile_is_above_the_slowest() {
    let meter = Meter::new(Duration::ZERO);
    meter.note(Duration::from_micros(1_234_561), true, Duration::ZERO);
    let Measured { p50, p99, max, .. } = meter.measured(Duration::ZERO);
    assert_eq!([p50, p99, max], [1_234_561; 3]);
}

#[test]
fn is_small() {
    let counted = Meter::new(Duration::ZERO);
    let places = counted.0.lock().times.distinct_values();
    assert!(places * size_of::<u32>() <= 12 << 10, "{places}");
}
