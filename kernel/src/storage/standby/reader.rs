//! Reads the changes of a primary in units: after each of them, the primary was so at one moment.

use std::convert::Infallible;

use tokio::task::yield_now;

use crate::time::Clock;

use super::super::{Change, Since, StorageAdapter};
use super::backlog::{Backlog, Unit};
use super::trouble::Broken;

/// Puts all changes behind `after` into the backlog, as they are committed.
///
/// Answers may end within a batch; the last version, as it is told at any moment, does not.
pub(super) async fn read(
    primary: &dyn StorageAdapter,
    clock: &dyn Clock,
    mut after: u64,
    backlog: &Backlog,
) -> Result<Infallible, Broken> {
    let mut changes = Vec::new();
    loop {
        if changes.is_empty() {
            ask(primary, &mut after, &mut changes).await?;
        }
        let at = clock.monotonic();
        let last_version = last_version(primary).await?;
        while after < last_version {
            ask(primary, &mut after, &mut changes).await?;
        }
        let within = changes.partition_point(|change| change.version <= last_version);
        let rest = changes.split_off(within);
        let unit = Unit {
            changes,
            last_version,
            at,
        };
        backlog.push(unit)?;
        changes = rest;
        // Where there is always more to read, what is read is written in between.
        yield_now().await;
    }
}

/// The last version that the primary has given: all changes up to it are whole batches.
pub(super) async fn last_version(primary: &dyn StorageAdapter) -> Result<u64, Broken> {
    let now = primary.changes(Since::all(None)).await;
    Ok(now.map_err(Broken::Read)?.next)
}

async fn ask(
    primary: &dyn StorageAdapter,
    after: &mut u64,
    changes: &mut Vec<Change>,
) -> Result<(), Broken> {
    let more = primary.changes(Since::all(Some(*after))).await;
    let more = more.map_err(Broken::Read)?;
    if more.missed {
        return Err(Broken::Missed);
    }
    *after = more.next;
    changes.extend(more.changes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use super::super::super::{Batch, Expect, MAX_PAGE_ENTRIES, Memory};
    use super::super::backlog::Most;
    use super::*;
    use crate::time::VirtualClock;

    async fn batch(memory: &Memory, writes: usize) -> u64 {
        let mut batch = Batch::new();
        for n in 0..writes {
            let put = batch.put("a", &format!("k{n}"), Expect::Any, &b"1"[..]);
            put.expect("a valid write");
        }
        let outcomes = memory.apply(batch).await.expect("it is open");
        outcomes.last().and_then(|it| it.version()).unwrap_or(0)
    }

    #[tokio::test]
    async fn no_unit_ends_within_a_batch() {
        let memory = Memory::new();
        let clock = VirtualClock::default();
        let home = tempfile::tempdir().expect("a directory");
        let backlog = Backlog::new(Most::beside(&[]), home.path().into());
        let start = last_version(&memory).await.expect("it is open");
        // More than two answers, none of which ends where a batch does.
        let mut ends = VecDeque::new();
        for _ in 0..5 {
            ends.push_back(batch(&memory, MAX_PAGE_ENTRIES / 2 + 7).await);
            clock.advance(Duration::from_secs(1));
        }
        let writing = async {
            let mut reached = start;
            while let Some(last) = ends.back()
                && reached < *last
            {
                let unit = backlog.pop().await.expect("it is in memory");
                let versions: Vec<_> = unit.changes.iter().map(|it| it.version).collect();
                let expect: Vec<_> = (reached + 1..=unit.last_version).collect();
                assert_eq!(versions, expect);
                assert!(ends.contains(&unit.last_version), "{}", unit.last_version);
                assert_eq!(unit.at, clock.monotonic());
                reached = unit.last_version;
            }
        };
        tokio::select! {
            () = writing => {}
            never = read(&memory, &clock, start, &backlog) => panic!("{never:?}"),
        }
    }

    #[tokio::test]
    async fn what_is_missed_is_told() {
        let memory = Memory::new();
        batch(&memory, 1).await;
        let clock = VirtualClock::default();
        let backlog = Backlog::new(Most::beside(&[]), "nowhere".into());
        let ended = read(&memory, &clock, 0, &backlog).await;
        assert!(matches!(ended, Err(Broken::Missed)), "{ended:?}");
        memory.close().await.expect("it closes");
        let ended = read(&memory, &clock, 1, &backlog).await;
        assert!(ended.is_err_and(|ended| ended.is_end()));
    }
}
