//! Units that wait, in memory and in files: none is lost, none comes too early, and not too many wait.

use octa_plugin_api::Payload;
use proptest::prelude::*;

use super::*;

fn unit(version: u64, bytes: usize) -> Unit {
    let value = (bytes > 0).then(|| Payload::from(vec![b'1'; bytes]));
    Unit {
        changes: vec![Change::new("a", format!("k{version}"), version, value)],
        last_version: version,
        at: Duration::from_nanos(version * 7),
    }
}

fn of(held: usize, waiting: u64) -> Most {
    Most { held, waiting }
}

impl Backlog {
    fn try_pop(&self) -> Option<Unit> {
        self.queue.borrow_mut().pop().expect("the files are good")
    }
}

proptest! {
    #[test]
    fn everything_comes_out_in_order_with_little_in_memory(
        steps in prop::collection::vec((prop::bool::weighted(0.6), 0_usize..200), 0..200),
        most in 0_usize..2_000,
    ) {
        let home = tempfile::tempdir().expect("a directory");
        let backlog = Backlog::new(of(most, 1 << 20), home.path().into());
        let [mut pushed, mut popped] = [0, 0];
        let mut waiting = VecDeque::new();
        for (is_push, bytes) in steps {
            if is_push {
                pushed += 1;
                waiting.push_back(unit(pushed, bytes));
                backlog.push(unit(pushed, bytes)).expect("there is room");
            } else {
                let found = backlog.try_pop();
                prop_assert_eq!(found.is_some(), !waiting.is_empty());
                let Some(found) = found else { continue };
                let expect = waiting.drain(..found.changes.len()).reduce(Unit::and);
                popped = found.last_version;
                prop_assert_eq!(Some(found), expect);
            }
            let queue = backlog.queue.borrow();
            let largest = unit(999_999, 200).bytes();
            prop_assert!(queue.bytes <= most + largest, "{} bytes are held", queue.bytes);
        }
        prop_assert_eq!(popped + waiting.len() as u64, pushed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// By turns, so much is written to the primary, and somewhat more by the disk of the standby: first all there
    /// is, twice, and then what waits.
    #[test]
    fn a_disk_that_is_faster_than_the_writes_ends_in_following(
        bytes in 100_usize..1_000,
        percent in 110_u64..200,
        stored in 10_000_u64..50_000,
        held in 0_usize..2_000,
    ) {
        let home = tempfile::tempdir().expect("a directory");
        let backlog = Backlog::new(of(held, 2 * stored), home.path().into());
        let mut version = 0;
        // Answers what the disk has written meanwhile.
        let mut write = || {
            version += 1;
            let unit = unit(version, bytes);
            let written = size(&unit) * percent / 100;
            backlog.push(unit).map(|()| written).map_err(|broken| broken.to_string())
        };
        let mut copied = 0;
        while copied < 2 * stored {
            copied += write().map_err(TestCaseError::fail)?;
        }
        let mut written = 0;
        while let Some(unit) = backlog.try_pop() {
            while written < size(&unit) {
                written += write().map_err(TestCaseError::fail)?;
            }
            written -= size(&unit);
        }
    }
}

#[test]
fn what_may_wait_grows_with_what_there_is() {
    let usage = |records, bytes| Usage { records, bytes };
    let small = Most::beside(&[usage(3, 100), usage(1, 7)]);
    assert_eq!((small.held, small.waiting), (HELD_BYTES, WAITING_BYTES));
    let large = Most::beside(&[usage(0, WAITING_BYTES), usage(1 << 20, 0)]);
    assert_eq!(large.waiting, 2 * (WAITING_BYTES + (64 << 20)));
    // However much it is, there are few files.
    assert_eq!(large.file_length(), large.waiting / 64);
}

#[tokio::test]
async fn what_is_too_much_is_told_behind_what_is_there() {
    let home = tempfile::tempdir().expect("a directory");
    let backlog = Backlog::new(of(0, 2 * size(&unit(10, 9))), home.path().into());
    // What was taken out again does not count.
    for version in 1..10 {
        backlog.push(unit(version, 9)).expect("there is room");
        assert_eq!(backlog.try_pop(), Some(unit(version, 9)));
    }
    backlog.push(unit(10, 9)).expect("there is room");
    backlog.push(unit(11, 9)).expect("there is room");
    let broken = backlog.push(unit(12, 9)).expect_err("it is too much");
    assert_eq!(
        broken.to_string(),
        "the standby is too far behind: changes of 114 bytes wait to be written, expected at most 114"
    );
    let hint = broken.problem().hint.expect("there is a way out");
    assert!(hint.contains("faster"), "{hint}");
    backlog.end(broken);
    for version in [10, 11] {
        let found = backlog.pop().await.expect("it was there before");
        assert_eq!(found, unit(version, 9));
    }
    let ended = backlog.pop().await;
    assert!(matches!(ended, Err(Broken::Behind { .. })), "{ended:?}");
}

#[test]
fn a_disk_that_takes_no_more_is_told() {
    let backlog = Backlog::new(of(0, 1_000), PathBuf::from("/nowhere"));
    let error = backlog.push(unit(1, 1)).expect_err("no such directory");
    let expect = "cannot write what waits to `/nowhere` for the standby";
    assert_eq!(error.to_string(), expect);
}

#[tokio::test]
async fn an_end_comes_behind_what_is_there() {
    let backlog = Backlog::new(of(1_000, 0), "nowhere".into());
    backlog.push(unit(1, 1)).expect("it is held");
    backlog.end(Broken::Missed);
    assert_eq!(backlog.pop().await.expect("it is held"), unit(1, 1));
    assert!(matches!(backlog.pop().await, Err(Broken::Missed)));
}
