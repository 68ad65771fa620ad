//! Decisions that were made once and hold: looked up without a lock.

use std::{collections::HashMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use octa_plugin_api::Error;
use parking_lot::Mutex;

/// How many decisions are kept; topics and keys may be made up without end.
const MOST: usize = 1024;

/// Decisions by kind and target. Only those in favour are kept.
pub(super) struct Decided<T> {
    made: ArcSwap<HashMap<&'static str, HashMap<Box<str>, T>>>,
    /// Held by who decides; readers take no lock.
    deciding: Mutex<()>,
}

impl<T: Clone> Decided<T> {
    pub(super) fn get_or(
        &self,
        kind: &'static str,
        target: &str,
        decide: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(made) = self
            .made
            .load()
            .get(kind)
            .and_then(|targets| targets.get(target))
        {
            return Ok(made.clone());
        }
        let decision = decide()?;
        self.keep(kind, target, decision.clone());
        Ok(decision)
    }

    fn keep(&self, kind: &'static str, target: &str, decision: T) {
        let _deciding = self.deciding.lock();
        let mut made = HashMap::clone(&self.made.load());
        let targets = made.entry(kind).or_default();
        if targets.len() >= MOST {
            targets.clear();
        }
        targets.insert(target.into(), decision);
        self.made.store(Arc::new(made));
    }
}

impl<T> Default for Decided<T> {
    fn default() -> Self {
        Self {
            made: ArcSwap::default(),
            deciding: Mutex::new(()),
        }
    }
}

impl<T> fmt::Debug for Decided<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decided")
    }
}
