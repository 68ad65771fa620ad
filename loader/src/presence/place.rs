//! Where a thread is, as far as that can be told from outside: nobody stops it, and no signal is
//! sent, since those belong to the program.
//!
//! On Linux the system tells what a thread of the same process waits in and where its stack ends.
//! From there the stack is followed as far as the libraries say how. Where that leads nowhere,
//! what lies on it and could be a way back into the plugin's code is taken for one: most are, some
//! may be left from calls that have returned.

use std::fmt;

#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod stack;
#[cfg(target_os = "linux")]
mod symbols;
#[cfg(target_os = "linux")]
mod task;
#[cfg(target_os = "linux")]
mod unwind;

/// Where a thread is; what is not known is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The system call that it waits in.
    pub system_call: Option<String>,
    /// Whether it runs, or would if it had a processor.
    pub is_running: bool,
    /// Functions of the plugin that it is likely in, each called by the next; those of the
    /// standard library and of this project are left out, unless there are no others.
    pub likely: Vec<String>,
}

impl Place {
    /// Where the thread that has a seat is in the code of a generation.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: &super::seats::Sitter, _: Option<&std::path::Path>) -> Self {
        Self::default()
    }

    /// Where the thread that has a seat is in the code that is mapped from `library`.
    #[cfg(target_os = "linux")]
    pub(super) fn of(sitter: &super::seats::Sitter, library: Option<&std::path::Path>) -> Self {
        let Some(task) = sitter.number.and_then(task::Task::read) else {
            return Self::default();
        };
        let likely = library.and_then(|library| stack::likely(&task, sitter.stack, library));
        Self {
            system_call: task.system_call(),
            is_running: task.is_running(),
            likely: likely.unwrap_or_default(),
        }
    }
}

impl fmt::Display for Place {
    /// One line, empty if nothing is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(function) = self.likely.first() {
            write!(f, "in `{function}`")?;
        }
        let comma = if self.likely.is_empty() { "" } else { ", " };
        match &self.system_call {
            Some(call) => write!(f, "{comma}waiting in the system call `{call}`"),
            None if self.is_running => write!(f, "{comma}running"),
            None => Ok(()),
        }
    }
}
