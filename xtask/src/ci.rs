//! Every check that a change has to pass, one after another, and a table of how they went.
//! A failure does not hide the next one: all checks run.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::workspace::{Workspace, capture, succeed};
use crate::{crash, failures, fuzz, instructions, licences, models, readme, soak};

struct Step {
    title: &'static str,
    run: fn(&Workspace) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step {
        title: "format",
        run: format,
    },
    Step {
        title: "lock files",
        run: lock_files,
    },
    Step {
        title: "lints",
        run: lints,
    },
    Step {
        title: "documentation",
        run: documentation,
    },
    Step {
        title: "licences",
        run: licences::check_workspace,
    },
    Step {
        title: "the README's test command",
        run: readme_tests,
    },
    Step {
        title: "interleavings",
        run: models::run_short,
    },
    Step {
        title: "soak",
        run: soak::run_short,
    },
    Step {
        title: "crashes",
        run: crash::run_short,
    },
    Step {
        title: "fuzzing",
        run: fuzz::run_short,
    },
    Step {
        title: "instruction counts",
        run: instructions::check,
    },
];

struct Outcome {
    title: &'static str,
    result: Result<()>,
    duration: Duration,
}

/// Runs every step.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let outcomes: Vec<_> = STEPS.iter().map(|step| perform(step, workspace)).collect();
    println!("\n{}", table(&outcomes));
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_err())
        .count();
    ensure!(failed == 0, "{failed} of {} checks failed", outcomes.len());
    Ok(())
}

/// The workspace and those beside it, each of which is built with `--locked`.
const MANIFESTS: [&str; 6] = [
    "Cargo.toml",
    "examples/ship/Cargo.toml",
    "tests/fixtures/Cargo.toml",
    "bench/Cargo.toml",
    "fuzz/Cargo.toml",
    "models/Cargo.toml",
];

/// A dependency that was added to one crate is in the lock file of each workspace over it.
fn lock_files(workspace: &Workspace) -> Result<()> {
    for manifest in MANIFESTS {
        let mut cargo = workspace.cargo("metadata");
        cargo.args([
            "--locked",
            "--format-version",
            "1",
            "--manifest-path",
            manifest,
        ]);
        capture(&mut cargo).with_context(|| {
            format!(
                "run `cargo update --workspace --manifest-path {manifest}` and commit its lock file"
            )
        })?;
    }
    Ok(())
}

fn perform(step: &Step, workspace: &Workspace) -> Outcome {
    println!("\n== {} ==", step.title);
    let begin = Instant::now();
    let result = (step.run)(workspace);
    let duration = begin.elapsed();
    if let Err(error) = &result {
        eprintln!("error: {error:#}");
    }
    println!("== {}: {:.1} s ==", step.title, duration.as_secs_f64());
    Outcome {
        title: step.title,
        result,
        duration,
    }
}

/// A line for each check, and then why those that failed did.
fn table(outcomes: &[Outcome]) -> String {
    let row = |outcome: &Outcome| {
        let word = if outcome.result.is_ok() {
            "ok"
        } else {
            "FAILED"
        };
        let seconds = outcome.duration.as_secs_f64();
        format!("{word:<8}{seconds:>7.1} s  {}", outcome.title)
    };
    let rows = outcomes.iter().map(row);
    let reasons = outcomes.iter().filter_map(|outcome| {
        let error = outcome.result.as_ref().err()?;
        Some(format!("{}: {error:#}", outcome.title))
    });
    rows.chain(reasons).collect::<Vec<_>>().join("\n")
}

fn format(workspace: &Workspace) -> Result<()> {
    succeed(workspace.cargo("fmt").args(["--all", "--check"]))
}

fn lints(workspace: &Workspace) -> Result<()> {
    let mut clippy = workspace.cargo("clippy");
    succeed(clippy.args(["--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn documentation(workspace: &Workspace) -> Result<()> {
    let mut doc = workspace.cargo("doc");
    succeed(
        doc.args(["--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// What the README promises is what is run.
fn readme_tests(workspace: &Workspace) -> Result<()> {
    let path = workspace.root().join("README.md");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    let words = readme::command(&text, "cargo xtask test")?;
    let (program, arguments) = words.split_first().context("the command is empty")?;
    failures::succeed(workspace.command(program).args(arguments))
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_table_tells_each_outcome() {
        let outcome = |title, result, millis| Outcome {
            title,
            result,
            duration: Duration::from_millis(millis),
        };
        let found = table(&[
            outcome("lints", Err(anyhow!("no")), 61_200),
            outcome("format", Ok(()), 840),
        ]);
        let expect = "FAILED     61.2 s  lints\nok          0.8 s  format\nlints: no";
        assert_eq!(found, expect);
    }
}
