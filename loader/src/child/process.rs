//! The process of a worker: starts it, reads what it says, sees that it goes on, and takes note of
//! its end. All on one thread, whose end would end the process.

use std::{
    cell::Cell,
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use octa_wire::{Hello, PROTOCOL, ToKernel, ToWorker, Welcome};
use parking_lot::Mutex;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group,
        pidfd_open, waitid,
    },
};

use super::{
    WorkerError, WorkerOptions,
    exit::{Exit, ExitCause},
    session::Session,
};
use crate::link::{ChildEnd, Link, LinkError, Parked};

/// Bytes of each of the two rings.
const RING_BYTES: usize = 256 << 10;
/// How long a process whose connection has ended may take to end itself.
const LAST_BREATH: Duration = Duration::from_secs(1);
/// How many of its last lines are kept, and how long each may be.
const LINES: usize = 20;
const LINE_BYTES: usize = 1000;
/// How many of them go into the log in one second.
const LINES_A_SECOND: u64 = 1000;
/// After so many messages it is looked whether it goes on.
const STRETCH: u32 = 1024;
/// How often it is looked whether it goes on, within the time that it may be silent.
const LOOKS: u32 = 3;

/// A started process, and what is needed to end it.
pub(super) struct Process {
    id: Pid,
    /// Its number may be another process's.
    is_reaped: Mutex<bool>,
}

impl Process {
    fn of(child: &Child) -> Arc<Self> {
        Arc::new(Self {
            id: Pid::from_child(child),
            is_reaped: Mutex::new(false),
        })
    }

