//! Tells words, each in one write to a pipe: what was told before a kill can be read behind it.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use anyhow::Result;

use crate::word::Word;

/// The pipe; a write of less than 4 KiB into one is whole, also beside those of other threads.
#[derive(Debug, Clone)]
pub(crate) struct Teller(Arc<File>);

impl Teller {
    pub(super) fn to_output() -> Result<Self> {
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self(Arc::new(output.into())))
    }

    /// Tells it; nobody listens any more only if this process is to end too.
    pub(crate) fn tell(&self, word: &Word) {
        drop((&*self.0).write_all(format!("{word}\n").as_bytes()));
    }

    pub(crate) fn complain(&self, what: impl Into<String>) {
        self.tell(&Word::Complaint(what.into()));
    }
}
