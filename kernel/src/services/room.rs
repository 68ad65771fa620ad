//! The places of a provider, and who waits for one. One room serves all generations of a plugin,
//! also while the number of its places changes.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use octa_loader::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// As many places as calls may be under way.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    limit: AtomicU32,
    /// Places that there are too many of, and that go when their calls end.
    owed: AtomicU32,
    waiting: AtomicU32,
}

/// A place in a room; it goes with the work that takes it.
#[derive(Debug)]
pub(super) struct Place {
    /// `None` when it is given back.
    permit: Option<OwnedSemaphorePermit>,
    room: Arc<Room>,
}

/// One that waits for a place.
struct Queued(Arc<Room>);

impl Room {
    pub(super) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(limit as usize)),
            limit: AtomicU32::new(limit),
            owed: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
        })
    }

    /// Goes on with another number of places; for one at a time. Those that are too many go as
    /// their calls end.
    pub(super) fn resize(&self, limit: u32) {
        let before = self.limit.swap(limit, Ordering::SeqCst);
        if let Some(more) = limit.checked_sub(before) {
            let owed = self.owed.load(Ordering::SeqCst).min(more);
            self.owed.fetch_sub(owed, Ordering::SeqCst);
            self.places.add_permits((more - owed) as usize);
        } else {
            let fewer = before - limit;
            let gone = self.places.forget_permits(fewer as usize);
            let gone = u32::try_from(gone).unwrap_or(fewer);
            self.owed.fetch_add(fewer - gone, Ordering::SeqCst);
        }
    }

    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let permit = self.places.clone().try_acquire_owned().ok()?;
        Some(self.place(permit))
    }

    /// Queues for a place; `None` if as many wait as may. What it resolves to is `None` if `timer`
    /// was ready first.
    pub(super) fn queue(
        self: &Arc<Self>,
        most: u32,
        timer: impl FnOnce() -> BoxFuture<()>,
    ) -> Option<BoxFuture<Option<Place>>> {
        let queued = Queued::enter(self.clone(), most)?;
        let timer = timer();
        Some(Box::pin(async move {
            let room = &queued.0;
            tokio::select! {
                biased;
                permit = room.places.clone().acquire_owned() => Some(room.place(permit.ok()?)),
                () = timer => None,
            }
        }))
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        Place {
            permit: Some(permit),
            room: self.clone(),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Queued {
    fn enter(room: Arc<Room>, most: u32) -> Option<Self> {
        let one_more = |waiting: u32| (waiting < most).then(|| waiting + 1);
        let entered = (room.waiting).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.ok().map(|_| Self(room))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Place {
    pub(super) fn is_in(&self, room: &Arc<Room>) -> bool {
        Arc::ptr_eq(&self.room, room)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let one_less = |owed: u32| owed.checked_sub(1);
        let owed = (self.room.owed).fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        if let (Ok(_), Some(permit)) = (owed, self.permit.take()) {
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_places_changes_while_they_are_taken() {
        let room = Room::new(3);
        let taken: Vec<_> = (0..3).map(|_| room.take().expect("a place")).collect();
        room.resize(1);
        assert!(room.take().is_none());
        let mut taken = taken.into_iter();
        drop((taken.next(), taken.next()));
        assert!(room.take().is_none(), "two of them are gone");
        room.resize(2);
        let second = room.take().expect("one more");
        assert!(room.take().is_none());
        drop((taken, second));
        let all: Vec<_> = std::iter::from_fn(|| room.take()).collect();
        assert_eq!(all.len(), 2);
        room.resize(1);
        room.resize(4);
        let all: Vec<_> = all
            .into_iter()
            .chain(std::iter::from_fn(|| room.take()))
            .collect();
        assert_eq!(all.len(), 4, "what was owed is not owed any more");
    }
}
