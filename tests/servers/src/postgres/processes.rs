//! The processes of one running server: their log, and signals to them.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Longer than any start takes that is not stuck; a recovery is part of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The lines of the log that are told if a start fails.
const TOLD: usize = 20;
/// What a server says once it can be reached.
const READY: &str = "database system is ready to accept connections";

/// A server that runs.
#[derive(Debug)]
pub(super) struct Processes {
    first: Child,
    /// Ends when the last process has ended, since each holds the other end of the pipe.
    log: Option<JoinHandle<VecDeque<String>>>,
}

impl Processes {
    /// Starts it and waits until it can be reached; if it cannot, says what its log says.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut first = command.spawn()?;
        let errors = first.stderr.take();
        let errors = errors.ok_or_else(|| io::Error::other("it has no log"))?;
        let (tell, ready) = mpsc::sync_channel(1);
        let log = thread::spawn(move || follow(errors, &tell));
        let mut processes = Self {
            first,
            log: Some(log),
        };
        match wait(&ready) {
            Ok(()) => Ok(processes),
            Err(reason) => {
                let log = processes.kill();
                let log: Vec<_> = log.into_iter().collect();
                Err(io::Error::other(format!("{reason}:\n{}", log.join("\n"))))
            }
        }
    }

    /// Kills every process at once, waits until all are gone, and returns the last lines of their log.
    pub(super) fn kill(&mut self) -> VecDeque<String> {
        let others = self.others();
        // Its outcome does not matter: it may have ended by itself.
        drop(self.first.kill());
        signal(&others, Signal::KILL);
        self.wait()
    }

    /// Lets every process end as it should, with nothing lost and clients sent away.
    pub(super) fn stop(&mut self) {
        signal(&[self.first_id()], Signal::INT);
        self.wait();
    }

    /// Lets every process stand still.
    pub(super) fn freeze(&self) {
        let mut all = vec![self.first_id()];
        all.extend(self.others());
        signal(&all, Signal::STOP);
    }

    /// Lets one that the first one started stand still; whether there is such a one.
    pub(super) fn freeze_one(&self, id: i32) -> bool {
        let found = self.others().into_iter().find(|it| it.as_raw_pid() == id);
        signal(found.as_slice(), Signal::STOP);
        found.is_some()
    }

    /// Lets every process go on.
    pub(super) fn thaw(&self) {
        let mut all = self.others();
        all.push(self.first_id());
        signal(&all, Signal::CONT);
    }

    fn wait(&mut self) -> VecDeque<String> {
        drop(self.first.wait());
        let log = self.log.take().and_then(|log| log.join().ok());
        log.unwrap_or_default()
    }

    fn first_id(&self) -> Pid {
        Pid::from_child(&self.first)
    }

    /// The processes that the first one started. Where the system does not tell, they end by themselves as
    /// soon as they notice that the first one is gone.
    fn others(&self) -> Vec<Pid> {
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let of_first = |id: &i32| parent(*id) == Some(self.first.id());
        ids.filter(of_first).filter_map(Pid::from_raw).collect()
    }
}

/// The name in front of it may have spaces and parentheses of its own.
fn parent(id: i32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(1)?.parse().ok()
}

fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        // One that has ended needs none.
        kill_process(*process, signal).unwrap_or_default();
    }
}

fn wait(ready: &Receiver<()>) -> Result<(), String> {
    ready.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvTimeoutError::Timeout => format!("it cannot be reached after {PATIENCE:?}"),
        RecvTimeoutError::Disconnected => "it ended".to_owned(),
    })
}

/// Reads the log to its end, and tells when the server can be reached.
fn follow(errors: ChildStderr, tell: &SyncSender<()>) -> VecDeque<String> {
    let mut last = VecDeque::new();
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        if line.contains(READY) {
            // Told once for each start; after that nobody listens.
            tell.try_send(()).unwrap_or_default();
        }
        if last.len() == TOLD {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}
