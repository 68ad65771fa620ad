//! Carries frames between the kernel's process and one that carries plugins: over a socket, or
//! through two rings of shared memory that need no system call while both sides are awake.
//!
//! What the frames say is the business of `octa_wire` and of the two sides. Nothing that the other
//! process does with the socket or the memory makes more than a [`LinkError`] here.

use std::{
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use octa_wire::FRAME_BYTES_MAX;
use rustix::io::Errno;

mod assembly;
mod error;
mod memory;
mod queue;
mod receiving;
mod ring;
mod sending;
mod socket;
#[cfg(all(test, target_os = "linux"))]
mod tests;

pub use error::{LinkError, Violation};
pub use receiving::Receiving;

use crate::sync::{Mutex, MutexGuard};
use {
    memory::{Memory, Side},
    receiving::Inbox,
    sending::Outbox,
    socket::{Nudge, Ready, Socket},
};

/// The most bytes that wait for the other process to take them.
pub const QUEUE_BYTES_MAX: usize = 256 << 20;

/// One end of a connection. Any thread may send; who receives is settled by [`Receiving`].
pub struct Link {
    socket: Socket,
    memory: Option<Memory>,
    over_rings: AtomicBool,
    outbox: Mutex<Outbox>,
    inbox: Mutex<Inbox>,
    /// Interrupts the threads of this process that are parked.
    nudge: Nudge,
    /// The socket will bring nothing more.
    ended: AtomicBool,
    violation: OnceLock<Violation>,
    /// There is one processor: who spins keeps the other side from what it spins for.
    alone: bool,
}

/// What a process inherits to become the other end; see [`Link::inherited`].
#[derive(Debug)]
pub struct ChildEnd {
    /// The socket.
    pub socket: OwnedFd,
    /// The memory of the rings, if there are any.
    pub memory: Option<OwnedFd>,
}

/// Why [`Link::park`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parked {
    /// Something may have come.
    Woken,
    /// The time is over.
    TimedOut,
    /// The other end closed, or this one was. What it sent before can still be received.
    Closed,
}

impl Link {
    /// Makes both ends, with two rings of `ring_bytes` each, or none if that is 0.
    ///
    /// # Errors
    ///
    /// Descriptors or memory are spent; `ring_bytes` is not a power of two of at least 4096 and at
    /// most 2³⁰; there are no rings on this system.
    pub fn pair(ring_bytes: usize) -> io::Result<(Self, ChildEnd)> {
        let memory = match ring_bytes {
            0 => None,
            bytes => Some(memory::create(bytes)?),
        };
        let (ours, theirs) = Socket::pair()?;
        let mapped = match &memory {
            Some(memory) => Some(Memory::map(memory.as_fd(), Side::Kernel)?),
            None => None,
        };
        let end = ChildEnd {
            socket: theirs.into(),
            memory,
        };
        Ok((Self::new(ours, mapped)?, end))
    }

    /// The end of a process that was started with a [`ChildEnd`].
    ///
    /// # Errors
    ///
    /// The descriptors are not what [`pair`](Self::pair) made; memory is spent.
    pub fn inherited(socket: OwnedFd, memory: Option<OwnedFd>) -> io::Result<Self> {
        let mapped = match &memory {
            Some(memory) => Some(Memory::map(memory.as_fd(), Side::Worker)?),
            None => None,
        };
        Self::new(socket.into(), mapped)
    }

    fn new(socket: Socket, memory: Option<Memory>) -> io::Result<Self> {
        socket::prepare(&socket)?;
        Ok(Self {
            socket,
            memory,
            over_rings: AtomicBool::new(false),
            outbox: Mutex::default(),
            inbox: Mutex::default(),
            nudge: Nudge::new()?,
            ended: AtomicBool::new(false),
            violation: OnceLock::new(),
            alone: std::thread::available_parallelism().is_ok_and(|found| found.get() == 1),
        })
    }

    /// Sends and receives through the rings from now on, if there are any.
    ///
    /// Each end does so right after the handshake: when it has sent its last frame over the socket
    /// and received the other end's. Nobody of this process may be sending or receiving meanwhile.
    pub fn use_rings(&self) {
        if self.memory.is_none() {
            return;
        }
        let queued = self.outbox.lock().queued();
        if queued > 0 {
            self.poison(Violation::Unread(queued));
        }
        let mut inbox = self.inbox.lock();
        // The other end may have been faster: then these are the bytes that should wake us.
        inbox.forget();
        self.over_rings.store(true, Ordering::Release);
        drop(Receiving::new(self, inbox));
    }

    /// Sends a frame, its length first. Never waits: what the other end has no room for is queued,
    /// and goes on its way when somebody parks or sends.
    ///
    /// Frames of one thread arrive in their order.
    ///
    /// # Errors
    ///
    /// [`LinkError`]; after `Overrun` and `TooLong` the link goes on.
    pub fn send(&self, frame: &[u8]) -> Result<(), LinkError> {
        self.check()?;
        if self.ended() {
            return Err(LinkError::Closed);
        }
        let bytes = frame.len().saturating_sub(4);
        if bytes > FRAME_BYTES_MAX {
            return Err(LinkError::TooLong { bytes });
        }
        match self.rings() {
            Some(memory) => {
                self.outbox
                    .lock()
                    .send_over(memory, frame)
                    .map_err(|why| self.refused(why))?;
                self.wake_if_asleep(memory)
            }
            None => {
                let waits = self.outbox.lock().send_through(&self.socket, frame);
                if waits.map_err(|why| self.refused(why))? {
                    // Who is parked does not know yet that it waits for room, too.
                    self.nudge.give();
                }
                Ok(())
            }
        }
    }

