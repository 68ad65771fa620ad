//! Whether the process of a generation has died, and what it had in hand then.
//!
//! A generation in the kernel's own process cannot die alone; what follows from a death is the
//! manager's business.

use std::{fmt, sync::Arc};

use octa_plugin_api::{Error, ErrorKind};
use parking_lot::Mutex;

use crate::bus::Held;

/// In so many deaths an event may have been in hand before it is given up.
pub(crate) const DEATHS_MAX: u32 = 2;

/// The fate of one generation. Clones are the same.
#[derive(Clone)]
pub(crate) struct Fate(Option<Arc<Shared>>);

struct Shared {
    is_dead: Box<dyn Fn() -> bool + Send + Sync>,
    casualties: Mutex<Vec<Casualty>>,
}

/// An event that was being handled when a process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Casualty {
    pub(crate) id: u64,
    pub(crate) topic: Arc<str>,
    /// In how many deaths so far.
    pub(crate) times: u32,
}

impl Casualty {
    pub(crate) fn is_given_up(&self) -> bool {
        self.times >= DEATHS_MAX
    }
}

impl Fate {
    /// That of a generation in the kernel's process: it lives.
    pub(crate) fn shared() -> Self {
        Self(None)
    }

    /// That of a generation whose process may end.
    pub(crate) fn own(is_dead: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Shared {
            is_dead: Box::new(is_dead),
            casualties: Mutex::default(),
        })))
    }

    /// Whether it can die at all.
    pub(crate) fn is_mortal(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| (shared.is_dead)())
    }

    /// Whether work ended with this because the process did.
    pub(crate) fn has_ended(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Interrupted && self.is_dead()
    }

    /// Whether work was not begun because the process had ended.
    pub(crate) fn has_refused(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Unavailable && self.is_dead()
    }

    /// Notes an event that was in hand at the death.
    pub(crate) fn note(&self, held: &Held) {
        if let Some(shared) = &self.0 {
            shared.casualties.lock().push(Casualty {
                id: held.event.id,
                topic: held.event.topic.clone(),
                times: held.deaths,
            });
        }
    }

    /// The events that were in hand, noted so far.
    pub(crate) fn take_casualties(&self) -> Vec<Casualty> {
        let shared = self.0.as_ref();
        shared.map_or_else(Vec::new, |it| std::mem::take(&mut *it.casualties.lock()))
    }
}

impl fmt::Debug for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fate")
            .field("is_mortal", &self.is_mortal())
            .field("is_dead", &self.is_dead())
            .finish()
    }
}
