//! State and storage as plugins reach them: what is refused is named, and watches end with who watches.

use std::sync::atomic::{AtomicU64, Ordering};

use octa_loader::{changes_flag, expect};
use octa_plugin_api::{Change, Context, ErrorKind, Result, Tentacle, tentacle};
use serde_json::{Value, json};

use super::*;

fn with<'a>(operation: u32, key: &'a str, payload: &str) -> Request<'a> {
    Request {
        key,
        payload: Payload::copy_from_slice(payload.as_bytes()),
        ..request(operation, "lamp")
    }
}

#[track_caller]
fn check_refused(lamp: &Facilities, request: &Request<'_>, expect: &str) {
    assert_eq!(ask(lamp, request).expect_err("it is refused"), expect);
}

/// In the state and in the storage.
fn both(state: u32, storage: u32, check: impl FnMut(u32)) {
    [state, storage].into_iter().for_each(check);
}

#[test]
fn a_refusal_names_the_plugin_the_key_and_the_limit() {
    let bench = Bench::new();
    let lamp = bench.serving();
    both(operation::STATE_SET, operation::STORAGE_SET, |set| {
        let nothing = with(set, "", "1");
        let expect = "invalid-input: plugin `lamp`: a key in namespace `lamp` is empty, expected \
                      1 to 512 bytes";
        check_refused(&lamp, &nothing, expect);
        let long = "k".repeat(513);
        let shown = "k".repeat(64);
        let expect = format!(
            "too-large: plugin `lamp`: key `{shown}…` in namespace `lamp` has 513 bytes, expected \
             1 to 512 (hint: split it over several keys)"
        );
        check_refused(&lamp, &with(set, &long, "1"), &expect);
        let expect = "invalid-input: plugin `lamp`: the value for `lamp/on` is not JSON: expected \
                      value at line 1 column 1 (hint: a text is a JSON string only in double \
                      quotes)";
        check_refused(&lamp, &with(set, "on", "yes"), expect);
        let large = format!("\"{}\"", "x".repeat(1 << 20));
        let expect = "too-large: plugin `lamp`: the value for `lamp/on` has 1048578 bytes, \
                      expected 1 to 1048576 (hint: split it over several keys)";
        check_refused(&lamp, &with(set, "on", &large), expect);
        let stale = Request {
            flags: expect::VERSION,
            number: 7,
            ..with(set, "on", "1")
        };
        let expect = "conflict: plugin `lamp`: `lamp/on` has no record, expected version 7 (hint: \
                      someone else wrote it: read the record again and decide on what it is now)";
        check_refused(&lamp, &stale, expect);
        let unknown = Request {
            flags: 9,
            ..with(set, "on", "1")
        };
        let expect = "unsupported: this kernel does not know the expectation 9";
        check_refused(&lamp, &unknown, expect);
    });
}

#[test]
fn a_quota_that_is_spent_is_named() {
    let mut bench = Bench::new();
    let quotas = crate::storage::Quotas {
        each: Some(QUOTA),
        ..Default::default()
    };
    bench.commons.storage = bench.commons.storage.clone().with_quotas(quotas);
    let lamp = bench.serving();
    both(operation::STATE_SET, operation::STORAGE_SET, |set| {
        let value = format!("\"{}\"", "x".repeat(1020));
        ask(&lamp, &with(set, "on", &value)).expect("there is room");
        let expect = "too-large: plugin `lamp`: `lamp/off` would bring namespace `lamp` to 1028 \
                      bytes, its quota is 1024 (hint: delete what is no longer needed there, or \
                      raise the quota in the configuration)";
        check_refused(&lamp, &with(set, "off", "1"), expect);
    });
}

#[test]
fn a_namespace_that_nobody_can_have_is_told_from_one_that_is_not_granted() {
    let bench = Bench::new();
    let lamp = bench.serving();
    both(operation::STATE_GET, operation::STORAGE_GET, |get| {
        let malformed = Request {
            key: "on",
            ..request(get, "no/name")
        };
        let refused = ask(&lamp, &malformed).expect_err("it is refused");
        let expect = "invalid-input: plugin `lamp`: namespace `no/name` has `/` at position 3";
        assert!(refused.starts_with(expect), "{refused}");
        let others = Request {
            key: "on",
            ..request(get, "desk")
        };
        let refused = ask(&lamp, &others).expect_err("it is refused");
        assert!(refused.starts_with("denied: "), "{refused}");
    });
}

