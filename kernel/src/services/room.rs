//! The places of a provider, and who waits for one. One room serves all generations of a plugin,
//! also while the number of its places changes.

use std::{
    future::{Future as _, poll_fn},
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
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

/// The rooms of the plugins that offer a capability, as long as anything is in them: also while nothing is limited, or
/// a plugin is away.
#[derive(Debug, Clone, Default)]
pub(super) struct Rooms(Vec<(Arc<str>, Weak<Room>)>);

/// A place in a room; it goes with the work that takes it.
#[derive(Debug)]
pub(super) struct Place {
    /// `None` when it is given back.
    permit: Option<OwnedSemaphorePermit>,
    room: Arc<Room>,
}

/// One that waits for a place.
struct Queued(Arc<Room>);

impl Rooms {
    /// That of a plugin, with so many places from now on.
    pub(super) fn of(&mut self, plugin: &Arc<str>, limit: u32) -> Arc<Room> {
        self.0.retain(|(_, room)| room.strong_count() > 0);
        let same = self.0.iter().find(|(name, _)| name == plugin);
        if let Some(room) = same.and_then(|(_, room)| room.upgrade()) {
            room.resize(limit);
            return room;
        }
        let room = Room::new(limit);
        self.0.push((plugin.clone(), Arc::downgrade(&room)));
        room
    }
}

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
            // In one step, for calls that end meanwhile pay too.
            let less = |owed: u32| Some(owed.saturating_sub(more));
            let owed = (self.owed).fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
            let paid = owed.map_or(0, |owed| owed.min(more));
            self.places.add_permits((more - paid) as usize);
        } else {
            self.owed.fetch_add(before - limit, Ordering::SeqCst);
            // What is free goes at once; what got free meanwhile, too.
            while self.places.available_permits() > 0 && self.pay() {
                let gone = self.places.forget_permits(1);
                if gone == 0 {
                    self.owed.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }

    /// Takes one off what is owed, if anything is.
    fn pay(&self) -> bool {
        let one_less = |owed: u32| owed.checked_sub(1);
        let owed = (self.owed).fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        owed.is_ok()
    }

    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let permit = self.places.clone().try_acquire_owned().ok()?;
        Some(self.place(permit))
    }

    /// Queues here for the first place that one of `rooms` has; `None` if as many wait here as may. What it resolves
    /// to is `None` if `timer` was ready first.
    pub(super) fn queue(
        self: &Arc<Self>,
        most: u32,
        rooms: &[&Arc<Self>],
        timer: impl FnOnce() -> BoxFuture<()>,
    ) -> Option<BoxFuture<Option<Place>>> {
        let queued = Queued::enter(self.clone(), most)?;
        let timer = timer();
        let waits = rooms
            .iter()
            .map(|room| Box::pin(Self::wait(Arc::clone(room))));
        let mut waits: Vec<_> = waits.collect();
        Some(Box::pin(async move {
            let _queued = queued;
            let first = poll_fn(|cx| {
                let mut polled = waits.iter_mut().map(|wait| wait.as_mut().poll(cx));
                polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
            });
            tokio::select! {
                biased;
                place = first => place,
                () = timer => None,
            }
        }))
    }

    async fn wait(room: Arc<Self>) -> Option<Place> {
        let permit = room.places.clone().acquire_owned().await;
        Some(room.place(permit.ok()?))
    }

    pub(super) fn has_place(&self) -> bool {
        self.places.available_permits() > 0
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
        if self.room.pay()
            && let Some(permit) = self.permit.take()
        {
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

    #[test]
    fn calls_that_end_while_it_changes_take_no_place_with_them() {
        let room = Room::new(2);
        let rounds = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while rounds.load(Ordering::Relaxed) < 20_000 {
                        drop(room.take());
                    }
                });
            }
            while rounds.fetch_add(1, Ordering::Relaxed) < 20_000 {
                room.resize(1);
                room.resize(2);
            }
        });
        let all: Vec<_> = std::iter::from_fn(|| room.take()).collect();
        assert_eq!((all.len(), room.owed.load(Ordering::SeqCst)), (2, 0));
    }

    #[test]
    fn what_is_free_goes_at_once() {
        let room = Room::new(4);
        let taken = room.take().expect("a place");
        room.resize(2);
        let second = room.take().expect("one more");
        assert!(room.take().is_none());
        drop((taken, second));
        assert_eq!(
            std::iter::from_fn(|| room.take()).collect::<Vec<_>>().len(),
            2
        );
    }
}
