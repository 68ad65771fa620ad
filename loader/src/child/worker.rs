//! A handle on a worker process: opens libraries there, makes instances, and ends it.

#[cfg(fuzzing)]
mod played;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use octa_plugin_abi as abi;
use octa_plugin_api::{Error, ErrorKind};
use octa_wire::{Confinement, ToWorker};
use parking_lot::{Condvar, Mutex};

use super::{
    Exit, WorkerError, WorkerOptions,
    process::{self, Process},
    proxy::{self, Remote},
    seat::Seat,
    session::Session,
};
use crate::{
    Manifest,
    bridge::Bridge,
    generation::Generation,
    instance::CreateOptions,
    stage::Staged,
    unload::{KeptCause, Unload},
};

/// How long a process may take to end when it is asked to, and a library to be closed.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(5);
/// A process that carries plugins. It ends with the last generation in it, or with its last handle.
#[derive(Clone)]
pub struct Worker(Arc<Shared>);

struct Shared {
    session: Arc<Session>,
    process: Arc<Process>,
    start_deadline: Duration,
    next: AtomicU32,
    /// How many libraries are open, or soon will be; `None` once it is asked to end.
    open: Mutex<Option<u32>>,
    end: Arc<End>,
}

/// The end of a process, for whoever waits for it.
#[derive(Default)]
struct End {
    state: Mutex<EndState>,
    has_come: Condvar,
}

/// Who is told of it.
type Told = Box<dyn FnOnce(&Exit) + Send>;

#[derive(Default)]
struct EndState {
    exit: Option<Exit>,
    calls: Vec<Told>,
}

impl Worker {
    /// Starts a process and waits until it is ready: to be called on a thread to spare.
    ///
    /// # Errors
    ///
    /// A program that is missing or is no worker of this version, a process that ends before it is
    /// ready, limits that cannot be set.
    pub fn start(options: &WorkerOptions) -> Result<Self, WorkerError> {
        let end = Arc::<End>::default();
        let there = end.clone();
        let (session, process) = process::begin(options, move |exit| there.come(exit))?;
        Ok(Self(Arc::new(Shared {
            session,
            process,
            start_deadline: options.start_deadline,
            next: AtomicU32::new(1),
            open: Mutex::new(Some(0)),
            end,
        })))
    }

    /// Opens a staged copy there: to be called on a thread to spare.
    ///
    /// # Errors
    ///
    /// As those of [`Opener::open`](crate::Opener::open), and the end of the process. A library
    /// that does not open in time ends it.
    pub fn open(
        &self,
        staged: &Staged,
        manifest: Arc<Manifest>,
    ) -> Result<Arc<Generation>, WorkerError> {
        let failed = |error| WorkerError::Open { error };
        match &mut *self.0.open.lock() {
            Some(open) => *open += 1,
            None => return Err(failed(self.0.session.not_there())),
        }
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.open_as(number, staged, &manifest)
            .inspect_err(|_| self.let_go())
            .map_err(failed)?;
        Ok(Generation::in_worker(
            manifest,
            staged.hash,
            staged.path.clone(),
            self.clone(),
            number,
        ))
    }

    fn open_as(&self, number: u32, staged: &Staged, manifest: &Manifest) -> Result<(), Error> {
        let document = octa_plugin_api::Payload::json(manifest)?;
        let path = staged.path.to_string_lossy();
        let hash = staged.hash.to_string();
        let pending = self.0.session.ask(|id| ToWorker::Open {
            id,
            generation: number,
            path: &path,
            hash: &hash,
            manifest: &document,
        });
        let limit = self.0.start_deadline;
        match pending.wait(limit) {
            Some(answer) => answer.into_result().map(drop),
            None => {
                self.kill(&format!("opening a library took longer than {limit:?}"));
                self.0.end.wait(GONE);
                Err(self.0.session.not_there())
            }
        }
    }

