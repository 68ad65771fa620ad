//! Events in, pages out, over a clock of the test.

use super::*;
use octa_test_kit::{TestKernel, json};
use serde_json::Value;

fn bench(config: Value) -> Result<TestKernel> {
    TestKernel::plugin::<History>()
        .config(config)
        .allow("subscribe", "**")
        .start()
}

/// Publishes a tick each second.
fn tick(bench: &TestKernel, topic: &str, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        bench.publish(topic, &number)?;
        bench.advance(Duration::from_secs(1));
    }
    Ok(())
}

fn count(bench: &TestKernel, expected: u64) -> Result<()> {
    bench.until("the events to be counted", || {
        Ok(bench.call::<u64>("history.count", &())? == expected)
    })
}

fn numbers(found: &Found) -> Vec<Value> {
    found
        .records
        .iter()
        .map(|record| record.data.0.clone())
        .collect()
}

#[test]
fn tells_page_by_page() -> Result<()> {
    let bench = bench(json!({ "topics": ["a.*", "b.*"] }))?;
    tick(&bench, "a.tick", 0..3)?;
    tick(&bench, "b.tick", 3..5)?;
    tick(&bench, "c.tick", 5..6)?;
    tick(&bench, "a.tick", 6..8)?;
    count(&bench, 7)?;
    let mut query = json!({ "topic": "a.**", "limit": 2 });
    let mut seen = Vec::new();
    loop {
        let found: Found = bench.call("history.query", &query)?;
        seen.push(numbers(&found));
        match found.next {
            Some(next) => query["after"] = next.into(),
            None => break,
        }
    }
    assert_eq!(
        seen,
        [
            vec![json!(0), json!(1)],
            vec![json!(2), json!(6)],
            vec![json!(7)]
        ]
    );
    bench.stop();
    Ok(())
}

#[test]
fn tells_since_a_moment() -> Result<()> {
    let bench = bench(json!({ "topics": ["a.*"] }))?;
    tick(&bench, "a.tick", 0..4)?;
    count(&bench, 4)?;
    let all: Found = bench.call("history.query", &json!({}))?;
    let since = all.records[2].time;
    let late: Found = bench.call("history.query", &json!({ "since": since }))?;
    assert_eq!(late.records, all.records[2..]);
    assert_eq!(all.records[0].source, "host");
    bench.stop();
    Ok(())
}

#[test]
fn the_oldest_give_way_also_after_a_restart() -> Result<()> {
    let bench = bench(json!({ "topics": ["a.*"], "keep": 3 }))?;
    tick(&bench, "a.tick", 0..5)?;
    let latest = |expected: &[u32]| {
        bench.until("the latest three", || {
            let found: Found = bench.call("history.query", &json!({}))?;
            Ok(numbers(&found) == expected)
        })
    };
    latest(&[2, 3, 4])?;
    bench.restart("history")?;
    count(&bench, 3)?;
    tick(&bench, "a.tick", 5..6)?;
    latest(&[3, 4, 5])?;
    bench.stop();
    Ok(())
}
