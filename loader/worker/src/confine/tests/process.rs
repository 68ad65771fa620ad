//! Starts this test program once more, to be confined and to try one thing.

use std::{
    env,
    os::unix::process::{CommandExt, ExitStatusExt},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use octa_wire::{Confinement, Hello, Limits, PROTOCOL, Sandbox};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getrlimit, set_parent_process_death_signal,
    setrlimit, waitpid,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};
use serde::{Deserialize, Serialize};

use super::probes;
use crate::confine::apply;

const NOBODY: u32 = 65_534;
const TASK: &str = "task=";
const REPORT: &str = "report=";
const STATUS: &str = "status=";

/// What the system is made to lack.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Lost {
    Nothing,
    Landlock,
    Seccomp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    probe: String,
    argument: PathBuf,
    lost: Lost,
    hello: Hello,
}

/// A process that is to try something.
#[derive(Debug, Clone)]
pub(super) struct Process {
    task: Task,
    user: Option<u32>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: ExitStatus,
    pub(super) confinement: Confinement,
    outcome: Option<String>,
    output: String,
}

/// Who tries things: root both as itself and as a user with no rights, others as themselves.
pub(super) fn users() -> &'static [Option<u32>] {
    if rustix::process::geteuid().is_root() {
        &[None, Some(NOBODY)]
    } else {
        &[None]
    }
}

impl Process {
    pub(super) fn new(probe: &str) -> Self {
        let hello = Hello {
            protocol: PROTOCOL,
            program: "0.1.0".to_owned(),
            name: "probe".to_owned(),
            ring_bytes: 0,
            limits: Limits::default(),
            sandbox: Sandbox::default(),
            libraries: Vec::new(),
        };
        let task = Task {
            probe: probe.to_owned(),
            argument: PathBuf::new(),
            lost: Lost::Nothing,
            hello,
        };
        Self { task, user: None }
    }

    pub(super) fn argument(mut self, argument: &Path) -> Self {
        argument.clone_into(&mut self.task.argument);
        self
    }

    pub(super) fn user(mut self, user: &Option<u32>) -> Self {
        self.user = *user;
        self
    }

    pub(super) fn lost(mut self, lost: Lost) -> Self {
        self.task.lost = lost;
        self
    }

    pub(super) fn limits(mut self, limits: &Limits) -> Self {
        limits.clone_into(&mut self.task.hello.limits);
        self
    }

    pub(super) fn libraries(mut self, libraries: &[PathBuf]) -> Self {
        libraries.clone_into(&mut self.task.hello.libraries);
        self
    }

    pub(super) fn sandbox(&self, sandbox: &Sandbox) -> Self {
        let mut process = self.clone();
        sandbox.clone_into(&mut process.task.hello.sandbox);
        process
    }

    pub(super) fn run(&self) -> Outcome {
        // By this name every user finds it, wherever it lies.
        let mut command = Command::new("/proc/self/exe");
        // The second name means no test: it is read by the first.
        command
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("confine::tests::process::probe")
            .arg(format!(
                "{TASK}{}",
                serde_json::to_string(&self.task).unwrap()
            ))
            .current_dir("/");
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        // What the harness says of the test stands before it.
        let after = |key| {
            text.lines()
                .filter_map(move |line| Some(line.split_once(key)?.1))
        };
        let mut reports = after(REPORT);
        let confinement = reports
            .next()
            .map(|json| serde_json::from_str(json).unwrap());
        let status = after(STATUS)
            .next()
            .map(|raw| ExitStatus::from_raw(raw.parse().unwrap()));
        Outcome {
            status: status.unwrap_or(output.status),
            confinement: confinement.unwrap_or_default(),
            outcome: reports.next().map(str::to_owned),
            output: format!("{text}\n{}", String::from_utf8_lossy(&output.stderr)),
        }
    }
}

impl Outcome {
    /// `ok`, the name of an error, or `refused: ` and why it was not confined.
    pub(super) fn outcome(&self) -> &str {
        let outcome = self.outcome.as_deref();
        outcome.unwrap_or_else(|| panic!("{}: {}", self.status, self.output))
    }

    pub(super) fn is_missing(&self, phrase: &str) -> bool {
        let missing = &self.confinement.missing;
        missing.iter().any(|missing| missing.starts_with(phrase))
    }

    pub(super) fn enforces(&self, phrase: &str) -> bool {
        let enforced = &self.confinement.enforced;
        enforced.iter().any(|enforced| enforced.contains(phrase))
    }
}

/// Does the task that stands among the arguments; without one there is nothing to do.
#[test]
fn probe() {
    let argument = env::args().find_map(|argument| Some(argument.strip_prefix(TASK)?.to_owned()));
    let Some(task) = argument else { return };
    let task: Task = serde_json::from_str(&task).unwrap();
    let status = in_a_child(|| report(&task));
    println!("{STATUS}{}", status.into_raw());
}

/// A child has one thread, like a worker; the harness of the tests has more.
fn in_a_child(task: impl FnOnce()) -> ExitStatus {
    #[expect(unsafe_code, reason = "there is no safe interface to fork")]
    // SAFETY: the other thread of the harness waits for this one, and holds no lock meanwhile.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let done = panic::catch_unwind(AssertUnwindSafe(task));
        #[expect(
            unsafe_code,
            reason = "what the harness has to do at its end is not the child's"
        )]
        // SAFETY: `_exit` runs nothing of this process any more.
        unsafe {
            libc::_exit(done.is_err().into())
        }
    }
    let child = Pid::from_raw(child).expect("fork works here");
    let (_, status) = waitpid(Some(child), WaitOptions::empty()).unwrap().unwrap();
    ExitStatus::from_raw(status.as_raw())
}

fn report(task: &Task) {
    // As a worker does before it hears what it is to keep to.
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let core = getrlimit(Resource::Core).maximum;
    let core = Rlimit {
        current: core,
        maximum: core,
    };
    setrlimit(Resource::Core, core).unwrap();
    lose(task.lost);
    let (confinement, outcome) = match apply(&task.hello) {
        Ok(confinement) => (confinement, None),
        Err(error) => (Confinement::default(), Some(format!("refused: {error}"))),
    };
    println!("{REPORT}{}", serde_json::to_string(&confinement).unwrap());
    let outcome = outcome.unwrap_or_else(|| probes::run(&task.probe, &task.argument));
    println!("{REPORT}{outcome}");
}

/// Makes the system one that has never heard of it.
fn lose(lost: Lost) {
    let call = match lost {
        Lost::Nothing => return,
        Lost::Landlock => libc::SYS_landlock_create_ruleset,
        Lost::Seccomp => libc::SYS_seccomp,
    };
    let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
    let rules = [(call, Vec::new())].into();
    let processor = env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, processor).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    apply_filter_all_threads(&program).unwrap();
}