    /// Makes an instance of a library.
    pub(crate) fn create(
        &self,
        number: u32,
        bridge: &Arc<Bridge>,
        options: &CreateOptions,
    ) -> Result<(abi::PluginFunctions_Ref, *const ()), Error> {
        let session = &self.0.session;
        let seat = Seat::new(session.next_instance(), session, bridge.clone());
        session.seat_down(seat.clone())?;
        let pending = session.ask(|id| ToWorker::Create {
            id,
            instance: seat.number(),
            generation: number,
            log_level: options.log_level as u32,
            config: &options.config,
        });
        let made = match pending.wait(self.0.start_deadline) {
            Some(answer) => answer.into_result(),
            None => Err(self.too_slow()),
        };
        if let Err(error) = made {
            session.seat_up(seat.number());
            return Err(error);
        }
        let remote = Remote {
            session: session.clone(),
            seat,
            generation: bridge.generation().clone(),
        };
        Ok((proxy::FUNCTIONS, remote.into_pointer()))
    }

    fn too_slow(&self) -> Error {
        let limit = self.0.start_deadline;
        let message = format!("`create` did not return within {limit:?}");
        Error::new(ErrorKind::Deadline, message)
    }

    /// Its number in the system.
    pub fn id(&self) -> u32 {
        self.0.process.id()
    }

    /// What it is kept from.
    pub fn confinement(&self) -> &Confinement {
        static NONE: Confinement = Confinement {
            enforced: Vec::new(),
            missing: Vec::new(),
        };
        self.0.session.confinement.get().unwrap_or(&NONE)
    }

    /// Whether libraries can still be opened in it.
    pub fn is_open(&self) -> bool {
        self.0.open.lock().is_some() && self.0.session.exit().is_none()
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.0.session.exit().cloned()
    }

    /// Calls this when it has ended; now, if it has already.
    pub fn on_end(&self, call: impl FnOnce(&Exit) + Send + 'static) {
        let mut state = self.0.end.state.lock();
        let Some(exit) = state.exit.clone() else {
            return state.calls.push(Box::new(call));
        };
        drop(state);
        call(&exit);
    }

    /// Ends it at once, with all that it started.
    pub fn kill(&self, why: &str) {
        self.0.kill(why);
    }

    /// A library that no instance uses any more is closed; with the last one, the process ends.
    pub(crate) fn close(&self, number: u32) -> Unload {
        let is_last = {
            let mut open = self.0.open.lock();
            let is_last = *open == Some(1);
            if is_last {
                *open = None;
            }
            is_last
        };
        if is_last {
            return self.end();
        }
        if self.exit().is_some() {
            self.let_go();
            return Unload::Unmapped;
        }
        let pending = (self.0.session).ask(|id| ToWorker::Close {
            id,
            generation: number,
        });
        let kept = |why: &str| Unload::Kept(vec![KeptCause::InWorker(why.to_owned())]);
        match pending.wait(GONE).map(super::pending::Raw::into_result) {
            Some(Ok((1, _))) => {
                self.let_go();
                Unload::Unmapped
            }
            Some(Ok((_, why))) => kept(&String::from_utf8_lossy(&why)),
            Some(Err(error)) => kept(error.message()),
            None => kept("it does not answer"),
        }
    }

    /// Asks it to end, and sees to it.
    fn end(&self) -> Unload {
        self.0.session.dismiss();
        if !self.0.end.wait(GOODBYE) {
            self.kill("it did not end when it was asked to");
            if !self.0.end.wait(GONE) {
                return Unload::Kept(vec![KeptCause::StillMapped]);
            }
        }
        Unload::Unmapped
    }

    /// One library less.
    fn let_go(&self) {
        if let Some(open) = &mut *self.0.open.lock() {
            *open = open.saturating_sub(1);
        }
    }
}

impl Shared {
    fn kill(&self, why: &str) {
        if self.session.exit().is_none() {
            self.session.condemn(why);
            self.process.kill();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.kill("nobody needs it any more");
    }
}

impl End {
    fn come(&self, exit: &Exit) {
        let calls = {
            let mut state = self.state.lock();
            state.exit = Some(exit.clone());
            std::mem::take(&mut state.calls)
        };
        self.has_come.notify_all();
        for call in calls {
            call(exit);
        }
    }

    /// Whether it has come within that time.
    fn wait(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        let is_there = |state: &mut EndState| state.exit.is_none();
        let waited = self.has_come.wait_while_for(&mut state, is_there, limit);
        !waited.timed_out()
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("name", self.0.session.name())
            .field("id", &self.id())
            .field("exit", &self.0.session.exit())
            .finish_non_exhaustive()
    }
}
