//! Any course of recording, gathering, consuming and crashing, over an adapter that refuses or is
//! cut off wherever it likes, ends well: no fact is doubled, no event is lost or told before its
//! commit, facts are in order, a whole is written once.

mod ledger;
mod life;

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::faulty::Fate;
use super::*;
use crate::storage::Sqlite;
use ledger::Ledger;
use life::Life;

/// The parts of a whole.
pub(super) const PARTS: [&str; 3] = ["x", "y", "z"];
/// Where an event tells of each fact, and where none does.
pub(super) const STREAMS: [&str; 2] = ["told", "untold"];

/// One thing that is done.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Record {
        stream: usize,
        key: u8,
        fact: u8,
    },
    Gather {
        stream: usize,
        key: u8,
        part: usize,
        value: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (stream, key) = (0..STREAMS.len(), 0..4u8);
    prop_oneof![
        (stream.clone(), key.clone(), 0..3u8).prop_map(|(stream, key, fact)| Step::Record {
            stream,
            key,
            fact
        }),
        (stream, key, 0..PARTS.len(), 0..3u8).prop_map(|(stream, key, part, value)| {
            Step::Gather {
                stream,
                key,
                part,
                value,
            }
        }),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => (0..8u8).prop_map(Fate::Done),
        1 => Just(Fate::RefusedBefore),
        1 => Just(Fate::RefusedAfter),
        1 => Just(Fate::CutBefore),
        1 => Just(Fate::CutAfter),
    ]
}

fn life() -> impl Strategy<Value = Life> {
    let life = (
        vec((step(), 0..16u8), 0..12),
        vec(fate(), 0..24),
        any::<[bool; 3]>(),
        1..3usize,
    );
    life.prop_map(|(steps, fates, [opens, closes, alone], consumers)| Life {
        steps,
        fates,
        // More often than not.
        opens: opens || closes,
        closes,
        neighbours: if alone {
            Neighbours::None
        } else {
            Neighbours::Perhaps
        },
        consumers,
    })
}

/// Lives on what `open` opens each time, and then one in which all goes well.
fn check(lives: Vec<Life>, mut open: impl FnMut() -> Arc<dyn StorageAdapter>) {
    let ledger = Arc::new(Ledger::default());
    for life in lives.into_iter().chain([Life::good()]) {
        let adapter = open();
        let kernel = runtime();
        kernel.block_on(life.run(adapter.clone(), ledger.clone()));
        // What was under way ends here.
        drop(kernel);
        let after = runtime();
        after.block_on(async {
            ledger.check(&Storage::of(adapter)).await;
        });
    }
    ledger.check_end();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_course_in_memory_ends_well(lives in vec(life(), 1..5)) {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        check(lives, || adapter.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_course_in_a_file_ends_well(lives in vec(life(), 1..4)) {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("octa.db");
        let mut last: Option<Arc<dyn StorageAdapter>> = None;
        check(lives, || reopen(&mut last, &path));
    }
}

/// Closes the file and opens it again.
fn reopen(last: &mut Option<Arc<dyn StorageAdapter>>, path: &Path) -> Arc<dyn StorageAdapter> {
    if let Some(last) = last.take() {
        runtime().block_on(last.close()).expect("it closes");
    }
    let adapter: Arc<dyn StorageAdapter> = Arc::new(Sqlite::open(path).expect("it opens"));
    *last = Some(adapter.clone());
    adapter
}
