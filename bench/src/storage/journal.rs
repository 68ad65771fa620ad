//! The journal: a fact with its key and its event, written at once and told behind the commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use octa_kernel::{Kernel, journal::Journal, storage::Sqlite};
use tokio::{runtime::Runtime, task::JoinSet};

use super::{Disk, SMALL, bare::BareSqlite, value};
use crate::report::{Goal, Report, Subject};

const FLOOR: &str = "rusqlite, one transaction of three inserts";
/// Writers, and what that is.
const RECORDS: [(u64, Subject); 2] = [
    (
        1,
        told("journal on SQLite, fact of 100 B with its event, 1 writer"),
    ),
    (
        64,
        told("journal on SQLite, fact of 100 B with its event, 64 writers"),
    ),
];

const fn told(what: &'static str) -> Subject {
    Subject {
        what,
        floor: FLOOR,
        goal: Goal::Told,
    }
}

pub(super) fn measure(disk: &Disk, report: &mut Report) -> Result<()> {
    if !RECORDS.iter().any(|(_, subject)| report.wants(subject)) {
        return Ok(());
    }
    let runtime = Runtime::new()?;
    let place = |name: &str| disk.directory.path().join(name);
    let mut bare = BareSqlite::new(&place("bare-journal.db"), 0, SMALL)?;
    let ours = Sqlite::open(place("ours-journal.db"))?;
    let kernel = Kernel::builder().storage(ours).build()?;
    runtime.block_on(kernel.start())?;
    let mut recorder = Recorder {
        runtime: &runtime,
        journal: kernel.journal("bench", "facts")?,
        done: 0,
    };
    let pace = report.pace().in_turns_longer(10).in_fewer_turns(3);
    for (writers, subject) in RECORDS {
        report.row(
            subject,
            pace,
            &mut |count| bare.record(count),
            &mut |count| recorder.record(writers, count),
        );
    }
    runtime.block_on(kernel.stop());
    Ok(())
}

/// Who records facts under ever new keys.
struct Recorder<'a> {
    runtime: &'a Runtime,
    journal: Journal,
    done: u64,
}

impl Recorder<'_> {
    fn record(&mut self, writers: u64, count: u64) -> Duration {
        let (next, end) = (Arc::new(AtomicU64::new(self.done)), self.done + count);
        self.done = end;
        let began = Instant::now();
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..writers.min(count) {
                let (journal, next) = (self.journal.clone(), next.clone());
                tasks.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= end {
                            return;
                        }
                        let key = format!("fact-{number:012}");
                        let notice = Some("bench.fact".into());
                        let recorded = journal.record(&key, value(SMALL), notice).await;
                        recorded.expect("the journal takes it");
                    }
                });
            }
            tasks.join_all().await;
        });
        began.elapsed()
    }
}
