//! Damage in a log is told from what a crash leaves there.

use std::io::Cursor;
use std::thread;

use super::super::super::{Batch, Expect};
use super::super::damage::Damage;
use super::super::log::{damage, first_damaged};
use super::super::open::{OpenError, salvaged};
use super::*;

const PAGE: usize = 512;
const FRAME: usize = 24 + PAGE;
const HEAD: usize = 32;
const COMMITS: usize = 8;

/// A database and its log, as a kernel leaves them that is killed.
struct Left {
    directory: TempDir,
    file: Vec<u8>,
    log: Vec<u8>,
    /// How long the log was when each commit had been acknowledged.
    ends: Vec<usize>,
}

impl Left {
    /// Commits of one record, and in the end one of many.
    async fn new() -> Self {
        let directory = directory();
        let path = directory.path().join("db");
        other(path.clone(), "PRAGMA page_size = 512; VACUUM");
        let storage = Storage::new(open(&path));
        let log = files::log(&path);
        let mut ends = Vec::new();
        for commit in 0..COMMITS {
            let records = if commit + 1 == COMMITS { 60 } else { 1 };
            let mut batch = Batch::new();
            for record in 0..records {
                let key = format!("{commit}.{record}");
                let value = format!("\"{}\"", "x".repeat(commit * 41 % 90));
                let put = batch.put("a", &key, Expect::Any, value.into_bytes());
                put.expect("valid");
            }
            storage.apply(batch).await.expect("writes");
            ends.push(fs::metadata(&log).expect("is there").len() as usize);
        }
        let [file, log] = [path, log].map(|path| fs::read(path).expect("reads"));
        Self {
            directory,
            file,
            log,
            ends,
        }
    }

    /// How long the log was before the last commit.
    fn before_last(&self) -> usize {
        self.ends[COMMITS - 2]
    }

    /// Puts the file somewhere, with another log.
    fn put(&self, log: &[u8]) -> PathBuf {
        let path = self.directory.path().join("left.db");
        files::remove_database(&path).expect("removes");
        fs::write(&path, &self.file).expect("writes");
        fs::write(files::log(&path), log).expect("writes");
        path
    }

    /// Opens the file with another log; tells how many commits are there, which must be the first ones.
    fn commits(&self, log: &[u8]) -> usize {
        let path = self.put(log);
        drop(open(&path));
        let file = Connection::open(path).expect("a file");
        let keys = "SELECT DISTINCT substr(key, 1, 1) FROM records";
        let mut keys = file.prepare(keys).expect("a table");
        let keys = keys.query_map([], |row| row.get::<_, String>(0));
        let keys: Vec<_> = keys
            .expect("reads")
            .map(|key| key.expect("reads"))
            .collect();
        let first: Vec<_> = (0..keys.len()).map(|commit| commit.to_string()).collect();
        assert_eq!(keys, first);
        keys.len()
    }
}

fn look(log: &[u8]) -> Option<u64> {
    first_damaged(&mut Cursor::new(log)).expect("reads")
}

/// The frame that has a byte.
fn frame(place: usize) -> u64 {
    place.checked_sub(HEAD).map_or(0, |it| it / FRAME + 1) as u64
}

/// What is in the last commit may be torn as well, unless a commit seems to end in the middle of it.
#[tokio::test]
async fn a_flipped_byte_is_told_unless_it_is_in_the_last_commit() {
    let left = Left::new().await;
    assert_eq!(look(&left.log), None);
    for place in 0..left.log.len() {
        for mask in [0xff, 1 << (place % 8)] {
            let mut log = left.log.clone();
            log[place] ^= mask;
            let told = look(&log);
            let may_be_torn = place >= left.before_last() && told.is_none();
            assert!(
                may_be_torn || told == Some(frame(place)),
                "byte {place} with {mask:#x}: {told:?}"
            );
        }
    }
    // A head was synced before there was anything behind it.
    for place in 0..HEAD {
        let mut log = left.log[..left.ends[0]].to_vec();
        log[place] ^= 0xff;
        assert_eq!(look(&log), Some(0), "byte {place}");
    }
    for place in (left.before_last()..left.log.len()).step_by(101) {
        let mut log = left.log.clone();
        log[place] ^= 0xff;
        if look(&log).is_none() {
            assert_eq!(left.commits(&log), COMMITS - 1, "byte {place}");
        }
    }
}

