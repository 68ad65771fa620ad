//! The storage in memory, beside a map behind a lock.

use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use octa_kernel::{
    Payload,
    storage::{Memory, Record},
};
use tokio::runtime::Runtime;

use super::{KEYS, Load, SMALL, key, load::NAMESPACE, value};
use crate::{
    measure::{ready, timed},
    report::{Goal, Report, Subject},
};

const FLOOR: &str = "`BTreeMap` behind a mutex";
const READ: Subject = Subject {
    what: "storage in memory, read of 100 B",
    floor: FLOOR,
    goal: Goal::Told,
};
const WRITE: Subject = Subject {
    what: "storage in memory, write of 100 B",
    floor: FLOOR,
    goal: Goal::Told,
};

pub(super) fn measure(report: &mut Report) -> Result<()> {
    if !report.wants(&READ) && !report.wants(&WRITE) {
        return Ok(());
    }
    let runtime = Arc::new(Runtime::new()?);
    let mut ours = Load::new(&runtime, Memory::new(), KEYS, SMALL)?;
    let mut bare = Bare::new();
    let pace = report.pace().in_fewer_turns(4);
    report.row(READ, pace, &mut |count| bare.read(count), &mut |count| {
        ours.read(count)
    });
    let mut written = 0;
    report.row(WRITE, pace, &mut |count| bare.write(count), &mut |count| {
        timed(count, || {
            written += 1;
            let key = key(written, KEYS);
            let set = ready(ours.storage.set(NAMESPACE, &key, value(SMALL)));
            black_box(set.expect("it takes it"));
        })
    });
    Ok(())
}

struct Bare {
    records: Mutex<BTreeMap<(String, String), Record>>,
    done: u64,
}

impl Bare {
    fn new() -> Self {
        let mut bare = Self {
            records: Mutex::default(),
            done: 0,
        };
        bare.write(KEYS);
        bare
    }

    fn next(&mut self) -> (String, String) {
        self.done += 1;
        (NAMESPACE.to_owned(), key(self.done, KEYS))
    }

    fn write(&mut self, count: u64) -> Duration {
        timed(count, || {
            let (at, value): (_, Payload) = (self.next(), value(SMALL));
            let record = Record::new(value, self.done);
            let records = self
                .records
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner);
            black_box(records.insert(at, record));
        })
    }

    fn read(&mut self, count: u64) -> Duration {
        timed(count, || {
            let at = self.next();
            let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
            drop(black_box(
                records.get(&at).cloned().expect("it was written"),
            ));
        })
    }
}
