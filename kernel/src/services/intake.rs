//! Whether calls to a plugin that its instance turns away wait or fail; that they find the next
//! provider is the job of `again`.

use std::sync::Arc;

use crate::sync::{AtomicBool, AtomicUsize, Notify, Ordering, OwnedNotified};

/// The intake of a plugin, whatever generation serves. Clones are the same.
///
/// Who replaces a plugin pauses it before the old instance closes, and resumes it after a new one
/// is registered, or the old one is open again, or neither will be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intake(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Even while calls go on, odd while they wait. Who finds the same number twice knows that
    /// nothing happened in between.
    changes: AtomicUsize,
    /// The plugin has broken down and may be started again: calls that it had in hand, and that
    /// can be repeated, wait for that; new ones fail.
    is_expected: AtomicBool,
    resumed: Arc<Notify>,
}

/// An intake as it was at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(usize);

impl Intake {
    /// From now on calls wait.
    pub(crate) fn pause(&self) {
        self.0.changes.fetch_or(1, Ordering::SeqCst);
    }

    /// Lets those that wait go on, with the provider that is there now.
    pub(crate) fn resume(&self) {
        let next = |changes: usize| (changes % 2 == 1).then(|| changes.wrapping_add(1));
        let resumed = (self.0.changes).fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        if resumed.is_ok() {
            self.0.resumed.notify_waiters();
        }
    }

    /// The plugin has broken down and may come back.
    pub(crate) fn expect(&self) {
        self.0.is_expected.store(true, Ordering::SeqCst);
    }

    /// It is back, or does not come.
    pub(crate) fn expect_no_more(&self) {
        if self.0.is_expected.swap(false, Ordering::SeqCst) {
            self.0.resumed.notify_waiters();
        }
    }

    pub(super) fn is_expected(&self) -> bool {
        self.0.is_expected.load(Ordering::SeqCst)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.look().is_paused()
    }

    pub(super) fn look(&self) -> Moment {
        Moment(self.0.changes.load(Ordering::SeqCst))
    }

    /// Ready after the next resumption from now on, also if that comes before it is polled.
    pub(super) fn next_resumption(&self) -> OwnedNotified {
        self.0.resumed.clone().notified_owned()
    }
}

impl Moment {
    pub(super) fn is_paused(self) -> bool {
        self.0 % 2 == 1
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    #[test]
    fn clones_are_the_same() {
        let intake = Intake::default();
        assert!(!intake.is_paused());
        intake.clone().pause();
        intake.pause();
        assert!(intake.is_paused());
        intake.clone().resume();
        assert!(!intake.is_paused());
    }

    #[test]
    fn a_resumption_is_told_and_seen() {
        let intake = Intake::default();
        let before = intake.look();
        let mut early = pin!(intake.next_resumption());
        let mut cx = Context::from_waker(Waker::noop());
        intake.resume();
        assert_eq!(intake.look(), before, "it was not paused");
        assert!(early.as_mut().poll(&mut cx).is_pending());
        intake.pause();
        intake.resume();
        assert_ne!(intake.look(), before);
        assert!(early.as_mut().poll(&mut cx).is_ready());
        let mut late = pin!(intake.next_resumption());
        assert!(late.as_mut().poll(&mut cx).is_pending());
    }
}
