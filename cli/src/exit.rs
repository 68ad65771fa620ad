//! The codes that the program ends with, and their one place.

use std::process::ExitCode;

use crate::answer::{Answer, Meta};
use crate::failure::Failure;
use crate::output;

/// The codes, as `octa --help` tells them.
pub(crate) const HELP: &str = "\
Exit codes:
  0    done
  1    failed: what was asked for was tried, and an error came back
  2    the command line is not understood
  3    refused: a file, a name, a configuration or an input is not acceptable
  4    no kernel is running, or it does not answer
  130  ended at once by a second Ctrl-C";

/// The code after a second signal.
const INTERRUPTED: i32 = 130;

/// Renders the outcome of a command, and turns it into an exit code.
pub(crate) fn leave(outcome: Result<(), Failure>, json: bool) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    let code = code(failure.kind());
    if failure.is_told() {
        return ExitCode::from(code);
    }
    if json {
        let answer = Answer::failed(failure.body(), Meta::local());
        // Nobody is left to tell if this cannot be printed either.
        drop(output::print(&answer.to_line()));
    } else {
        output::say(&failure.to_string());
    }
    ExitCode::from(code)
}

/// Ends the process without asking anybody.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever interrupts twice does not want to wait for `main` to return"
)]
pub(crate) fn at_once() -> ! {
    std::process::exit(INTERRUPTED)
}

/// The code for a kind of error.
fn code(kind: &str) -> u8 {
    match kind {
        output::PIPE_CLOSED => 0,
        "no-kernel" => 4,
        "invalid-input" | "rejected" | "denied" | "not-found" | "unknown-capability"
        | "too-large" | "unsupported" | "already-running" => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_code() {
        assert_eq!(code("panicked"), 1);
        assert_eq!(code("unknown-capability"), 3);
        assert_eq!(code("no-kernel"), 4);
        assert_eq!(code(output::PIPE_CLOSED), 0);
    }
}
