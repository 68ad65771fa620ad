//! What a trial holds back, and what it refuses.

use octa_loader::changes_flag;
use octa_plugin_api::tentacle;
use serde_json::json;

use super::*;
use crate::bus::Counters;

#[test]
fn events_are_held_back_and_sent_in_order() {
    let bench = Bench::new();
    let mut listener = bench.subscribe(|it| it);
    let before = bench.serving();
    publish(&before, "lamp.on", 0).expect("it publishes");
    let lamp = bench.on_trial();
    for what in 1..4 {
        assert_eq!(publish(&lamp, "lamp.on", what), Ok(0));
    }
    assert_eq!(received(&mut listener), [0]);
    assert_eq!(lamp.holdings().events, 3);
    bench.clock.advance(Duration::from_secs(5));
    lamp.release(Some(&before));
    assert_eq!(publish(&lamp, "lamp.on", 4), Ok(1));
    let events: Vec<_> = std::iter::from_fn(|| listener.try_recv()).collect();
    let told: Vec<_> = events
        .iter()
        .map(|event| (value(&event.payload), event.sequence, &*event.source))
        .collect();
    let expect = [1, 2, 3, 4].map(|what| (what, what + 1, "lamp"));
    assert_eq!(told, expect, "and the sequence goes on");
    let now = number(bench.clock.wall()).number;
    assert!(
        events.iter().all(|event| event.time == now),
        "the time of sending"
    );
    assert_eq!(lamp.holdings(), Holdings::default());
}

#[test]
fn a_held_event_is_checked_at_once() {
    let bench = Bench::new();
    let lamp = bench.on_trial();
    let denied = publish(&lamp, "desk.on", 1).expect_err("not its own");
    assert!(denied.starts_with("denied: "), "{denied}");
    let malformed = publish(&lamp, "lamp.*", 1).expect_err("a pattern");
    assert!(malformed.starts_with("invalid-input: "), "{malformed}");
    assert_eq!(lamp.holdings(), Holdings::default());
}

#[test]
fn no_more_than_so_much_is_held() {
    let bench = Bench::new();
    let lamp = bench.on_trial();
    for what in 0..1 << 16 {
        publish(&lamp, "lamp.on", what).expect("there is room");
    }
    let expect = "overloaded: plugin `lamp` has not taken over yet, and no more than 65536 \
                  events of 64 MiB in all are held back until then (hint: do it in a task \
                  (`ctx.spawn`) or in a handler: they run once this generation has taken over)";
    assert_eq!(publish(&lamp, "lamp.on", 0), Err(expect.to_owned()));
    assert_eq!(subscribe(&lamp, "lamp.on"), Err(expect.to_owned()));
    assert_eq!(lamp.holdings().subscriptions, 0);

    let lamp = bench.on_trial();
    let large = Request {
        payload: Payload::from(vec![b' '; 33 << 20]),
        ..request(operation::PUBLISH, "lamp.on")
    };
    ask(&lamp, &large).expect("one has room");
    assert_eq!(ask(&lamp, &large).expect_err("two have not"), expect);
}

#[test]
fn who_makes_room_gets_what_was_held() {
    let bench = Bench::new();
    let one =
        |it: SubscriptionOptions| it.capacity(1).overflow(octa_loader::Overflow::BackPressure);
    let mut slow = bench.subscribe(one);
    let lamp = bench.on_trial();
    for what in 1..5 {
        assert_eq!(publish(&lamp, "lamp.on", what), Ok(0), "it does not wait");
    }
    lamp.release(None);
    assert_eq!(received(&mut slow), [1, 2, 3, 4]);
    bench.settle();
    assert_eq!(bench.clock.until_next(), None, "nobody waits any more");
}

#[test]
fn nobody_waits_for_room_for_ever() {
    let bench = Bench::new();
    let one =
        |it: SubscriptionOptions| it.capacity(1).overflow(octa_loader::Overflow::BackPressure);
    let slow = bench.subscribe(one);
    let lamp = bench.on_trial();
    publish(&lamp, "lamp.on", 1).expect("it is held");
    publish(&lamp, "lamp.on", 2).expect("it is held");
    lamp.release(None);
    bench.settle();
    bench.clock.advance(DEADLINE);
    bench.settle();
    let expect = Counters {
        matched: 2,
        dropped: 1,
        queued: 1,
        ..Counters::default()
    };
    assert_eq!(slow.counters(), expect);
}

#[test]
fn tasks_begin_when_it_has_taken_over() {
    let bench = Bench::new();
    let mut listener = bench.subscribe(|it| it);
    let lamp = bench.on_trial();
    publish(&lamp, "lamp.on", 1).expect("it is held");
    let task = lamp.clone();
    lamp.run_task(Box::pin(async move {
        publish(&task, "lamp.on", 2).expect("it publishes");
        let set = write(operation::STATE_SET, "on", "true");
        ask(&task, &set).expect("it may write now");
    }));
    bench.settle();
    assert_eq!(lamp.holdings().tasks, 1);
    let (tell, told) = mpsc::channel();
    lamp.drive(telling(tell));
    told.recv().expect("the host's own futures are driven");
    lamp.release(None);
    bench.settle();
    assert_eq!(received(&mut listener), [1, 2]);
    let found = ask(&lamp, &write(operation::STATE_GET, "on", ""));
    assert!(found.is_ok(), "{found:?}");
}

fn write<'a>(operation: u32, key: &'a str, payload: &str) -> Request<'a> {
    Request {
        key,
        payload: Payload::copy_from_slice(payload.as_bytes()),
        ..request(operation, "lamp")
    }
}

