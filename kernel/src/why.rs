//! Why a plugin is where it is: a tree from its state down to the causes that somebody can mend.
//!
//! It is worked out, when it is asked for, from what the manager shows; nothing here changes
//! anything.

mod blocking;
mod broken;
mod build;
mod cause;
mod facts;
mod file;
mod meant;
mod needs;
mod plugin;
mod provider;
mod rest;
mod rules;
mod service;
mod serving;
mod trail;

use std::fmt;

use serde::Serialize;

use crate::lifecycle::State;

pub use cause::Cause;
pub(crate) use facts::{Asked, Facts, Rest, Scene};
pub(crate) use meant::explain;

/// Something that is so, and why it is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Why {
    /// What it is about: a plugin, a capability, a file.
    pub subject: String,
    /// Where the plugin stands, in the node that says so of it.
    pub state: Option<State>,
    /// Since when that is so, when it happened or when it will, in nanoseconds since 1970.
    pub since: Option<u64>,
    /// What kind of reason it is.
    pub cause: Cause,
    /// What is so.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Why it is so.
    pub causes: Vec<Why>,
}

impl Why {
    fn new(cause: Cause, subject: &str, text: impl Into<String>) -> Self {
        Self {
            subject: subject.to_owned(),
            state: None,
            since: None,
            cause,
            text: text.into(),
            hint: None,
            causes: Vec::new(),
        }
    }

    fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    fn since(mut self, since: impl Into<Option<u64>>) -> Self {
        self.since = since.into();
        self
    }

    fn because(mut self, causes: impl IntoIterator<Item = Why>) -> Self {
        self.causes.extend(causes);
        self
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = depth * 2;
        write!(f, "{:indent$}{}", "", self.text)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n{:indent$}  hint: {hint}", "")?;
        }
        for cause in &self.causes {
            f.write_str("\n")?;
            cause.write(f, depth + 1)?;
        }
        Ok(())
    }
}

/// A line for each node, below what it explains and two columns further in.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

#[cfg(test)]
mod tests;
