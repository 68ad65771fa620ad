//! How far a long copy is, as a bar on a terminal; elsewhere nothing is shown.

use std::io::{self, IsTerminal as _, Write as _};

use serde::{Deserialize, Serialize};

use octa_kernel::storage;

/// How many characters the bar itself has.
const WIDTH: u64 = 24;

/// How far a copy is, as it is told over the admin socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// `copying` or `checking`.
    pub(crate) step: String,
    /// How many records that has been done to.
    pub(crate) done: u64,
    /// How many there are.
    pub(crate) of: u64,
}

impl From<storage::Progress> for Progress {
    fn from(progress: storage::Progress) -> Self {
        Self {
            step: progress.step.to_string(),
            done: progress.done,
            of: progress.of,
        }
    }
}

impl Progress {
    fn to_text(&self) -> String {
        let Self { step, done, of } = self;
        let share = |of_what: u64| match of {
            0 => of_what,
            _ => u64::try_from(u128::from(*done) * u128::from(of_what) / u128::from(*of))
                .unwrap_or(of_what),
        };
        let full = "█".repeat(share(WIDTH) as usize);
        let rest = "░".repeat((WIDTH - share(WIDTH)) as usize);
        format!(
            "{step} {full}{rest} {:>3} %  {done} of {of} records",
            share(100)
        )
    }
}

/// A line of a terminal that is written over and over.
#[derive(Debug)]
pub(crate) struct Bar {
    is_shown: bool,
    shown: Option<String>,
}

impl Bar {
    /// A bar on standard error, if that is a terminal.
    pub(crate) fn new() -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
            shown: None,
        }
    }

    /// Shows how far it is.
    pub(crate) fn show(&mut self, progress: &Progress) {
        if !self.is_shown {
            return;
        }
        let text = progress.to_text();
        if self.shown.as_ref() != Some(&text) {
            // With standard error gone, there is nowhere to complain of it.
            drop(write!(io::stderr().lock(), "\r{text}\x1b[K"));
            self.shown = Some(text);
        }
    }
}

impl Drop for Bar {
    /// Gives the line back to what is told next.
    fn drop(&mut self) {
        if self.shown.is_some() {
            drop(write!(io::stderr().lock(), "\r\x1b[K"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills() {
        let text = |done, of| {
            let step = "copying".to_owned();
            Progress { step, done, of }.to_text()
        };
        let (full, rest) = ("█".repeat(12), "░".repeat(12));
        assert_eq!(
            text(500, 1_000),
            format!("copying {full}{rest}  50 %  500 of 1000 records")
        );
        assert!(text(999, 1_000).contains("  99 %  "));
        assert!(text(u64::MAX, u64::MAX).contains(" 100 %  "));
        assert!(text(0, 0).contains(" 100 %  0 of 0 records"));
    }
}
