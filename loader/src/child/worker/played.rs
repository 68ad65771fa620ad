//! A worker without a process, for fuzzing: whoever holds the other end of its connection plays it.

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use parking_lot::Mutex;

use super::{End, Exit, Process, Session, Shared, Worker};
use crate::{
    child::ExitCause,
    link::{Link, Parked},
};

impl Worker {
    /// One that was met already.
    #[must_use]
    pub fn played(link: Link) -> Self {
        Self(Arc::new(Shared {
            session: Session::new(link, "played".into()),
            process: Process::none(),
            start_deadline: Duration::from_secs(10),
            next: AtomicU32::new(1),
            open: Mutex::new(Some(0)),
            end: Arc::<End>::default(),
        }))
    }

    /// Does what the thread of a process does, without waiting: hears what has come in. False if
    /// the process is to end because of that.
    #[must_use]
    pub fn hear(&self) -> bool {
        let session = &self.0.session;
        let parked = session.link().park(Some(Duration::ZERO));
        let mut receiving = session.link().receive();
        session.drain(&mut receiving, || false).is_ok()
            && matches!(parked, Ok(Parked::Woken | Parked::TimedOut))
    }

    /// The process has ended.
    pub fn vanish(&self) {
        let session = &self.0.session;
        session.link().close();
        if session.exit().is_none() {
            let exit = Exit::of(ExitCause::Signal(9), Vec::new());
            self.0.end.come(session.end(exit));
        }
    }
}