    /// None at all.
    #[cfg(fuzzing)]
    pub(super) fn none() -> Arc<Self> {
        Arc::new(Self {
            id: Pid::INIT,
            is_reaped: Mutex::new(true),
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.id.as_raw_nonzero().get().unsigned_abs()
    }

    /// Ends it, with all that it started and that stayed in its group.
    pub(super) fn kill(&self) {
        let is_reaped = self.is_reaped.lock();
        if !*is_reaped {
            // It may have ended by itself.
            let _ = kill_process_group(self.id, Signal::KILL);
            // And if it left its group.
            let _ = kill_process(self.id, Signal::KILL);
        }
    }

    fn has_ended(&self) -> bool {
        self.ends_within(Duration::ZERO)
    }

    /// Whether it ends by itself in that time. It is not waited for: its number stays its own.
    fn ends_within(&self, limit: Duration) -> bool {
        let handle = match pidfd_open(self.id, PidfdFlags::empty()) {
            Ok(handle) => handle,
            // Somebody else has waited for it.
            Err(Errno::SRCH) => return true,
            Err(_) => return false,
        };
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        loop {
            let mut ends = [PollFd::new(&handle, PollFlags::IN)];
            match poll(&mut ends, Some(&limit)) {
                Err(Errno::INTR) => {}
                ready => return ready.is_ok_and(|ready| ready > 0),
            }
        }
    }

    /// Waits for its end.
    fn reap(&self, child: &mut Child) -> io::Result<ExitStatus> {
        // Its number stays its own until then.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(Errno::INTR) = waitid(WaitId::Pid(self.id), ended) {}
        // Also what is left of its group, whose number goes with it.
        self.kill();
        *self.is_reaped.lock() = true;
        child.wait()
    }
}

/// What the thread tells when the process is ready, or will not be.
pub(super) type Begun = Result<(Arc<Session>, Arc<Process>), WorkerError>;

/// Starts a process and waits until it is ready. `ended` is called when it has ended, if it was
/// ready before.
pub(super) fn begin(options: &WorkerOptions, ended: impl FnOnce(&Exit) + Send + 'static) -> Begun {
    let (tell, told) = mpsc::channel();
    let options = options.clone();
    let name = format!("octa-{}", options.name);
    // The system ends the process when the thread that started it ends.
    let thread = thread::Builder::new().name(name);
    let thread = thread.spawn(move || Minder::run(&options, &tell, ended));
    thread.map_err(WorkerError::thread)?;
    told.recv()
        .unwrap_or_else(|_| Err(WorkerError::thread(io::Error::other("it has panicked"))))
}

/// Who minds the process.
struct Minder {
    session: Arc<Session>,
    child: Child,
    process: Arc<Process>,
    lines: Arc<Mutex<VecDeque<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Minder {
    fn run(options: &WorkerOptions, tell: &mpsc::Sender<Begun>, ended: impl FnOnce(&Exit)) {
        let mut minder = match Self::start(options) {
            Ok(minder) => minder,
            Err(error) => return drop(tell.send(Err(error))),
        };
        if let Err(error) = minder.meet(options) {
            let exit = minder.finish();
            return drop(tell.send(Err(error.with_exit(exit))));
        }
        drop(tell.send(Ok((minder.session.clone(), minder.process.clone()))));
        minder.mind(options);
        let exit = minder.finish();
        ended(minder.session.end(exit));
    }

    fn start(options: &WorkerOptions) -> Result<Self, WorkerError> {
        let (link, ChildEnd { socket, memory }) =
            Link::pair(RING_BYTES).map_err(WorkerError::connection)?;
        let mut command = Command::new(&options.program);
        command
            .args(["--octa-worker", &options.name])
            .env_clear()
            .envs(options.environment.iter().cloned())
            .stdin(Stdio::from(socket))
            .stdout(memory.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::piped())
            .process_group(0);
        let started = command.spawn();
        // The child's ends are closed here with the command.
        drop(command);
        let mut child = started.map_err(|error| WorkerError::start(&options.program, error))?;
        let lines = Arc::<Mutex<VecDeque<String>>>::default();
        let reader = child.stderr.take().map(|stderr| {
            let (lines, name) = (lines.clone(), options.name.clone());
            let thread = thread::Builder::new().name("octa-lines".to_owned());
            thread.spawn(move || read_lines(stderr, &name, &lines))
        });
        let reader = reader.and_then(|reader| {
            reader
                .inspect_err(|error| {
                    log::warn!("what worker `{}` writes is not read: {error}", options.name)
                })
                .ok()
        });
        Ok(Self {
            session: Session::new(link, options.name.as_str().into()),
            process: Process::of(&child),
            child,
            lines,
            reader,
        })
    }

    /// Says hello, and waits for the answer.
    fn meet(&self, options: &WorkerOptions) -> Result<(), WorkerError> {
        let until = Instant::now() + options.start_deadline;
        let hello = Hello {
            protocol: PROTOCOL,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            name: options.name.clone(),
            ring_bytes: RING_BYTES as u64,
            limits: options.limits.clone(),
            sandbox: options.sandbox.clone(),
            libraries: options.libraries.clone(),
        };
        let hello = serde_json::to_vec(&hello).map_err(|e| WorkerError::connection(e.into()))?;
        self.session.tell(&ToWorker::Hello(&hello));
        let welcome = self.await_welcome(options, until)?;
        if welcome.protocol.major != PROTOCOL.major {
            return Err(WorkerError::Protocol {
                program: options.program.clone(),
                found: welcome.protocol,
                expected: PROTOCOL,
            });
        }
        if welcome.abi.major != octa_plugin_abi::MAJOR {
            return Err(WorkerError::Abi {
                program: options.program.clone(),
                found: format!("{}.{}", welcome.abi.major, welcome.abi.minor),
                expected: format!("{}.{}", octa_plugin_abi::MAJOR, octa_plugin_abi::MINOR),
            });
        }
        for missing in &welcome.confinement.missing {
            log::warn!(
                "the process of plugin `{}` is not confined as asked: {missing}",
                options.name
            );
        }
        if welcome.rings {
            self.session.link().use_rings();
        }
        // Set once: it is met once.
        let _ = self.session.confinement.set(welcome.confinement);
        Ok(())
    }

    fn await_welcome(
        &self,
        options: &WorkerOptions,
        until: Instant,
    ) -> Result<Welcome, WorkerError> {
        let garbage = |what: String| WorkerError::Garbage {
            program: options.program.clone(),
            what,
        };
        loop {
            let read = {
                let mut receiving = self.session.link().receive();
                match receiving.next() {
                    Ok(Some(frame)) => Some(read_welcome(frame)),
                    Ok(None) => None,
                    Err(LinkError::Closed) => {
                        return Err(WorkerError::ended(&options.program));
                    }
                    Err(error) => Some(Err(error.to_string())),
                }
            };
            if let Some(read) = read {
                return read.map_err(garbage);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let why = format!("it did not answer within {:?}", options.start_deadline);
                self.session.condemn(&why);
                return Err(WorkerError::ended(&options.program));
            }
            if self.session.link().park(Some(left)).is_err() {
                return Err(WorkerError::ended(&options.program));
            }
        }
    }

    /// Reads what it says, until it says no more.
    fn mind(&self, options: &WorkerOptions) {
        let mut watch = Watch::new(options.unresponsive_after);
        loop {
            let read = Cell::new(0);
            let is_much = || {
                read.set(read.get() + 1);
                read.get() >= STRETCH
            };
            let drained = {
                let mut receiving = self.session.link().receive();
                self.session.drain(&mut receiving, is_much)
            };
            if let Err(garbage) = drained {
                return self.session.give_up(&garbage);
            }
            if watch.is_due() {
                if self.process.has_ended() {
                    // Something that it started holds the connection.
                    return;
                }
                if let Some(why) = watch.look(&self.session) {
                    return self.session.condemn(&why);
                }
            }
            if read.get() < STRETCH {
                match self.session.link().park(Some(watch.every)) {
                    // What it said before its end is still read.
                    Ok(Parked::Woken | Parked::TimedOut | Parked::Closed) => {}
                    Err(error) => return self.session.condemn(&error.to_string()),
                }
            }
        }
    }

    /// Sees to it that the process is gone, and says how it went.
    fn finish(&mut self) -> Exit {
        let was_condemned = self.session.condemned().is_some();
        let went = !was_condemned && self.process.ends_within(LAST_BREATH);
        if !went {
            self.session.condemn("it closed its connection");
            self.process.kill();
        }
        self.session.link().close();
        let status = self.process.reap(&mut self.child);
        if let Some(reader) = self.reader.take() {
            self.await_lines(&reader);
        }
        let cause = match (self.session.condemned(), status) {
            (Some(why), _) => ExitCause::Killed { why },
            (None, Ok(status)) => ExitCause::of(status, self.session.was_dismissed()),
            (None, Err(error)) => ExitCause::Killed {
                why: format!("its end cannot be told: {error}"),
            },
        };
        Exit::of(cause, self.lines.lock().iter().cloned().collect())
    }

    /// Waits for its last lines, unless something that it started holds the pipe.
    fn await_lines(&self, reader: &JoinHandle<()>) {
        let until = Instant::now() + LAST_BREATH;
        while !reader.is_finished() && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(1));
        }
    }
}

fn read_welcome(frame: &[u8]) -> Result<Welcome, String> {
    match ToKernel::decode(frame) {
        Ok(ToKernel::Welcome(document)) => {
            serde_json::from_slice(document).map_err(|error| error.to_string())
        }
        Ok(_) => Err("its first message is no welcome".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Looks whether a process goes on.
struct Watch {
    every: Duration,
    limit: Duration,
    looked: Instant,
    answers: u64,
    /// When it last owed nothing, or had answered.
    since: Instant,
    /// How often it was asked since.
    pings: u64,
}

impl Watch {
    fn new(limit: Duration) -> Self {
        Self {
            every: limit / LOOKS,
            limit,
            looked: Instant::now(),
            answers: 0,
            since: Instant::now(),
            pings: 0,
        }
    }

    fn is_due(&self) -> bool {
        self.looked.elapsed() >= self.every
    }

    /// Why it is not to go on, if it is not.
    fn look(&mut self, session: &Session) -> Option<String> {
        let now = Instant::now();
        self.looked = now;
        let answers = session.answers();
        if answers != self.answers || !session.owes() {
            // It answered, or nothing is expected of it.
            (self.answers, self.since, self.pings) = (answers, now, 0);
        }
        if let Some(overdue) = session.overdue().filter(|overdue| *overdue >= self.limit) {
            return Some(format!(
                "what it was told to end {overdue:.0?} ago still runs, and blocks a thread"
            ));
        }
        let silent = now.saturating_duration_since(self.since);
        if self.pings > 1 && silent >= self.limit {
            return Some(format!("it did not answer for {:?}", self.limit));
        }
        if silent > Duration::ZERO {
            self.pings += 1;
            session.tell(&ToWorker::Ping { number: self.pings });
        }
        None
    }
}

/// Writes what the process prints into the log, and keeps the last of it.
fn read_lines(from: ChildStderr, name: &str, kept: &Mutex<VecDeque<String>>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    let (mut since, mut told) = (Instant::now(), 0_u64);
    loop {
        line.clear();
        let mut some = (&mut from).take(LINE_BYTES as u64);
        match some.read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if text.is_empty() {
            continue;
        }
        if since.elapsed() >= Duration::from_secs(1) {
            (since, told) = (Instant::now(), 0);
        }
        told += 1;
        match told {
            ..LINES_A_SECOND => log::warn!(target: "octa::worker", "{name}: {text}"),
            LINES_A_SECOND => {
                log::warn!(target: "octa::worker", "{name} writes more than {LINES_A_SECOND} lines a second: some are left out")
            }
            _ => {}
        }
        let mut kept = kept.lock();
        if kept.len() == LINES {
            kept.pop_front();
        }
        kept.push_back(text);
    }
}

/// Whether a program can be started at all.
pub(super) fn cannot_start(program: &Path, error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::NotFound if !program.exists() => Some("it is not there"),
        io::ErrorKind::PermissionDenied => {
            Some("it is not executable, or may not be executed by this user")
        }
        _ => None,
    }
}
