//! One ring in shared memory: its four words and its data, as one of the two processes sees them.
//!
//! `tail` and `head` count the bytes ever written and read, so their difference is what is in the
//! ring. Each side keeps its own counter to itself and only publishes it here; what it finds of the
//! other's is checked by [`used`](Ring::used).

use crate::sync::{AtomicU64, Ordering, fence};

/// The bytes of a word: frames begin at multiples of it.
pub(super) const WORD: usize = size_of::<u64>();

/// A ring. All its words may change at any time.
pub(super) struct Ring<'a> {
    /// Written by the sender.
    pub(super) tail: &'a AtomicU64,
    /// Written by the receiver.
    pub(super) head: &'a AtomicU64,
    /// Set by the receiver, and taken by the sender, who then wakes it.
    pub(super) asleep: &'a AtomicU64,
    /// Set by the sender, and taken by the receiver, who then wakes it.
    pub(super) wants_room: &'a AtomicU64,
    /// A power of two of words.
    pub(super) data: &'a [AtomicU64],
}

impl Ring<'_> {
    /// The bytes that the ring holds.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.data.len() * WORD
    }

    /// How many bytes are in the ring if these are its counters, of which one is the other side's.
    ///
    /// # Errors
    ///
    /// It cannot be so many: the number.
    #[inline]
    pub(super) fn used(&self, tail: u64, head: u64) -> Result<usize, u64> {
        let used = tail.wrapping_sub(head);
        match usize::try_from(used) {
            Ok(bytes) if bytes <= self.bytes() && bytes.is_multiple_of(WORD) => Ok(bytes),
            _ => Err(used),
        }
    }

    /// Writes at `tail` what there is room for there. The last word may be part of one: it is
    /// filled up with zeros.
    #[inline]
    pub(super) fn write(&self, tail: u64, bytes: &[u8]) {
        let (before, after) = self.halves(tail);
        let (words, rest) = bytes.as_chunks::<WORD>();
        let mut places = after.iter().chain(before);
        for (word, place) in words.iter().zip(&mut places) {
            place.store(u64::from_ne_bytes(*word), Ordering::Relaxed);
        }
        if !rest.is_empty()
            && let Some(place) = places.next()
        {
            let mut word = [0; WORD];
            word[..rest.len()].copy_from_slice(rest);
            place.store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
    }

    /// Copies whole words from `head` on, each of them read once.
    #[inline]
    pub(super) fn read(&self, head: u64, into: &mut [u8]) {
        let (before, after) = self.halves(head);
        let (words, _) = into.as_chunks_mut::<WORD>();
        for (word, place) in words.iter_mut().zip(after.iter().chain(before)) {
            *word = place.load(Ordering::Relaxed).to_ne_bytes();
        }
    }

    /// The words before and after a counter's place.
    #[inline]
    fn halves(&self, counter: u64) -> (&[AtomicU64], &[AtomicU64]) {
        // Cut before it is masked: the data are a power of two of words.
        let place = (counter / WORD as u64) as usize & (self.data.len() - 1);
        self.data.split_at(place)
    }

    /// The receiver looks by itself from now on. Does not write where it did already.
    #[inline]
    pub(super) fn stay_awake(&self) {
        if self.asleep.load(Ordering::Relaxed) != 0 {
            self.asleep.store(0, Ordering::Relaxed);
        }
    }

    /// The receiver wants to be woken from now on. The tail as it is then: what is published
    /// after it, wakes.
    #[inline]
    #[must_use]
    pub(super) fn fall_asleep(&self) -> u64 {
        self.asleep.store(1, Ordering::Relaxed);
        // With that of `was_asleep`: the sender sees the word, or this side what it published.
        fence(Ordering::SeqCst);
        self.tail.load(Ordering::Acquire)
    }

    /// Takes the wish back; whether nobody has fulfilled it.
    #[inline]
    pub(super) fn wake_up(&self) -> bool {
        take(self.asleep)
    }

    /// The sender has published, and asks if it has to wake the receiver.
    #[inline]
    pub(super) fn was_asleep(&self) -> bool {
        fence(Ordering::SeqCst);
        take(self.asleep)
    }

    /// The sender wants to be woken when there is room. The head as it is then: room that is made
    /// after it, wakes.
    #[inline]
    #[must_use]
    pub(super) fn want_room(&self) -> u64 {
        self.wants_room.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.head.load(Ordering::Acquire)
    }

    /// The receiver has made room, and asks if it has to wake the sender. Only after a fence, such
    /// as that of [`fall_asleep`](Self::fall_asleep), is a "no" one that can be relied on.
    #[inline]
    pub(super) fn was_room_wanted(&self) -> bool {
        take(self.wants_room)
    }
}

/// Whether a flag was set, and is not any more. Does not write where it was not.
#[inline]
fn take(flag: &AtomicU64) -> bool {
    flag.load(Ordering::Relaxed) != 0 && flag.swap(0, Ordering::AcqRel) != 0
}

/// The bytes that so many bytes of a frame take up in a ring.
#[inline]
pub(super) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(WORD)
}
