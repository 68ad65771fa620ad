//! The sending half: what is on its way out of this process, and what waits for room.

use rustix::io::Errno;

use super::{
    QUEUE_BYTES_MAX, Violation,
    memory::Memory,
    queue::Queue,
    ring::{Ring, padded},
    socket::{self, Socket},
};
use crate::sync::Ordering;

/// What is sent, in its order. Behind a mutex because any thread sends: it is held for as long as
/// a copy of the frame takes.
#[derive(Default)]
pub(super) struct Outbox {
    /// The bytes ever written to the ring.
    tail: u64,
    /// What the other end said last that it has read of them.
    head: u64,
    queue: Queue,
}

/// Why a frame was not sent.
pub(super) enum Unsent {
    Overrun { queued: usize, refused: usize },
    Violation(Violation),
    System(Errno),
}

impl Outbox {
    pub(super) fn queued(&self) -> usize {
        self.queue.bytes()
    }

    /// Sends through a ring: what it has room for now, the rest is queued.
    #[inline]
    pub(super) fn send_over(&mut self, memory: &Memory, frame: &[u8]) -> Result<(), Unsent> {
        let ring = memory.outgoing();
        let whole = padded(frame.len());
        if self.queued() > 0 {
            self.flush(&ring)?;
        }
        let room = match self.queued() {
            0 => self.room(&ring, whole)?.min(whole),
            _ => 0,
        };
        self.check_queue(whole - room)?;
        if room == whole {
            self.write(&ring, frame);
            return Ok(());
        }
        // Room for less than the whole frame: it ends within `frame`, on a word.
        let (now, later) = frame.split_at(room);
        self.write(&ring, now);
        self.queue.push(later, whole - room);
        self.flush(&ring).map(drop)
    }

    /// Sends what is queued through a ring; whether that was anything.
    pub(super) fn flush_over(&mut self, memory: &Memory) -> Result<bool, Unsent> {
        self.flush(&memory.outgoing())
    }

    /// Sends through a socket: what it takes now, the rest is queued. Whether the queue was empty
    /// before, and is not any more.
    pub(super) fn send_through(&mut self, socket: &Socket, frame: &[u8]) -> Result<bool, Unsent> {
        if self.queued() > 0 {
            self.check_queue(frame.len())?;
            self.queue.push(frame, frame.len());
            return self.flush_through(socket).map(|_| false);
        }
        let sent = socket::send(socket, frame).map_err(Unsent::System)?;
        let later = &frame[sent..];
        if !later.is_empty() {
            self.queue.push(later, later.len());
        }
        Ok(!later.is_empty())
    }

    /// Sends what is queued through a socket; whether something is still.
    pub(super) fn flush_through(&mut self, socket: &Socket) -> Result<bool, Unsent> {
        while let Some(front) = self.queue.front() {
            match socket::send(socket, front).map_err(Unsent::System)? {
                0 => return Ok(true),
                sent => self.queue.advance(sent),
            }
        }
        Ok(false)
    }

    fn flush(&mut self, ring: &Ring<'_>) -> Result<bool, Unsent> {
        let before = self.tail;
        while let Some(front) = self.queue.front().map(<[u8]>::len) {
            let mut room = self.room(ring, front)?;
            if room == 0 {
                room = self.room_at(ring, ring.want_room())?;
            }
            if room == 0 {
                break;
            }
            self.flush_front(ring, room);
        }
        Ok(self.tail != before)
    }

    fn flush_front(&mut self, ring: &Ring<'_>, room: usize) {
        if let Some(front) = self.queue.front() {
            let now = &front[..room.min(front.len())];
            ring.write(self.tail, now);
            let sent = now.len();
            self.queue.advance(sent);
            self.publish(ring, sent);
        }
    }

    #[inline]
    fn write(&mut self, ring: &Ring<'_>, bytes: &[u8]) {
        ring.write(self.tail, bytes);
        self.publish(ring, padded(bytes.len()));
    }

    #[inline]
    fn publish(&mut self, ring: &Ring<'_>, bytes: usize) {
        self.tail = self.tail.wrapping_add(bytes as u64);
        ring.tail.store(self.tail, Ordering::Release);
    }

    /// The room in a ring. Asks the other end only where what it said last is not `enough`.
    #[inline]
    fn room(&mut self, ring: &Ring<'_>, enough: usize) -> Result<usize, Unsent> {
        let room = self.room_at(ring, self.head)?;
        if room >= enough {
            return Ok(room);
        }
        self.room_at(ring, ring.head.load(Ordering::Acquire))
    }

    /// The room in a ring that has been read up to `head`.
    #[inline]
    fn room_at(&mut self, ring: &Ring<'_>, head: u64) -> Result<usize, Unsent> {
        let used = ring
            .used(self.tail, head)
            .map_err(|found| Unsent::Violation(Violation::Head(found)))?;
        self.head = head;
        Ok(ring.bytes() - used)
    }

    #[inline]
    fn check_queue(&self, refused: usize) -> Result<(), Unsent> {
        let queued = self.queued();
        if queued + refused > QUEUE_BYTES_MAX {
            return Err(Unsent::Overrun { queued, refused });
        }
        Ok(())
    }
}
