//! How a worker process came to its end, in words.

use std::{fmt, process::ExitStatus};

/// The end of a worker process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// What ended it.
    pub cause: ExitCause,
    /// What it wrote last to its standard output and error, oldest first.
    pub last_lines: Vec<String>,
    /// The calls that were under way.
    pub calls: Vec<CallUnderWay>,
}

/// A call that was under way when its process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallUnderWay {
    /// Who called.
    pub caller: String,
    /// What.
    pub capability: String,
}

/// What ended a worker process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitCause {
    /// It was asked to, and did.
    Asked,
    /// It ended by itself, with this code.
    Code(i32),
    /// This signal, which was not the kernel's.
    Signal(i32),
    /// The kernel killed it.
    Killed {
        /// Why.
        why: String,
    },
}

impl Exit {
    pub(super) fn of(cause: ExitCause, last_lines: Vec<String>) -> Self {
        Self {
            cause,
            last_lines,
            calls: Vec::new(),
        }
    }

    /// Whether something went wrong: it was not asked to end, and did so otherwise than with code 0.
    pub fn is_failure(&self) -> bool {
        !matches!(self.cause, ExitCause::Asked | ExitCause::Code(0))
    }
}

impl ExitCause {
    pub(super) fn of(status: ExitStatus, was_asked: bool) -> Self {
        match (status.code(), signal(status)) {
            (Some(0), _) if was_asked => Self::Asked,
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        match self.last_lines.last() {
            Some(line) => write!(f, ", after it wrote `{line}`"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("ended when it was asked to"),
            Self::Code(code) => write!(f, "ended by itself with code {code}"),
            Self::Signal(signal) => match name_of(*signal) {
                Some(name) => write!(f, "was ended by signal {signal} ({name})"),
                None => write!(f, "was ended by signal {signal}"),
            },
            Self::Killed { why } => write!(f, "was killed: {why}"),
        }
    }
}

/// The numbers are those of Linux; other systems agree in the first fifteen, but for `SIGBUS`.
fn name_of(signal: i32) -> Option<&'static str> {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    };
    cfg!(target_os = "linux").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_in_words() {
        let check = |cause: ExitCause, is_failure: bool, expect: &str| {
            let exit = Exit::of(cause, Vec::new());
            assert_eq!(
                (exit.to_string().as_str(), exit.is_failure()),
                (expect, is_failure)
            );
        };
        check(ExitCause::Asked, false, "ended when it was asked to");
        check(ExitCause::Code(0), false, "ended by itself with code 0");
        check(ExitCause::Code(3), true, "ended by itself with code 3");
        check(ExitCause::Signal(40), true, "was ended by signal 40");
        let killed = ExitCause::Killed {
            why: "it did not answer for 10s".to_owned(),
        };
        check(killed, true, "was killed: it did not answer for 10s");
        let lines = vec!["one".to_owned(), "two".to_owned()];
        let crashed = Exit::of(ExitCause::Signal(40), lines);
        assert_eq!(
            crashed.to_string(),
            "was ended by signal 40, after it wrote `two`"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn signals_have_names() {
        assert_eq!(
            ExitCause::Signal(11).to_string(),
            "was ended by signal 11 (SIGSEGV)"
        );
    }
}
