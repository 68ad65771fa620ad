//! Runs every test of the workspace, documentation included, and judges the outcome.
//! The tests build their fixture plugins themselves.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::failures;
use crate::not_run::{self, NotRun};
use crate::tools::{self, postgres::Postgres};
use crate::workspace::{Workspace, variable};

/// Fetches the tools, runs the tests, and prints last what could not be run.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo("test");
    cargo.args(["--workspace", "--no-fail-fast"]);

    let not_run = NotRun::create(workspace.target().join("not-run.txt"))?;
    cargo.env(not_run::VARIABLE, not_run.path());
    match tools::second_compiler(workspace, tools::Fetch::IfMissing) {
        Ok(compiler) => {
            eprintln!("second compiler: {compiler}");
            cargo.env(tools::SECOND_COMPILER, &compiler.path);
        }
        Err(reason) => {
            cargo.env_remove(tools::SECOND_COMPILER);
            not_run.add(&format!(
                "plugins built by a second compiler: {} (install {})",
                tools::tell(&reason),
                tools::HINT
            ))?;
        }
    }

    Postgres::hand_to(workspace, &mut cargo);

    let outcome = failures::succeed(&mut cargo);
    let missing = not_run.lines()?;
    for line in &missing {
        println!("not run: {line}");
    }
    judge(outcome, &missing, variable("CI").as_deref() == Some("true"))
}

/// On a developer's machine a test may be left out; where merges are decided, each one runs.
fn judge(outcome: Result<()>, missing: &BTreeSet<String>, is_ci: bool) -> Result<()> {
    outcome?;
    if is_ci {
        ensure!(
            missing.is_empty(),
            "{} could not be run, and `CI=true` wants every test",
            tests(missing.len())
        );
    }
    Ok(())
}

fn tests(count: usize) -> String {
    format!("{count} test{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn check(passed: bool, missing: &[&str], is_ci: bool, expect: Option<&str>) {
        let outcome = if passed {
            Ok(())
        } else {
            Err(anyhow!("`cargo test` failed"))
        };
        let missing = missing.iter().map(|line| line.to_string()).collect();
        let found = judge(outcome, &missing, is_ci)
            .err()
            .map(|error| error.to_string());
        assert_eq!(found.as_deref(), expect);
    }

    #[test]
    fn a_test_that_could_not_run_fails_where_merges_are_decided() {
        check(true, &[], true, None);
        check(true, &["a (install a)"], false, None);
        let refusal = "1 test could not be run, and `CI=true` wants every test";
        check(true, &["a (install a)"], true, Some(refusal));
    }

    #[test]
    fn a_failed_test_fails_everywhere() {
        check(false, &[], false, Some("`cargo test` failed"));
        check(false, &["a (install a)"], true, Some("`cargo test` failed"));
    }
}
