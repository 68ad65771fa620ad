//! The journal over a restart: what was recorded is there, and what was not told is told.

use octa_kernel::journal::Notice;
use serde_json::{Value, json};

use crate::home::{Home, Running, next, run};

const CONFIG: &str = "[plugins.keeps-journal.allow]\n\
                      publish = [\"elsewhere.**\"]\nstorage = [\"elsewhere\"]\n";

/// A kernel on a home that others may have lived in.
fn kernel(home: Home) -> Running {
    Running {
        kernel: home.builder().build().expect("a kernel"),
        home,
    }
}

/// Records as the host, before or behind all plugins.
async fn record(running: &Running, key: &str) {
    let journal = running.kernel.journal("keeps-journal", "readings");
    let journal = journal.expect("names");
    let notice = Notice::from("keeps-journal.recorded");
    let recorded = journal.record(key, &b"1"[..], Some(notice));
    recorded.await.expect("it is recorded");
}

async fn steps(running: &Running, steps: Value) -> Value {
    let answer = running.call("keeps-journal.run", steps).await;
    answer.expect("it does them")
}

#[test]
fn what_was_not_told_is_told_by_the_next_kernel() {
    run(async {
        let first = kernel(Home::with(&["keeps-journal"]).config(CONFIG));
        // It ends before any plugin is there to hear of it.
        record(&first, "left").await;
        first.kernel.stop().await;
        let Running { kernel: gone, home } = first;
        drop(gone);

        let second = kernel(home);
        let mut heard = second.subscribe("keeps-journal.heard").await;
        record(&second, "new").await;
        let started = second.kernel.start().await;
        started.expect("the plugin directory is there");
        for (count, key) in [(1, "left"), (2, "new")] {
            let told = next(&mut heard).await;
            assert_eq!(told["fact"], json!([count, key, "host", 1]));
        }
        second.end().await;
    });
}

#[test]
fn facts_and_consumers_outlive_the_kernel() {
    run(async {
        let first = kernel(Home::with(&["keeps-journal"]).config(CONFIG));
        let started = first.kernel.start().await;
        started.expect("the plugin directory is there");
        let did = steps(
            &first,
            json!([
                { "record": ["a", 1] },
                { "record": ["b", 2] },
                { "gather": ["c", "x", 3, ["x", "y"]] },
                { "next": ["billing", 1] },
                { "acknowledge": ["billing", 1] },
            ]),
        );
        let by = "keeps-journal";
        let expect = json!([
            [1, "New"],
            [2, "New"],
            [null, ["y"], "New"],
            [[1, "a", by, 1]],
            1
        ]);
        assert_eq!(did.await, expect);
        first.kernel.stop().await;
        let Running { kernel: gone, home } = first;
        drop(gone);

        let second = kernel(home);
        let started = second.kernel.start().await;
        started.expect("the plugin directory is there");
        let did = steps(
            &second,
            json!([
                { "first": "billing" },
                { "record": ["b", 3] },
                { "gather": ["c", "y", 4, ["x", "y"]] },
                { "facts": [1, 10] },
            ]),
        );
        let expect = json!([
            [1, "b", by, 2],
            [1, "Different"],
            [2, [], "New"],
            [[2, "c", by, { "x": 3, "y": 4 }]],
        ]);
        assert_eq!(did.await, expect);
        second.end().await;
    });
}

#[test]
fn what_is_not_asked_for_is_refused() {
    run(async {
        let running = Home::with(&["keeps-journal"]).config(CONFIG).start().await;
        let steps = json!([
            { "namespace": "foreign", "record": ["k", 1] },
            { "namespace": "foreign", "facts": [0, 1] },
            { "topic": "foreign.topic", "record": ["k", 1] },
            { "find": "k" },
        ]);
        let did = self::steps(&running, steps).await;
        let did = did.as_array().expect("a list");
        for denied in &did[..3] {
            let denied = denied.as_str().expect("an error");
            assert!(
                denied.starts_with("denied: plugin `keeps-journal`"),
                "{denied}"
            );
        }
        assert_eq!(did[3], json!(null));
        running.end().await;
    });
}