/// Each operation that writes, and what it says that it would.
const WRITES: [(u32, &str, &str, &str); 8] = [
    (operation::STATE_SET, "a", "1", "`lamp/a`"),
    (
        operation::STATE_SET_FOR,
        "a",
        r#"{"time":1,"value":2}"#,
        "`lamp/a`",
    ),
    (operation::STATE_DELETE, "a", "", "`lamp/a`"),
    (operation::STORAGE_SET, "a", "1", "`lamp/a`"),
    (operation::STORAGE_DELETE, "a", "", "`lamp/a`"),
    (operation::STORAGE_BATCH, "", r#"[{"key":"a"}]"#, "`lamp/a`"),
    (
        operation::STORAGE_BATCH,
        "",
        r#"[{"key":"a"},{"key":"b"},{"key":"c"}]"#,
        "`lamp/a` and 2 more",
    ),
    (
        operation::STORAGE_BATCH,
        "",
        r#"[{"append":"b/","value":1}]"#,
        "`lamp/b/`",
    ),
];

#[test]
fn writes_are_refused_until_it_has_taken_over() {
    let bench = Bench::new();
    let lamp = bench.on_trial();
    for (operation, key, payload, what) in WRITES {
        let refused = ask(&lamp, &write(operation, key, payload)).expect_err(what);
        let expect = format!(
            "unavailable: plugin `lamp` has not taken over yet and may not write {what} (hint: \
             do it in a task (`ctx.spawn`) or in a handler: they run once this generation has \
             taken over)"
        );
        assert_eq!(refused, expect);
    }
    lamp.release(None);
    for (operation, key, payload, what) in WRITES {
        let written = ask(&lamp, &write(operation, key, payload));
        assert!(written.is_ok(), "{what}: {written:?}");
    }
}

#[test]
fn a_trial_reads_and_tells_the_time() {
    let bench = Bench::new();
    let before = bench.serving();
    for operation in [operation::STATE_SET, operation::STORAGE_SET] {
        ask(&before, &write(operation, "on", "true")).expect("it writes");
    }
    let lamp = bench.on_trial();
    for operation in [operation::STATE_GET, operation::STORAGE_GET] {
        let found = ask(&lamp, &write(operation, "on", "")).expect("it reads");
        assert_eq!(found.result.as_deref().expect("a value"), b"true");
    }
    for operation in [operation::STATE_LIST, operation::STORAGE_LIST] {
        let limited = Request {
            number: 10,
            ..write(operation, "", "")
        };
        ask(&lamp, &limited).expect("it lists");
    }
    for operation in [operation::STATE_CHANGES, operation::STORAGE_CHANGES] {
        let begun = ask(&lamp, &write(operation, "", "")).expect("it watches");
        let behind = Request {
            flags: changes_flag::AFTER,
            number: begun.number,
            ..write(operation, "", "")
        };
        let Submitted::New(mut changes) = submit(&lamp, &behind) else {
            panic!("it waits");
        };
        assert!(is_ready(&mut changes).is_none());
        let set = [operation::STATE_SET, operation::STORAGE_SET];
        for operation in set {
            ask(&before, &write(operation, "on", "false")).expect("it writes");
        }
        let told = is_ready(&mut changes).expect("it is told").result;
        let version = begun.number + 1;
        let expect = json!({
            "changes": [{"key": "on", "version": version, "value": false}],
            "missed": false,
        });
        let told: serde_json::Value = told.and_then(|told| told.parse()).expect("JSON");
        assert_eq!(told, expect);
    }
    ask(&lamp, &write(operation::STORAGE_BATCH, "", "[]")).expect("nothing is written");
    let now = ask(&lamp, &request(operation::NOW, "")).expect("a time");
    assert_eq!(now.number, number(bench.clock.wall()).number);
    let sleep = Request {
        number: 1,
        ..request(operation::SLEEP, "")
    };
    let Submitted::New(mut sleep) = submit(&lamp, &sleep) else {
        panic!("it sleeps");
    };
    assert!(is_ready(&mut sleep).is_none());
    bench.clock.advance(Duration::from_nanos(1));
    assert!(is_ready(&mut sleep).is_some());
}

/// Something to call.
#[derive(Default)]
struct Desk;

#[tentacle(name = "desk")]
impl Desk {
    #[capability("desk.read", idempotent)]
    fn read(&self) -> u32 {
        1
    }

    #[capability("desk.count")]
    fn count(&self) -> u32 {
        2
    }
}

#[test]
fn calls_that_cannot_be_repeated_are_refused_until_it_has_taken_over() {
    let bench = Bench::new();
    let (desk, _) = bench.start::<Desk>();
    let lamp = bench.on_trial();
    let call = |capability| {
        let call = Request {
            payload: Payload::json(&()).expect("JSON"),
            ..request(operation::CALL, capability)
        };
        ask(&lamp, &call).map(|outcome| value(&outcome.result.expect("an answer")))
    };
    assert_eq!(call("desk.read"), Ok(1));
    let expect = "unavailable: plugin `lamp` has not taken over yet and may not call \
                  `desk.count`, which nobody declares idempotent (hint: do it in a task \
                  (`ctx.spawn`) or in a handler: they run once this generation has taken over)";
    assert_eq!(call("desk.count"), Err(expect.to_owned()));
    lamp.release(None);
    assert_eq!(call("desk.count"), Ok(2));
    assert!(desk.destroy());
}