/// A disk loses whole sectors: then a commit may not be known for one, but that behind it is.
#[tokio::test]
async fn a_lost_sector_is_told() {
    let left = Left::new().await;
    for size in [512, 4_096] {
        for at in (0..left.ends[COMMITS - 4]).step_by(size) {
            for with in [0, 0xff] {
                let mut log = left.log.clone();
                let end = (at + size).min(left.ends[COMMITS - 4]);
                log[at..end].fill(with);
                let expect = Some(frame(at));
                assert_eq!(look(&log), expect, "{size} bytes at {at}");
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_log_is_told_and_not_touched() {
    let left = Left::new().await;
    for (place, part) in [(20, "the head"), (HEAD + 3 * FRAME + 30, "frame 4")] {
        let mut log = left.log.clone();
        log[place] ^= 1;
        let path = left.put(&log);
        let told = refusal(&left.directory, &path);
        assert_eq!(
            told,
            format!(
                "storage `left.db` is damaged: {part} of its log `left.db-wal` does not match \
                 its checksum, and commits come behind it"
            )
        );
        let error = Sqlite::header(&path).expect_err("must be refused");
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert_eq!(fs::read(&path).expect("reads"), left.file);
        assert_eq!(fs::read(files::log(&path)).expect("reads"), log);
        let (connection, told) = salvaged(&path).expect("what is left can be read");
        let count = "SELECT count(*) FROM records";
        let found = connection
            .query_row(count, [], |row| row.get::<_, i64>(0))
            .expect("reads");
        let lasts = left.ends.iter().filter(|end| place >= **end).count();
        let expect = Damage::Log {
            log: files::log(&path),
            frame: frame(place),
        };
        assert_eq!((found as usize, told), (lasts, Some(expect)));
    }
}

/// What a log is cut to is the beginning of what was written.
#[tokio::test]
async fn a_log_that_was_cut_is_not_damaged() {
    let left = Left::new().await;
    for length in 0..left.log.len() {
        assert_eq!(look(&left.log[..length]), None, "{length} bytes");
    }
    let borders = (HEAD..left.log.len()).step_by(FRAME);
    for length in borders.flat_map(|it| [it - 1, it, it + 25]) {
        let log = &left.log[..length.min(left.log.len())];
        let whole = left.ends.iter().filter(|end| log.len() >= **end).count();
        assert_eq!(left.commits(log), whole, "{length} bytes");
    }
}

#[test]
fn what_is_no_log_is_not_damaged() {
    let mut seeming = vec![0; HEAD + 4 * FRAME];
    assert_eq!(look(&seeming), None);
    // As a frame that ends a commit would say it.
    seeming[HEAD + FRAME + 7] = 1;
    assert_eq!(look(&seeming), None);
    assert_eq!(look(&b"something else. ".repeat(999)), None);
}

/// What the disk has of a commit that was being written over what was there: some of its sectors.
fn torn(before: &[u8], after: &[u8], mut has: impl FnMut(usize) -> bool) -> Vec<u8> {
    let mut disk = after.to_vec();
    for (number, sector) in disk.chunks_mut(512).enumerate() {
        if !has(number) {
            let old = before.iter().skip(number * 512).chain(&[0; 512]);
            sector.iter_mut().zip(old).for_each(|(to, old)| *to = *old);
        }
    }
    disk
}

/// A commit that is not acknowledged may have come to the disk in any order, over whatever was there.
#[tokio::test]
async fn a_torn_commit_is_not_damage() {
    let left = Left::new().await;
    let behind = left.log[..left.before_last()].to_vec();
    for (before, after) in [
        (behind, left.log.clone()),
        over_undone(2),
        over_undone(30),
        over_former(),
    ] {
        assert_ne!(before, after);
        assert_eq!((look(&before), look(&after)), (None, None));
        let sectors = after.len().div_ceil(512);
        for one in 0..sectors {
            let all_but_one = torn(&before, &after, |sector| sector != one);
            assert_eq!(look(&all_but_one), None, "without {one}");
            let first = torn(&before, &after, |sector| sector <= one);
            assert_eq!(look(&first), None, "up to {one}");
            let last = torn(&before, &after, |sector| sector >= one);
            assert_eq!(look(&last), None, "from {one}");
        }
        let mut state = 1_u64;
        for round in 0..500 {
            let disk = torn(&before, &after, |_| {
                state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                (state >> 33) % 32 > round % 32
            });
            assert_eq!(look(&disk), None, "torn {round}");
        }
    }
}

fn raw(directory: &TempDir) -> (Connection, PathBuf) {
    let path = directory.path().join("db");
    let connection = Connection::open(&path).expect("a file");
    let begin = "PRAGMA page_size = 512; PRAGMA journal_mode = wal; PRAGMA cache_size = 5;
        CREATE TABLE t (x)";
    connection.execute_batch(begin).expect("writes");
    (connection, files::log(&path))
}

fn insert(rows: u32) -> String {
    format!(
        "WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
         INSERT INTO t SELECT hex(randomblob(100)) FROM n;"
    )
}

const UPDATE: &str = "UPDATE t SET x = hex(randomblob(100))";

/// The log before and behind a commit over the frames of a transaction that did not fit in memory and was undone.
fn over_undone(rows: u32) -> (Vec<u8>, Vec<u8>) {
    let directory = directory();
    let (connection, log) = raw(&directory);
    let run = |sql: &str| {
        connection.execute_batch(sql).expect("runs");
        fs::read(&log).expect("reads")
    };
    let mut end = run(&insert(300)).len();
    // The head of the first frame that is overwritten lies in two sectors.
    while end % 512 != 504 {
        end = run(&format!("{UPDATE} WHERE rowid = 1")).len();
    }
    let before = run(&format!("BEGIN; {UPDATE}; ROLLBACK"));
    let after = run(&format!("{UPDATE} WHERE rowid < {rows}"));
    assert_eq!((&before[..end], before.len()), (&after[..end], after.len()));
    let differs = |at: &usize| before[*at..at + FRAME] != after[*at..at + FRAME];
    let written = (end..after.len()).step_by(FRAME).take_while(differs);
    let behind = end + written.count() * FRAME;
    let salts = |at: usize| &after[at + 8..at + 16];
    assert_eq!(salts(HEAD), salts(behind), "frames of one log");
    (before, after)
}

/// The log before and behind the first commit that is written over what has come into the file.
fn over_former() -> (Vec<u8>, Vec<u8>) {
    let directory = directory();
    let (connection, log) = raw(&directory);
    let read = || fs::read(&log).expect("reads");
    let run = |sql: &str| connection.execute_batch(sql).expect("runs");
    run(&insert(3));
    // Each of one frame, which ends a commit.
    (0..200).for_each(|_| run(&format!("{UPDATE} WHERE rowid = 1")));
    let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
    let row = connection.query_row(checkpoint, [], |row| row.get(1));
    assert_ne!(row, Ok(0));
    let mut before = read();
    run(&insert(200));
    let after = read();
    assert_eq!(before.len(), after.len());
    // It is synced before the rest is written.
    before[..HEAD].copy_from_slice(&after[..HEAD]);
    (before, after)
}

/// Whoever looks at a file while a kernel writes to it sees the log in the middle of a step.
#[test]
fn a_log_that_is_being_written_is_not_damaged() {
    let directory = directory();
    let path = directory.path().join("db");
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().expect("a runtime");
    let storage = Storage::new(open(&path));
    let looks = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..400 {
                let value = format!("\"{}\"", "x".repeat(number * 331 % 40_000));
                let set = storage.set("a", "b", value.into_bytes());
                runtime.block_on(set).expect("writes");
            }
        });
        let mut looks = 0;
        while !writer.is_finished() {
            assert_eq!(damage(&path).expect("reads"), None);
            looks += 1;
        }
        looks
    });
    assert!(looks > 10, "{looks} looks");
}
