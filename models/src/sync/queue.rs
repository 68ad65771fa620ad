//! A queue that looks like that of `crossbeam_queue`: each operation is one step, and all of them
//! have one order, as that one promises.

use std::{
    collections::VecDeque,
    sync::{Mutex as Hidden, PoisonError},
};

use super::{AtomicUsize, Ordering};

pub(crate) struct SegQueue<T> {
    length: AtomicUsize,
    elements: Hidden<VecDeque<T>>,
}

impl<T> SegQueue<T> {
    pub(crate) fn new() -> Self {
        Self {
            length: AtomicUsize::new(0),
            elements: Hidden::default(),
        }
    }

    #[track_caller]
    pub(crate) fn push(&self, element: T) {
        self.length.fetch_add(1, Ordering::SeqCst);
        self.elements().push_back(element);
    }

    #[track_caller]
    pub(crate) fn pop(&self) -> Option<T> {
        let one_less = |length: usize| length.checked_sub(1);
        (self.length)
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
            .ok()?;
        self.elements().pop_front()
    }

    #[track_caller]
    pub(crate) fn is_empty(&self) -> bool {
        self.length.load(Ordering::SeqCst) == 0
    }

    fn elements(&self) -> std::sync::MutexGuard<'_, VecDeque<T>> {
        self.elements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