#[test]
fn what_is_not_written_as_it_should_be_is_named() {
    let bench = Bench::new();
    let lamp = bench.serving();
    let set_for = operation::STATE_SET_FOR;
    let at = "invalid-input: plugin `lamp`: the value for `lamp/on` is not JSON with a time:";
    let expect = format!("{at} missing field `time` at line 1 column 11");
    check_refused(&lamp, &with(set_for, "on", r#"{"value":1}"#), &expect);
    let expect = format!("{at} EOF while parsing a value at line 1 column 0");
    check_refused(&lamp, &with(set_for, "on", ""), &expect);
    let batch = operation::STORAGE_BATCH;
    let at = "invalid-input: plugin `lamp`: the batch for namespace `lamp` is not JSON of writes:";
    let expect = format!("{at} a write has either a `key` or `append`");
    check_refused(&lamp, &with(batch, "", r#"[{"value":1}]"#), &expect);
    let both = r#"[{"key":"a","append":"b","value":1}]"#;
    check_refused(&lamp, &with(batch, "", both), &expect);
    let expect = format!("{at} `append` takes a `value` and no `expect`");
    check_refused(&lamp, &with(batch, "", r#"[{"append":"b"}]"#), &expect);
    let list = Request {
        payload: Payload::copy_from_slice(b"\xff"),
        number: 1,
        ..request(operation::STORAGE_LIST, "lamp")
    };
    let expect = "invalid-input: plugin `lamp`: the key to list after is not UTF-8";
    check_refused(&lamp, &list, expect);
    let expect = "too-large: plugin `lamp`: the limit of a page has 0 entries, expected 1 to 1000";
    check_refused(&lamp, &request(operation::STATE_LIST, "lamp"), expect);
    let changes = Request {
        flags: 7,
        ..request(operation::STATE_CHANGES, "lamp")
    };
    let expect = "unsupported: this kernel does not know the beginning of changes 7";
    check_refused(&lamp, &changes, expect);
}

#[test]
fn a_batch_appends_and_deletes_what_is_as_expected() {
    let bench = Bench::new();
    let lamp = bench.serving();
    let batch = |writes: Value| {
        let answer = ask(
            &lamp,
            &with(operation::STORAGE_BATCH, "", &writes.to_string()),
        )?;
        let versions = answer.result.and_then(|versions| versions.parse::<Value>());
        versions.map_err(|error| format!("{error:?}"))
    };
    let appended = batch(json!([
        {"append": "log/", "value": null},
        {"append": "log/", "value": 2},
        {"key": "a", "value": 3, "expect": 0},
    ]));
    assert_eq!(appended, Ok(json!([1, 2, 3])));
    let stale = batch(json!([{"append": "log/", "value": 4}, {"key": "a", "expect": 2}]));
    let stale = stale.expect_err("it is at version 3");
    assert!(
        stale.contains("`lamp/a` has version 3, expected version 2"),
        "{stale}"
    );
    let deleted = batch(json!([{"key": "a", "expect": 3}, {"key": "a"}]));
    assert_eq!(deleted, Ok(json!([4, null])));
    let list = Request {
        number: 10,
        ..request(operation::STORAGE_LIST, "lamp")
    };
    let page = ask(&lamp, &list).expect("it lists").result;
    let page: Value = page.expect("a page").parse().expect("JSON");
    let expect = json!([
        {"key": "log/00000000000000000001", "version": 1, "value": null},
        {"key": "log/00000000000000000002", "version": 2, "value": 2},
    ]);
    assert_eq!(page["entries"], expect);
}

#[test]
fn a_wait_that_is_given_up_loses_nothing() {
    let bench = Bench::new();
    let lamp = bench.serving();
    let operations = [
        (operation::STATE_CHANGES, operation::STATE_SET),
        (operation::STORAGE_CHANGES, operation::STORAGE_SET),
    ];
    for (changes, set) in operations {
        let now = ask(&lamp, &request(changes, "lamp")).expect("it watches");
        assert_eq!(now.number, 0);
        let behind = || {
            let behind = Request {
                flags: changes_flag::AFTER,
                ..request(changes, "lamp")
            };
            match submit(&lamp, &behind) {
                Submitted::New(future) | Submitted::Waiting(future) => future,
                Submitted::Ready(outcome) => panic!("{outcome:?}"),
            }
        };
        let mut given_up = behind();
        assert!(is_ready(&mut given_up).is_none());
        ask(&lamp, &with(set, "on", "true")).expect("it writes");
        drop(given_up);
        let told = is_ready(&mut behind()).expect("it is there");
        assert_eq!(told.number, 1);
    }
}

/// Watches in a thread of its own, and keeps what it was told last.
#[derive(Default)]
struct Watcher {
    thread: parking_lot::Mutex<Option<std::thread::JoinHandle<ErrorKind>>>,
    seen: Arc<AtomicU64>,
}

#[tentacle(name = "watcher", state = "watcher", storage = "watcher")]
impl Tentacle for Watcher {
    type Config = ();

    async fn start(&self, ctx: &Context) -> Result<()> {
        let (ctx, seen) = (ctx.clone(), self.seen.clone());
        let mut watch = ctx.state().watch::<u64>("").await?;
        let thread = move || {
            loop {
                match block_on(watch.next()) {
                    Ok(Change::Set { value, .. }) => seen.store(value, Ordering::Release),
                    Ok(_) => {}
                    Err(error) => return error.kind(),
                }
            }
        };
        *self.thread.lock() = Some(std::thread::spawn(thread));
        Ok(())
    }

    async fn stop(&self, _: &Context) -> Result<()> {
        ENDED.lock().extend(self.thread.lock().take());
        Ok(())
    }

    #[capability("watcher.seen")]
    fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }
}

/// Threads that outlived their plugin.
static ENDED: parking_lot::Mutex<Vec<std::thread::JoinHandle<ErrorKind>>> =
    parking_lot::Mutex::new(Vec::new());

#[test]
fn a_watch_ends_with_the_generation() {
    let bench = Bench::new();
    let (watcher, facilities) = bench.start::<Watcher>();
    for number in 1..4_u64 {
        let value = Payload::json(&number).expect("JSON");
        bench
            .commons
            .state
            .set("watcher", "k", value)
            .expect("valid");
    }
    let seen = || {
        let call = request(operation::CALL, "watcher.seen");
        let call = Request {
            payload: Payload::json(&()).expect("JSON"),
            ..call
        };
        let seen = ask(&facilities, &call).expect("it answers");
        value(&seen.result.expect("a number"))
    };
    while seen() < 3 {
        std::thread::yield_now();
    }
    block_on(watcher.stop()).expect("it stops");
    facilities.end();
    assert!(watcher.destroy());
    let thread = ENDED.lock().pop().expect("it watched");
    assert_eq!(thread.join().expect("it ends"), ErrorKind::PluginGone);
}