    /// The receiving end, if nobody holds it. Who takes it before sending what is to be answered,
    /// spares the other end a wake-up.
    #[must_use]
    pub fn try_receive(&self) -> Option<Receiving<'_>> {
        let inbox = self.inbox.try_lock()?;
        Some(self.receiving(inbox))
    }

    /// The receiving end, once nobody else holds it.
    #[must_use]
    pub fn receive(&self) -> Receiving<'_> {
        self.receiving(self.inbox.lock())
    }

    /// Waits until something may have come, without holding the receiving end. Whoever is woken
    /// has to receive: others will not be woken for the same.
    ///
    /// Sends what is queued as far as there is room, now and when there is more.
    ///
    /// # Errors
    ///
    /// The other end broke the protocol, or the system refuses to wait.
    pub fn park(&self, timeout: Option<Duration>) -> Result<Parked, LinkError> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let waits_for_room = self.flush()?;
            let ready = socket::wait(&self.socket, &self.nudge, waits_for_room, until)
                .map_err(|errno| self.failed(errno))?;
            if ready == Ready::default() {
                return Ok(Parked::TimedOut);
            }
            if let Some(parked) = self.heed(ready)? {
                self.flush()?;
                return Ok(parked);
            }
        }
    }

    /// Wakes a thread of this process that is parked, or the next one to park.
    pub fn unpark(&self) {
        self.nudge.give();
    }

    /// Closes the connection for both ends. What was sent before can still be received, except for
    /// what is queued.
    pub fn close(&self) {
        self.ended.store(true, Ordering::Release);
        // It fails if the other end is gone: then it is closed.
        _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    /// What a parked thread makes of what became ready: `None` if it has to wait on.
    fn heed(&self, ready: Ready) -> Result<Option<Parked>, LinkError> {
        let nudged = ready.nudge && self.nudge.take();
        let arrived = match (ready.socket, self.rings()) {
            (false, _) => Ok(false),
            (true, Some(_)) => socket::drain(&self.socket),
            (true, None) => socket::peek(&self.socket),
        };
        match arrived {
            Ok(arrived) => Ok((arrived || nudged).then_some(Parked::Woken)),
            Err(errno) => match self.failed(errno) {
                LinkError::Closed => Ok(Some(Parked::Closed)),
                why => Err(why),
            },
        }
    }

    /// Sends what is queued as far as there is room; whether to wait until the socket has more.
    fn flush(&self) -> Result<bool, LinkError> {
        self.check()?;
        let mut outbox = self.outbox.lock();
        if outbox.queued() == 0 || self.ended() {
            return Ok(false);
        }
        match self.rings() {
            Some(memory) => {
                let sent = outbox.flush_over(memory);
                drop(outbox);
                if sent.map_err(|why| self.refused(why))? {
                    self.wake_if_asleep(memory)?;
                }
                Ok(false)
            }
            None => {
                let waits = outbox.flush_through(&self.socket);
                drop(outbox);
                match waits.map_err(|why| self.refused(why)) {
                    // What it sent before can still be received.
                    Err(LinkError::Closed) => Ok(false),
                    waits => waits,
                }
            }
        }
    }

    fn receiving<'a>(&'a self, inbox: MutexGuard<'a, Inbox>) -> Receiving<'a> {
        if let Some(memory) = self.rings() {
            memory.incoming().stay_awake();
        }
        Receiving::new(self, inbox)
    }

    fn rings(&self) -> Option<&Memory> {
        self.memory
            .as_ref()
            .filter(|_| self.over_rings.load(Ordering::Acquire))
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn wake_if_asleep(&self, memory: &Memory) -> Result<(), LinkError> {
        if memory.outgoing().was_asleep() {
            self.wake()?;
        }
        Ok(())
    }

    fn wake(&self) -> Result<(), LinkError> {
        socket::wake(&self.socket).map_err(|errno| self.failed(errno))
    }

    fn check(&self) -> Result<(), LinkError> {
        match self.violation.get() {
            None => Ok(()),
            Some(what) => Err(LinkError::Malformed { what: *what }),
        }
    }

    fn poison(&self, what: Violation) -> LinkError {
        let what = *self.violation.get_or_init(|| what);
        self.close();
        LinkError::Malformed { what }
    }

    fn failed(&self, errno: Errno) -> LinkError {
        self.close();
        match errno {
            Errno::PIPE | Errno::CONNRESET => LinkError::Closed,
            errno => LinkError::Failed(errno.kind()),
        }
    }

    fn refused(&self, why: sending::Unsent) -> LinkError {
        match why {
            sending::Unsent::Overrun { queued, refused } => LinkError::Overrun { queued, refused },
            sending::Unsent::Violation(what) => self.poison(what),
            sending::Unsent::System(errno) => self.failed(errno),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("socket", &self.socket)
            .field("over_rings", &self.rings().is_some())
            .field("ended", &self.ended())
            .field("violation", &self.violation.get())
            .finish_non_exhaustive()
    }
}
