//! A process that is killed while it writes: what it acknowledged is there, and no batch is half.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::super::super::Expect;
use super::child;
use super::*;

const KILLS: u64 = 20;
const WRITERS: u64 = 8;

/// Writes from many tasks and says what was acknowledged, until it is killed.
#[test]
fn worker() {
    let Some(path) = child::place() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let storage = Storage::new(open(path));
    println!("open");
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|writer| tokio::spawn(write(storage.clone(), writer)));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("goes on");
        }
    });
}

/// Counts in two namespaces at once.
async fn write(storage: Storage, writer: u64) {
    let key = format!("writer {writer}");
    let before = storage.get("left", &key).await.expect("reads");
    let before = before.map_or(0, |record| number(&record));
    for number in before + 1.. {
        let value = format!(
            "[{number}, \"{}\"]",
            "x".repeat(number as usize * 97 % 9_000)
        );
        let mut batch = Batch::new();
        for namespace in ["left", "right"] {
            let value = value.clone().into_bytes();
            batch
                .put(namespace, &key, Expect::Any, value)
                .expect("valid");
        }
        storage.apply(batch).await.expect("writes");
        println!("acknowledged {writer} {number}");
    }
}

fn number(record: &Record) -> u64 {
    let value: (u64, String) = serde_json::from_slice(&record.value).expect("whole");
    value.0
}

#[test]
fn what_was_acknowledged_is_there() {
    let directory = directory();
    let path = directory.path().join("db");
    let mut told = BTreeMap::new();
    for kill in 0..KILLS {
        run_and_kill(&path, kill, &mut told);
        check(&path, &told);
    }
    let told: u64 = told.values().sum();
    assert!(told > KILLS, "it got on: {told} writes");
}

#[test]
fn a_log_without_its_file_is_kept() {
    let directory = directory();
    let path = directory.path().join("db");
    let (log, away) = (path.with_file_name("db-wal"), path.with_file_name("away"));
    let mut told = BTreeMap::new();
    run_and_kill(&path, 5, &mut told);
    let acknowledged = fs::read(&log).expect("there is a log");
    assert!(!acknowledged.is_empty(), "nothing is in the log");
    fs::rename(&path, &away).expect("moves");
    for found in ["missing", "empty"] {
        let of_header = Sqlite::header(&path).expect_err("must be refused");
        assert!(of_header.to_string().contains(found), "{of_header}");
        let expect = "expected the database whose log `db-wal` is there";
        assert_eq!(
            refusal(&directory, &path),
            format!("storage `db` is damaged: it is {found}, {expect}")
        );
        assert_eq!(fs::read(&log).ok().as_ref(), Some(&acknowledged));
        assert_eq!(fs::metadata(&path).map_or(0, |file| file.len()), 0);
        assert_eq!(path.exists(), found == "empty");
        fs::write(&path, "").expect("writes");
    }
    fs::rename(away, &path).expect("moves");
    assert!(told.values().sum::<u64>() > 0, "nothing was acknowledged");
    check(&path, &told);
}

fn run_and_kill(path: &Path, kill: u64, told: &mut BTreeMap<u64, u64>) {
    let mut process = child::command(&[], "killed::worker", path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let output = process.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    lines
        .by_ref()
        .find(|line| line.contains("open"))
        .expect("it opens");
    let holder = Sqlite::holder(path).expect("reads").expect("is held");
    assert_eq!(holder.process, Some(process.id()));
    let mut said: Vec<_> = lines.by_ref().take(kill as usize * 13 % 120).collect();
    // So that the blow falls into a step rather than between two.
    (0..kill * 1_009 % 20_000).for_each(|_| std::hint::spin_loop());
    process.kill().expect("killed");
    process.wait().expect("ends");
    said.extend(lines);
    for (writer, number) in said.iter().filter_map(|line| acknowledged(line)) {
        let last = told.entry(writer).or_default();
        *last = number.max(*last);
    }
}

/// The last line may be cut short, which makes its number a smaller one.
fn acknowledged(line: &str) -> Option<(u64, u64)> {
    let (_, told) = line.split_once("acknowledged ")?;
    let (writer, number) = told.split_once(' ')?;
    Some((writer.parse().ok()?, number.parse().ok()?))
}

/// Opens the file, which looks through it, and compares it with what was told.
fn check(path: &Path, told: &BTreeMap<u64, u64>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let storage = Storage::new(open(path));
    for (writer, told) in told {
        let key = format!("writer {writer}");
        let read = |namespace| {
            let record = runtime
                .block_on(storage.get(namespace, &key))
                .expect("reads");
            record.map_or(0, |record| number(&record))
        };
        let (left, right) = (read("left"), read("right"));
        assert_eq!(left, right, "half a batch of `{key}`");
        assert!(
            left >= *told,
            "`{key}` is at {left}, {told} was acknowledged"
        );
    }
}
