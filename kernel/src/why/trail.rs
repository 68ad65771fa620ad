//! What is being explained and what is explained already, so that each thing is explained once and
//! no explanation goes round in circles.

use std::collections::BTreeSet;

/// Things of one kind.
#[derive(Debug, Default)]
pub(super) struct Trail<'a> {
    /// From what was asked about to what is being explained.
    path: Vec<&'a str>,
    told: BTreeSet<&'a str>,
}

/// Why something is not explained here.
#[derive(Debug)]
pub(super) enum Known<'t, 'a> {
    /// It is being explained: from itself to whatever led back to it.
    Round(&'t [&'a str]),
    /// It is explained already.
    Told,
}

impl<'a> Trail<'a> {
    /// Begins to explain something, until [`leave`](Self::leave) says that it is done.
    pub(super) fn enter(&mut self, name: &'a str) -> Result<(), Known<'_, 'a>> {
        if let Some(first) = self.path.iter().position(|it| *it == name) {
            return Err(Known::Round(&self.path[first..]));
        }
        if !self.told.insert(name) {
            return Err(Known::Told);
        }
        self.path.push(name);
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.path.pop();
    }

    /// Whether it is the first that is being explained.
    pub(super) fn is_at_root(&self) -> bool {
        self.path.len() == 1
    }
}
