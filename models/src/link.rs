//! A link whose processes are threads: the product's rings, outbox and inbox, over memory of the
//! checker and with a bell in the place of the socket.

#[path = "../../loader/src/link/assembly.rs"]
mod assembly;
mod bell;
#[path = "../../loader/src/link/error.rs"]
mod error;
mod memory;
#[path = "../../loader/src/link/queue.rs"]
mod queue;
#[path = "../../loader/src/link/receiving.rs"]
mod receiving;
#[path = "../../loader/src/link/ring.rs"]
mod ring;
#[path = "../../loader/src/link/sending.rs"]
mod sending;
mod socket;

pub(crate) use error::{LinkError, Violation};
pub(crate) use memory::WORDS;

use std::sync::Arc;

use rustix::io::Errno;

use crate::sync::{Mutex, MutexGuard};
use {
    bell::Bell,
    memory::Memory,
    receiving::{Inbox, Receiving},
    sending::{Outbox, Unsent},
    socket::Socket,
};

const QUEUE_BYTES_MAX: usize = 1 << 10;

/// One end, which uses rings from the beginning and is never closed.
pub(crate) struct Link {
    socket: Socket,
    memory: Memory,
    outbox: Mutex<Outbox>,
    inbox: Mutex<Inbox>,
    /// What this process hears, from the other and from itself.
    nudge: Arc<Bell>,
    other: Arc<Bell>,
    alone: bool,
}

impl Link {
    /// Both ends, in the state in which those of the product change to the rings.
    pub(crate) fn pair() -> (Self, Self) {
        let bells = [(); 2].map(|()| Arc::new(Bell::default()));
        let [kernel, worker] = Memory::pair();
        let new = |memory, hears: usize| {
            let link = Self {
                socket: Socket,
                memory,
                outbox: Mutex::default(),
                inbox: Mutex::default(),
                nudge: bells[hears].clone(),
                other: bells[1 - hears].clone(),
                alone: true,
            };
            drop(link.receive());
            link
        };
        (new(kernel, 0), new(worker, 1))
    }

    pub(crate) fn send(&self, frame: &[u8]) -> Result<(), LinkError> {
        self.outbox
            .lock()
            .send_over(&self.memory, frame)
            .map_err(|why| self.refused(why))?;
        self.wake_if_asleep()
    }

    pub(crate) fn queued(&self) -> usize {
        self.outbox.lock().queued()
    }

    pub(crate) fn receive(&self) -> Receiving<'_> {
        self.receiving(self.inbox.lock())
    }

    pub(crate) fn try_receive(&self) -> Option<Receiving<'_>> {
        self.inbox.try_lock().map(|inbox| self.receiving(inbox))
    }

    /// Waits for the bell, and sends what is queued before and after.
    pub(crate) fn park(&self) -> Result<(), LinkError> {
        self.flush()?;
        self.nudge.wait();
        self.flush()
    }

    fn receiving<'a>(&'a self, inbox: MutexGuard<'a, Inbox>) -> Receiving<'a> {
        self.memory.incoming().stay_awake();
        Receiving::new(self, inbox)
    }

    fn flush(&self) -> Result<(), LinkError> {
        let mut outbox = self.outbox.lock();
        if outbox.queued() == 0 {
            return Ok(());
        }
        let sent = outbox.flush_over(&self.memory);
        drop(outbox);
        if sent.map_err(|why| self.refused(why))? {
            self.wake_if_asleep()?;
        }
        Ok(())
    }

    fn wake_if_asleep(&self) -> Result<(), LinkError> {
        if self.memory.outgoing().was_asleep() {
            self.wake()?;
        }
        Ok(())
    }

    fn wake(&self) -> Result<(), LinkError> {
        self.other.give();
        Ok(())
    }

    fn rings(&self) -> Option<&Memory> {
        Some(&self.memory)
    }

    fn ended(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), LinkError> {
        Ok(())
    }

    fn poison(&self, what: Violation) -> LinkError {
        LinkError::Malformed { what }
    }

    fn failed(&self, errno: Errno) -> LinkError {
        LinkError::Failed(errno.kind())
    }

    fn refused(&self, why: Unsent) -> LinkError {
        match why {
            Unsent::Overrun { queued, refused } => LinkError::Overrun { queued, refused },
            Unsent::Violation(what) => self.poison(what),
            Unsent::System(errno) => self.failed(errno),
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}
