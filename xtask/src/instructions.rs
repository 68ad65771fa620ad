//! The instruction counts: `bench/instructions`, built like the benchmark and run under callgrind,
//! against the table that lies there. Time is not looked at, so a busy machine does not matter.

mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use anyhow::{Context, Error, Result, bail, ensure};
use cargo_metadata::camino::Utf8PathBuf;
use clap::Args;
use serde_json::Value;

use crate::bench;
use crate::tools::compiler::Compiler;
use crate::tools::valgrind::Valgrind;
use crate::tools::{self, Fetch, gungraun};
use crate::workspace::{Workspace, capture, variable};
use table::{Row, Table};

/// Where the committed table lies.
const TABLE: &str = "bench/instructions/counts.toml";
/// Where an instruction count is in what the harness tells of a run.
const COUNT: &str = "/profiles/0/data/total/metrics/Ir/values/new";

#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Writes the table anew, instead of comparing with it.
    #[arg(long)]
    bless: bool,
}

/// What counts.
struct Counter {
    valgrind: Valgrind,
    /// The folder of the harness' runner.
    runner: Utf8PathBuf,
}

/// Compares, if this machine can count.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    run(workspace, &Options::default())
}

/// Counts, and compares or writes the table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let counter = match Counter::find(workspace) {
        Ok(counter) => counter,
        Err(reason) if options.bless => return Err(reason),
        Err(reason) => return leave_out(&reason),
    };
    let now = Table {
        compiler: Compiler::of_workspace(workspace)?.build,
        operations: per_operation(&counter.count(workspace)?)?,
    };
    let path = workspace.root().join(TABLE);
    if options.bless {
        return fs::write(&path, now.text()?).with_context(|| format!("cannot write `{path}`"));
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    let before = Table::parse(&text).with_context(|| format!("cannot understand `{path}`"))?;
    compare(&before, &now)
}

/// On a developer's machine this may be left out; where merges are decided, it is counted.
fn leave_out(reason: &Error) -> Result<()> {
    let reason = tools::tell(reason);
    println!(
        "not run: instruction counts: {reason} (install Valgrind, and the program `gungraun-runner`)"
    );
    ensure!(
        variable("CI").as_deref() != Some("true"),
        "instructions could not be counted, and `CI=true` wants every check"
    );
    Ok(())
}

fn compare(before: &Table, now: &Table) -> Result<()> {
    let rows = before.beside(now);
    print!("{}", table::show(&rows));
    for gain in rows.iter().filter_map(Row::gain) {
        println!("{gain}: `cargo xtask instructions --bless` holds it to that");
    }
    let mut problems: Vec<_> = rows.iter().filter_map(Row::problem).collect();
    if problems.is_empty() {
        return Ok(());
    }
    if before.compiler != now.compiler {
        problems.push(format!(
            "the table is of `{}`, this is `{}`",
            before.compiler, now.compiler
        ));
    }
    problems.push("if it is meant: `cargo xtask instructions --bless`".to_owned());
    bail!("{}", problems.join("\n"))
}

impl Counter {
    fn find(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            valgrind: Valgrind::find(workspace, Fetch::IfMissing)?,
            runner: gungraun::runner(workspace)?,
        })
    }

    /// Builds and runs; what the harness tells of each run, a line of JSON.
    fn count(&self, workspace: &Workspace) -> Result<String> {
        let built = bench::build_own(workspace)?;
        let home = workspace.target().join("instructions");
        // A run that finds an earlier one tells of both.
        match fs::remove_dir_all(&home) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove `{home}`"));
            }
            _ => {}
        }
        eprintln!("counting with {}", self.valgrind);
        let mut program = Command::new(built.get("octa-bench-instructions")?);
        program.args(["--bench", "--output-format=json"]);
        // Turning it off is forbidden in many containers, and Valgrind places things by itself.
        program.arg("--allow-aslr=yes");
        program.arg(format!("--home={home}"));
        program.arg(format!("--workspace-root={}", workspace.root()));
        program.arg(format!("--valgrind-bin={}", self.valgrind.program));
        if let Some(library) = &self.valgrind.library {
            // Named, since everything else in the environment is kept from Valgrind.
            program
                .env("VALGRIND_LIB", library)
                .arg("--envs=VALGRIND_LIB");
        }
        let path = variable("PATH").unwrap_or_default();
        capture(program.env("PATH", format!("{}:{path}", self.runner)))
    }
}

/// What one more of each operation takes, of what was told of runs with fewer and with more.
fn per_operation(told: &str) -> Result<BTreeMap<String, u64>> {
    let mut runs = BTreeMap::<String, BTreeMap<u64, u64>>::new();
    for line in told.lines() {
        let (name, times, count) = run_of(line).with_context(|| format!("no run: `{line}`"))?;
        runs.entry(name).or_default().insert(times, count);
    }
    ensure!(!runs.is_empty(), "nothing was counted");
    let one_more = |(name, counts): (String, BTreeMap<u64, u64>)| {
        let count = one_more(&counts);
        let count = count.with_context(|| format!("`{name}` counted nothing: {counts:?}"))?;
        Ok((name, count))
    };
    runs.into_iter().map(one_more).collect()
}

/// The operation, how often it was done, and what that took.
fn run_of(line: &str) -> Option<(String, u64, u64)> {
    let run: Value = serde_json::from_str(line).ok()?;
    let name = run["function_name"].as_str()?.to_owned();
    let times = run["id"].as_str()?.strip_prefix('x')?.parse().ok()?;
    Some((name, times, run.pointer(COUNT)?.as_u64()?))
}

fn one_more(counts: &BTreeMap<u64, u64>) -> Option<u64> {
    let (few, least) = counts.first_key_value()?;
    let (many, most) = counts.last_key_value()?;
    let (times, count) = (many - few, most.checked_sub(*least)?);
    let one = (count as f64 / times as f64).round();
    (times > 0 && one > 0.0).then_some(one as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, id: &str, count: u64) -> String {
        format!(
            r#"{{"function_name":"{name}","id":"{id}","profiles":[{{"data":{{"total":{{"metrics":{{"Ir":{{"values":{{"new":{count}}}}}}}}}}}}}]}}"#
        )
    }

    fn check(lines: &[String], expect: Result<&[(&str, u64)], &str>) {
        let found = per_operation(&lines.join("\n")).map_err(|error| error.to_string());
        let named = |(name, count): &(&str, u64)| ((*name).to_owned(), *count);
        let expect = expect.map(|counts| counts.iter().map(named).collect());
        assert_eq!(found, expect.map_err(str::to_owned));
    }

    #[test]
    fn what_happens_once_does_not_count() {
        let lines = [told("call", "x10", 1090), told("call", "x20", 2089)];
        check(&lines, Ok(&[("call", 100)]));
    }

    #[test]
    fn a_run_that_counts_nothing_is_no_good_run() {
        check(&[], Err("nothing was counted"));
        let lines = [told("call", "x10", 0), told("call", "x20", 0)];
        check(&lines, Err("`call` counted nothing: {10: 0, 20: 0}"));
        let lines = [told("call", "x10", 1090)];
        check(&lines, Err("`call` counted nothing: {10: 1090}"));
        check(&["{}".to_owned()], Err("no run: `{}`"));
    }
}
