//! The receiving half: who holds it takes frames out, and sees to it that somebody is woken for
//! those that come later.

use std::{
    fmt, hint, thread,
    time::{Duration, Instant},
};

use super::{
    Link, LinkError, Violation,
    assembly::Assembly,
    ring::{Ring, padded},
    socket::{self, Socket},
};
use crate::sync::{MutexGuard, Ordering};

/// How often [`Receiving::spin`] looks between two looks at the clock, if it yields to nobody.
const LOOKS: u32 = 64;
/// The most that is taken from a socket at once.
const PIECE_BYTES: usize = 256 << 10;

/// What is received, in its order.
#[derive(Default)]
pub(super) struct Inbox {
    /// The bytes ever read from the ring.
    head: u64,
    /// What of it the other end was told.
    published: u64,
    /// The bytes that the other end said last that it has written.
    tail: u64,
    assembly: Assembly,
}

/// The receiving end of a [`Link`], for one holder at a time.
///
/// While it is held, the other end does not wake anybody of this process for what it sends. When
/// it is dropped, that starts again; what has arrived by then and was not taken wakes a thread that
/// is [parked](Link::park), or the next one to park.
pub struct Receiving<'a> {
    link: &'a Link,
    inbox: MutexGuard<'a, Inbox>,
    stays_awake: bool,
}

impl<'a> Receiving<'a> {
    pub(super) fn new(link: &'a Link, inbox: MutexGuard<'a, Inbox>) -> Self {
        Self {
            link,
            inbox,
            stays_awake: false,
        }
    }

    /// Lets others hold it, and nobody be woken: who calls this sees to it that what comes
    /// meanwhile is received soon.
    #[inline]
    pub fn stay_awake(mut self) {
        self.stays_awake = true;
    }

    /// The next frame, its length aside, if it has arrived. Does not wait.
    ///
    /// # Errors
    ///
    /// `Closed` once everything that was sent has been received: over the rings, only after
    /// somebody learned it in [`park`](Link::park) or while sending. `Malformed` if the other end
    /// broke the protocol.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "what it gives is borrowed from the receiving end itself"
    )]
    pub fn next(&mut self) -> Result<Option<&[u8]>, LinkError> {
        let link = self.link;
        link.check()?;
        self.inbox.assembly.recycle();
        let arrived = match link.rings() {
            Some(memory) => {
                // Looked at before the ring: what was sent before the end is in it by then.
                let ended = link.ended();
                let arrived = self.inbox.take_from(link, &memory.incoming());
                match arrived.map_err(|what| link.poison(what))? {
                    false if ended => return Err(LinkError::Closed),
                    arrived => arrived,
                }
            }
            None => self.inbox.take_through(link)?,
        };
        Ok(arrived.then(|| self.inbox.assembly.frame()))
    }

    /// Waits actively until something may have come; `false` if the time is over.
    ///
    /// Where there is one processor, or the socket is what is waited for, it is left to others
    /// meanwhile. What is queued for the other end is sent as there is room.
    pub fn spin(&mut self, at_most: Duration) -> bool {
        let until = Instant::now().checked_add(at_most);
        match self.link.rings() {
            Some(memory) => self.spin_at(&memory.incoming(), until),
            None => socket::wait_to_read(&self.link.socket, until),
        }
    }

    fn spin_at(&mut self, ring: &Ring<'_>, until: Option<Instant>) -> bool {
        let link = self.link;
        let looks = if link.alone { 1 } else { LOOKS };
        loop {
            for _ in 0..looks {
                if self.inbox.has_more(ring.tail.load(Ordering::Acquire)) || link.ended() {
                    return true;
                }
                if link.alone {
                    thread::yield_now();
                } else {
                    hint::spin_loop();
                }
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return false;
            }
            self.inbox.publish(link, ring);
            if link
                .outbox
                .try_lock()
                .is_some_and(|outbox| outbox.queued() > 0)
                && link.flush().is_err()
            {
                // The next frame that is asked for says why.
                return true;
            }
        }
    }
}

impl Drop for Receiving<'_> {
    #[inline]
    fn drop(&mut self) {
        let link = self.link;
        self.inbox.assembly.recycle();
        let Some(memory) = link.rings() else {
            // A socket stays ready for whoever parks until it is empty.
            return;
        };
        let ring = memory.incoming();
        if self.stays_awake {
            return self.inbox.publish(link, &ring);
        }
        self.inbox.publish_quietly(&ring);
        let tail = ring.fall_asleep();
        if ring.was_room_wanted() {
            _ = link.wake();
        }
        if self.inbox.has_more(tail) && ring.wake_up() {
            link.nudge.give();
        }
    }
}

impl Inbox {
    /// Forgets what has arrived over the socket.
    pub(super) fn forget(&mut self) {
        self.assembly.clear();
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.assembly.kept_bytes()
    }

    /// Whether more has arrived if this is the tail, be it what it may.
    #[inline]
    fn has_more(&self, tail: u64) -> bool {
        self.tail != self.head || tail != self.head
    }

    /// Takes from a ring what the frame needs; whether that makes it complete.
    #[inline]
    fn take_from(&mut self, link: &Link, ring: &Ring<'_>) -> Result<bool, Violation> {
        loop {
            let missing = self.assembly.missing();
            if missing == 0 {
                return Ok(true);
            }
            let available = self.available(ring)?;
            if available == 0 {
                self.publish(link, ring);
                return Ok(false);
            }
            // In quarters, so that the sender can go on meanwhile.
            let quarter = ring.bytes() / 4;
            let bytes = padded(missing).min(available).min(quarter);
            ring.read(self.head, self.assembly.room(bytes));
            self.head = self.head.wrapping_add(bytes as u64);
            self.assembly.fill(bytes)?;
            if self.head.wrapping_sub(self.published) >= quarter as u64 {
                self.publish(link, ring);
            }
        }
    }

    /// How many bytes are there to be read.
    #[inline]
    fn available(&mut self, ring: &Ring<'_>) -> Result<usize, Violation> {
        if self.tail == self.head {
            self.tail = ring.tail.load(Ordering::Acquire);
        }
        ring.used(self.tail, self.head).map_err(Violation::Tail)
    }

    /// Tells the other end what was read, and wakes it if it waits for that. It may not be noticed
    /// at once that it does: that is made good when the receiving end is dropped.
    #[inline]
    fn publish(&mut self, link: &Link, ring: &Ring<'_>) {
        self.publish_quietly(ring);
        if ring.was_room_wanted() {
            // That the other end is gone is no reason not to read what it sent.
            _ = link.wake();
        }
    }

    #[inline]
    fn publish_quietly(&mut self, ring: &Ring<'_>) {
        if self.published != self.head {
            ring.head.store(self.head, Ordering::Release);
            self.published = self.head;
        }
    }

    /// Takes from a socket what the frame needs, and no more; whether that makes it complete.
    fn take_through(&mut self, link: &Link) -> Result<bool, LinkError> {
        loop {
            let missing = self.assembly.missing();
            if missing == 0 {
                return Ok(true);
            }
            match self.take_piece(&link.socket, missing.min(PIECE_BYTES)) {
                Ok(0) => return Ok(false),
                Ok(bytes) => self
                    .assembly
                    .fill(bytes)
                    .map_err(|what| link.poison(what))?,
                Err(errno) => return Err(link.failed(errno)),
            }
        }
    }

    fn take_piece(&mut self, socket: &Socket, bytes: usize) -> rustix::io::Result<usize> {
        socket::receive(socket, self.assembly.room(bytes))
    }
}

impl fmt::Debug for Receiving<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}
