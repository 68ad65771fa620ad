//! The memory that both ends see: two rings of a few words.

use std::sync::Arc;

use super::ring::Ring;
use crate::sync::AtomicU64;

/// A quarter of it is more than a frame: as with large rings, not each that is read is told the
/// sender at once.
pub(crate) const WORDS: usize = 8;

#[derive(Clone, Copy)]
pub(super) enum Side {
    Kernel,
    Worker,
}

pub(super) struct Memory {
    rings: Arc<[Words; 2]>,
    side: Side,
}

#[derive(Default)]
struct Words {
    tail: AtomicU64,
    head: AtomicU64,
    asleep: AtomicU64,
    wants_room: AtomicU64,
    data: [AtomicU64; WORDS],
}

impl Memory {
    pub(super) fn pair() -> [Self; 2] {
        let rings = Arc::<[Words; 2]>::default();
        [Side::Kernel, Side::Worker].map(|side| Self {
            rings: rings.clone(),
            side,
        })
    }

    pub(super) fn outgoing(&self) -> Ring<'_> {
        self.ring(self.side as usize)
    }

    pub(super) fn incoming(&self) -> Ring<'_> {
        self.ring(1 - self.side as usize)
    }

    fn ring(&self, index: usize) -> Ring<'_> {
        let words = &self.rings[index];
        Ring {
            tail: &words.tail,
            head: &words.head,
            asleep: &words.asleep,
            wants_room: &words.wants_room,
            data: &words.data,
        }
    }
}
