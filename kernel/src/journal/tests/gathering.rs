//! Parts and wholes.

use super::*;

const EXPECTED: [&str; 3] = ["b", "a", "c"];

async fn gather(journal: &Journal, part: &str, value: &Value) -> Result<Gathered, JournalError> {
    let part = Part {
        name: part,
        value: &payload(value),
        expected: &EXPECTED,
    };
    journal.gather("k", part, Some("meters.whole".into())).await
}

async fn gathered(journal: &Journal, part: &str, value: Value) -> (Vec<String>, Novelty) {
    let gathered = gather(journal, part, &value).await.expect("it is kept");
    assert_eq!(gathered.position.is_some(), gathered.missing.is_empty());
    (gathered.missing, gathered.novelty)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn parts_become_one_fact() {
    run(async {
        let mut bench = Bench::new();
        bench.open();
        let journal = bench.journal();
        let waits = |missing: &[&str], novelty| (names(missing), novelty);
        assert_eq!(
            gathered(&journal, "c", json!(3)).await,
            waits(&["b", "a"], Novelty::New)
        );
        assert_eq!(
            gathered(&journal, "c", json!(3)).await,
            waits(&["b", "a"], Novelty::Repeated)
        );
        assert_eq!(
            gathered(&journal, "c", json!(4)).await,
            waits(&["b", "a"], Novelty::Different)
        );
        assert_eq!(
            gathered(&journal, "b", json!([2])).await,
            waits(&["a"], Novelty::New)
        );
        assert_eq!(journal.find("k").await.expect("it is read"), None);
        let unfinished = journal.unfinished(None, 10).await.expect("they are listed");
        let unfinished: Vec<_> = unfinished
            .into_iter()
            .map(|it| (it.key, it.found, it.missing))
            .collect();
        assert_eq!(
            unfinished,
            [("k".to_owned(), names(&["b", "c"]), names(&["a"]))]
        );

        assert_eq!(
            gathered(&journal, "a", json!(null)).await,
            waits(&[], Novelty::New)
        );
        let whole = journal
            .find("k")
            .await
            .expect("it is read")
            .expect("a fact");
        assert_eq!(
            &*whole.value, br#"{"b":[2],"a":null,"c":3}"#,
            "in the order expected"
        );
        assert_eq!(bench.hear().await["fact"], value(&whole));
        assert_eq!(
            gathered(&journal, "b", json!([2])).await,
            waits(&[], Novelty::Repeated)
        );
        assert_eq!(
            gathered(&journal, "b", json!(0)).await,
            waits(&[], Novelty::Different)
        );
        assert_eq!(
            journal.unfinished(None, 10).await.expect("they are listed"),
            []
        );
        assert_eq!(journal.facts(0, 10).await.expect("they are read").len(), 1);
        assert_eq!(bench.rest().await, [], "told once");
    });
}

#[test]
fn a_fact_of_one_part_is_whole_at_once() {
    run(async {
        let journal = Bench::new().journal();
        let part = Part {
            name: "only",
            value: b"1",
            expected: &["only"],
        };
        let gathered = journal.gather("k", part, None).await.expect("it is whole");
        assert!(gathered.position.is_some());
        let again = journal.gather("k", part, None).await.expect("it is whole");
        assert_eq!(
            (again.position, again.novelty),
            (gathered.position, Novelty::Repeated)
        );
    });
}

#[test]
fn who_records_the_whole_ends_the_gathering() {
    run(async {
        let journal = Bench::new().journal();
        gathered(&journal, "a", json!(1)).await;
        let recorded = journal.record("k", payload(&json!("whole")), None).await;
        assert_eq!(recorded.expect("it is recorded").novelty, Novelty::New);
        assert_eq!(
            journal.unfinished(None, 10).await.expect("they are listed"),
            []
        );
        assert_eq!(
            gathered(&journal, "b", json!(2)).await,
            (vec![], Novelty::Different)
        );
    });
}

#[test]
fn many_gather_at_once() {
    run(async {
        let journal = Bench::new().journal();
        let expected: Vec<String> = (0..100).map(|part| format!("part {part}")).collect();
        let gatherers = expected.clone().into_iter().map(|name| {
            let (journal, expected) = (journal.clone(), expected.clone());
            tokio::spawn(async move {
                let expected: Vec<_> = expected.iter().map(String::as_str).collect();
                let part = Part {
                    name: &name,
                    value: b"1",
                    expected: &expected,
                };
                journal.gather("k", part, None).await.expect("it is kept")
            })
        });
        let mut wholes = 0;
        for gatherer in gatherers.collect::<Vec<_>>() {
            let gathered = gatherer.await.expect("it ends");
            assert_eq!(gathered.novelty, Novelty::New);
            wholes += usize::from(gathered.position.is_some());
        }
        assert_eq!(wholes, 1, "one of them was the last");
        let whole = journal
            .find("k")
            .await
            .expect("it is read")
            .expect("a fact");
        assert_eq!(value(&whole).as_object().map(|it| it.len()), Some(100));
    });
}

#[test]
fn what_never_becomes_whole_can_be_dropped() {
    run(async {
        let journal = Bench::new().journal();
        gathered(&journal, "a", json!(1)).await;
        assert!(journal.drop_parts("k").await.expect("it is dropped"));
        assert!(!journal.drop_parts("k").await.expect("there are none"));
        assert_eq!(
            journal.unfinished(None, 10).await.expect("they are listed"),
            []
        );
        // And begun anew, with other parts.
        let part = Part {
            name: "x",
            value: b"1",
            expected: &["x", "y"],
        };
        let gathered = journal.gather("k", part, None).await.expect("it is kept");
        assert_eq!(gathered.missing, ["y"]);
    });
}

#[test]
fn unfinished_ones_are_listed_in_pages() {
    run(async {
        let journal = Bench::new().journal();
        for key in ["a", "b/c", "d"] {
            let part = Part {
                name: "x",
                value: b"1",
                expected: &["x", "y"],
            };
            journal.gather(key, part, None).await.expect("it is kept");
        }
        let mut keys = Vec::new();
        loop {
            let after = keys.last().cloned();
            let page = journal.unfinished(after.as_deref(), 2).await;
            let page = page.expect("they are listed");
            if page.is_empty() {
                break;
            }
            keys.extend(page.into_iter().map(|it| it.key));
        }
        assert_eq!(keys, ["a", "b/c", "d"]);
    });
}

#[test]
fn parts_that_cannot_be_are_told_apart() {
    run(async {
        let journal = Bench::new().journal();
        let refused = async |name: &str, value: &[u8], expected: &[&str]| {
            let part = Part {
                name,
                value,
                expected,
            };
            told(
                &journal
                    .gather("k", part, None)
                    .await
                    .expect_err("it is refused"),
            )
        };
        let at = "key `k` in stream `readings` of `meters`";
        assert_eq!(
            refused("a", b"1", &[]).await,
            format!("{at} is to have 0 parts, expected 1 to 1000")
        );
        assert_eq!(
            refused("a", b"1", &["a"; 1_001]).await,
            format!("{at} is to have 1001 parts, expected 1 to 1000")
        );
        assert_eq!(
            refused("a", b"1", &["a", "b", "a"]).await,
            format!("{at} is to have part `a` twice")
        );
        assert_eq!(
            refused("x", b"1", &["a", "b"]).await,
            format!("{at} has no part `x`, expected one of `a`, `b`")
        );
        assert_eq!(
            refused("", b"1", &["a"]).await,
            "part `` is empty, expected 1 to 128 bytes"
        );
        let json = refused("a", b"{", &["a", "b"]).await;
        assert!(
            json.starts_with(&format!("part `a` of {at} is not JSON: ")),
            "{json}"
        );
        gathered(&journal, "a", json!(1)).await;
        assert_eq!(
            refused("a", b"1", &["a", "b"]).await,
            format!(
                "{at} is to have the parts `a`, `b`, but was begun with `b`, `a`, `c` \
                 (hint: expect the same parts each time, or drop those that are there)"
            )
        );
    });
}

#[test]
fn a_whole_that_is_too_large_names_the_part() {
    run(async {
        let journal = Bench::new().journal();
        gathered(&journal, "a", json!("x".repeat(MAX_FACT_BYTES / 2))).await;
        let refused = gather(&journal, "b", &json!("x".repeat(MAX_FACT_BYTES / 2))).await;
        let refused = told(&refused.expect_err("it is too much"));
        let expect = "with part `b`, key `k` in stream `readings` of `meters` has 10445";
        assert!(refused.starts_with(expect), "{refused}");
        assert!(
            refused.contains("bytes, expected 1 to 1044480"),
            "{refused}"
        );
        assert_eq!(
            gathered(&journal, "b", json!(1)).await,
            (names(&["c"]), Novelty::New)
        );
    });
}
