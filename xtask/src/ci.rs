//! Every check that a change has to pass, one after another, and a table of how they went.
//! A failure does not hide the next one: all checks run.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::workspace::{Workspace, capture, succeed};
use crate::{crash, fuzz, instructions, licences, models, readme, soak};

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
    passed: bool,
    duration: Duration,
}

/// Runs every step.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let outcomes: Vec<_> = STEPS.iter().map(|step| perform(step, workspace)).collect();
    println!("\n{}", table(&outcomes));
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
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
        passed: result.is_ok(),
        duration,
    }
}

fn table(outcomes: &[Outcome]) -> String {
    let row = |outcome: &Outcome| {
        let word = if outcome.passed { "ok" } else { "FAILED" };
        format!(
            "{word:<8}{:>7.1} s  {}",
            outcome.duration.as_secs_f64(),
            outcome.title
        )
    };
    outcomes.iter().map(row).collect::<Vec<_>>().join("\n")
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
    succeed(workspace.command(program).args(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_each_outcome() {
        let outcome = |title, passed, millis| Outcome {
            title,
            passed,
            duration: Duration::from_millis(millis),
        };
        let found = table(&[
            outcome("format", true, 840),
            outcome("lints", false, 61_200),
        ]);
        assert_eq!(found, "ok          0.8 s  format\nFAILED     61.2 s  lints");
    }
}
