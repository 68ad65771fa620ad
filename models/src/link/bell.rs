//! What a parked thread waits for: one that rings before it waits, waits for it.

use crate::sync::{Condvar, Mutex};

pub(super) struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    pub(super) fn give(&self) {
        *self.has_rung.lock() = true;
        self.rings.notify_one();
    }

    pub(super) fn wait(&self) {
        let mut has_rung = self.has_rung.lock();
        while !*has_rung {
            self.rings.wait(&mut has_rung);
        }
        *has_rung = false;
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self {
            has_rung: Mutex::new(false),
            rings: Condvar::new(),
        }
    }
}
