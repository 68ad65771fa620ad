//! Standard output for data, standard error for words; a reader that has gone away ends the
//! program without a word.

use std::io::{self, IsTerminal as _, Write as _};

use thiserror::Error;

use crate::failure::Explain;

/// The kind of error that is no failure: nobody reads on.
pub(crate) const PIPE_CLOSED: &str = "pipe-closed";

/// What is printed cannot be written.
#[derive(Debug, Error)]
#[error("cannot write to standard output")]
pub(crate) struct OutputError(#[source] io::Error);

impl Explain for OutputError {
    fn kind(&self) -> &'static str {
        match self.0.kind() {
            io::ErrorKind::BrokenPipe => PIPE_CLOSED,
            _ => "failed",
        }
    }
}

/// Prints data, and a newline after it.
pub(crate) fn print(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    written.map_err(OutputError)
}

/// Says something, and ends the line.
pub(crate) fn say(text: &str) {
    // With standard error gone, there is nowhere to complain of it.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// How many columns standard output has; none where it is no terminal.
pub(crate) fn width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
