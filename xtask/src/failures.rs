//! Running tests and telling, at the very end, which of them failed and with which words: a log of thousands of
//! lines is read from its end.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow};

use crate::workspace::{check_status, line};

/// How many lines of each failed test are told.
const LINES: usize = 12;
/// How many failed tests are told with their words.
const TESTS: usize = 20;

/// Runs `command`, whose standard output is passed on; an error names the tests that failed.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    succeed_into(command, &mut io::stdout())
}

fn succeed_into(command: &mut Command, out: &mut dyn Write) -> Result<()> {
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot run `{}`", line(command)))?;
    let mut failures = Failures::default();
    let stdout = child.stdout.take().context("its output is not ours")?;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("cannot read what tests print")?;
        out.write_all(&line)?;
        out.write_all(b"\n")?;
        failures.read(&String::from_utf8_lossy(&line));
    }
    let outcome = check_status(command, child.wait()?);
    outcome.map_err(|error| match failures.told() {
        told if told.is_empty() => error,
        told => anyhow!("{error}\n{told}"),
    })
}

/// The failed tests that libtest lists after all tests of a program, each with what it printed.
#[derive(Debug, Default)]
struct Failures {
    is_list: bool,
    tests: Vec<(String, Vec<String>)>,
}

impl Failures {
    fn read(&mut self, line: &str) {
        let name = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.split_once(' '));
        match (line, name) {
            // Once before what the tests printed, once before their names alone.
            ("failures:", _) => self.is_list = !self.is_list,
            (_, Some((name, _))) if self.is_list => self.tests.push((name.to_owned(), Vec::new())),
            _ if self.is_list && !line.trim().is_empty() => {
                if let Some((_, lines)) = self.tests.last_mut() {
                    lines.push(line.to_owned());
                }
            }
            _ if line.starts_with("test result:") => self.is_list = false,
            _ => {}
        }
    }

    fn told(&self) -> String {
        let mut told = String::new();
        for (place, (name, lines)) in self.tests.iter().enumerate() {
            let separator = if place == 0 { "" } else { "\n" };
            _ = write!(told, "{separator}failed: {name}");
            let lines = if place < TESTS { lines } else { &Vec::new() };
            for line in lines.iter().take(LINES) {
                _ = write!(told, "\n    {line}");
            }
            if lines.len() > LINES {
                _ = write!(told, "\n    ... {} lines more", lines.len() - LINES);
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(printed: &str, expect: &str) {
        let mut failures = Failures::default();
        printed.lines().for_each(|line| failures.read(line));
        assert_eq!(failures.told(), expect);
    }

    #[test]
    fn failed_tests_are_told_with_their_words() {
        let printed = "\
running 3 tests
test a ... ok
test b::c ... FAILED
test d ... FAILED

failures:

---- b::c stdout ----

thread 'b::c' panicked at src/lib.rs:1:1:
no
---- d stdout ----
thread 'd' panicked at src/lib.rs:2:1:

failures:
    b::c
    d

test result: FAILED. 1 passed; 2 failed

running 1 test
test e ... ok

test result: ok. 1 passed; 0 failed
";
        let expect = "\
failed: b::c
    thread 'b::c' panicked at src/lib.rs:1:1:
    no
failed: d
    thread 'd' panicked at src/lib.rs:2:1:";
        check(printed, expect);
        check("running 1 test\ntest e ... ok\n", "");
    }

    #[test]
    fn a_long_one_is_cut() {
        let mut printed = "failures:\n---- a stdout ----\n".to_owned();
        for number in 0..LINES + 3 {
            _ = writeln!(printed, "line {number}");
        }
        let mut failures = Failures::default();
        printed.lines().for_each(|line| failures.read(line));
        let told = failures.told();
        assert!(told.ends_with("line 11\n    ... 3 lines more"), "{told}");
    }

    #[test]
    fn an_error_names_them() {
        let mut tests = Command::new("sh");
        let script = "printf 'failures:\\n\\n---- a::b stdout ----\\nno\\n\\nfailures:\\n    a::b\\n'; exit 101";
        let mut passed_on = Vec::new();
        let error = succeed_into(tests.args(["-c", script]), &mut passed_on);
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("\nfailed: a::b\n    no"), "{error}");
        let passed_on = String::from_utf8(passed_on).unwrap();
        assert!(
            passed_on.ends_with("\nfailures:\n    a::b\n"),
            "{passed_on}"
        );
        succeed_into(&mut Command::new("true"), &mut Vec::new()).unwrap();
    }
}
