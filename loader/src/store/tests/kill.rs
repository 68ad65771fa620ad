//! A process that is killed anywhere leaves the old standing or the new one, and all it names.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;

/// Tells the worker apart from the same test in an ordinary run, and where to work.
const ARGUMENT: &str = "octa-store=";
const KILLS: u64 = 50;

/// What the parent runs in a process of its own: switches and says so, until it is killed.
#[test]
fn worker() {
    let Some(data) = std::env::args_os().find_map(|each| data_of(&each)) else {
        return;
    };
    let store = Store::open(&data).expect("a store");
    let mut standing = store.standing(ECHO).expect("a standing");
    let last = standing.current.as_ref().map_or(0, |last| last.generation);
    for generation in last + 1.. {
        println!("begun {generation}");
        let inspection = plugin(&data, generation, 300_000);
        store.keep(&inspection).expect("kept");
        println!("kept {generation}");
        let state = snapshot(&state_after(generation - 1));
        let saved = store.save_state(ECHO, &state, generation).expect("saved");
        standing.serve(served(inspection.hash, generation), Some(saved));
        store.record(ECHO, &standing).expect("recorded");
        println!("recorded {generation}");
        store.sweep().expect("a sweep");
    }
}

fn data_of(argument: &OsString) -> Option<PathBuf> {
    Some(argument.to_str()?.strip_prefix(ARGUMENT)?.into())
}

/// What a generation holds when it is replaced.
fn state_after(generation: u64) -> Vec<u8> {
    generation.to_le_bytes().repeat(1000)
}

#[test]
fn whenever_a_process_is_killed_the_store_is_whole() {
    let data = tempfile::tempdir().expect("a directory");
    let mut recorded = 0;
    for kill in 0..KILLS {
        let lines = run_and_kill(data.path(), kill);
        let last = lines.iter().rev().find_map(|line| recorded_in(line));
        recorded = check(data.path(), last.unwrap_or(recorded));
    }
    assert!(recorded > KILLS, "it got on: {recorded} switches");
}

/// Starts a worker, kills it after a varied number of lines, and answers all that it said.
fn run_and_kill(data: &Path, kill: u64) -> Vec<String> {
    let name = concat!(module_path!(), "::worker");
    let (_crate, name) = name.split_once("::").expect("a module of this crate");
    let mut argument = OsString::from(ARGUMENT);
    argument.push(data);
    // To the test harness the argument is one more name, of no test.
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "--nocapture", name])
        .arg(argument)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let stdout = child.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let first = lines.by_ref().find(|line| line.contains("begun"));
    let mut said = Vec::from_iter(first);
    said.extend(lines.by_ref().take(kill as usize * 7 % 11));
    // So that the blow falls into a step rather than between two.
    (0..kill * 1009 % 20_000).for_each(|_| std::hint::spin_loop());
    child.kill().expect("killed");
    let status = child.wait().expect("it ended");
    assert!(!status.success(), "it goes on until it is killed: {said:?}");
    said.extend(lines);
    said
}

fn recorded_in(line: &str) -> Option<u64> {
    let (_, generation) = line.split_once("recorded ")?;
    generation.parse().ok()
}

/// Checks the store after the last generation that was told to be recorded; answers the one that
/// is.
fn check(data: &Path, told: u64) -> u64 {
    let store = Store::open(data).expect("a store");
    assert_eq!(files_in(data, "unfinished"), 0, "leftovers are removed");
    let standing = store.standing(ECHO).expect("a whole standing");
    let generations = || standing.current.iter().chain(&standing.previous);
    for served in generations() {
        let found = store.artifact(served.hash).expect("a whole file");
        assert!(found.is_some(), "its file is there");
        if let Some(saved) = &served.state {
            let state = store.load_state(saved).expect("a whole state");
            assert_eq!(&*state.bytes, state_after(served.generation));
        }
    }
    let numbers: Vec<_> = generations().map(|served| served.generation).collect();
    let current = numbers.first().copied().unwrap_or(0);
    assert!(
        current == told || current == told + 1,
        "{current}, told {told}"
    );
    let expected: Vec<_> = (current.saturating_sub(1)..=current).rev().collect();
    assert_eq!(
        numbers,
        expected.split(|each| *each == 0).next().unwrap_or(&[])
    );
    current
}
