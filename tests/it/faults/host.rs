//! A kernel in a process that may be lost: the `octa` program, over plugins of which one does what
//! it should not.

use std::{
    fs::File,
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;

use super::holdings::{self, Holdings};
use crate::{
    home::Home,
    program::{Outcome, command, octa},
};

/// A kernel, and who calls it.
pub(super) struct Host {
    home: Home,
    process: Process,
}

struct Process(Child);

/// A call of the command line under way.
pub(super) struct Calling(Process);

/// How a call of the command line ended.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) is_answered: bool,
    /// The kernel is gone, or answers nonsense.
    pub(super) is_broken: bool,
    /// The answer, or what was told instead.
    pub(super) text: String,
}

/// The exit code of the program where the kernel is not to be had.
const NO_KERNEL: i32 = 4;

impl Host {
    /// Runs the plugins of a home, in a process that may use so many bytes of memory.
    pub(super) fn run(home: Home, memory: Option<u64>) -> Self {
        let path = |name: &str| home.root().join(name).display().to_string();
        std::fs::write(path("octa.toml"), home.toml()).expect("a file");
        let [plugins, data, config] = ["plugins", "data", "octa.toml"].map(path);
        let arguments = [
            "run",
            "--plugins",
            &plugins,
            "--data",
            &data,
            "--config",
            &config,
        ];
        let mut command = command(&home, &arguments);
        command.stdin(Stdio::null());
        command.stdout(File::create(path("stdout")).expect("a file"));
        command.stderr(File::create(path("stderr")).expect("a file"));
        let process = Process(command.spawn().expect("the program runs"));
        if let Some(bytes) = memory {
            let limit = Rlimit {
                current: Some(bytes),
                maximum: Some(bytes),
            };
            prlimit(Some(process.pid()), Resource::As, limit).expect("it is ours");
        }
        Self { home, process }
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.0.try_wait().expect("it is ours")
    }

    /// Whether it was told to stand still.
    pub(super) fn stands_still(&self) -> bool {
        holdings::state(self.id()) == Some('T')
    }

    /// What it holds of the system.
    pub(super) fn holdings(&self) -> Holdings {
        Holdings::of(self.id())
    }

    /// Runs a command against it.
    pub(super) fn octa(&self, arguments: &[&str]) -> Outcome {
        octa(&self.home, arguments)
    }

    /// Calls a capability, at once and in JSON.
    pub(super) fn ask(&self, capability: &str, input: &str) -> Option<Value> {
        let outcome = self.octa(&["call", capability, input]);
        serde_json::from_str(&outcome.stdout).ok()
    }

    /// Begins to call a capability.
    pub(super) fn call(&self, capability: &str, input: &str) -> Calling {
        let mut command = command(&self.home, &["call", capability, input]);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Calling(Process(command.spawn().expect("the program runs")))
    }

    /// What is known of a plugin.
    pub(super) fn plugin(&self, name: &str) -> Option<Value> {
        let listed = self.octa(&["list", "--json"]);
        let answer: Value = serde_json::from_str(&listed.stdout).ok()?;
        let plugins = answer["data"]["plugins"].as_array()?;
        plugins
            .iter()
            .find(|plugin| plugin["name"] == name)
            .cloned()
    }

    /// Waits until a plugin is in a state.
    pub(super) async fn until(&self, plugin: &str, state: &str) {
        seen(|| Some(self.plugin(plugin)?["state"] == state)).await;
    }

    /// Stops it as Ctrl-C does; answers how it ended, and its home.
    pub(super) async fn stop(mut self) -> (ExitStatus, Home) {
        kill_process(self.process.pid(), Signal::INT).expect("it runs");
        loop {
            if let Some(status) = self.ended() {
                return (status, self.home);
            }
            pause().await;
        }
    }

    /// The directory of everything it writes.
    pub(super) fn root(&self) -> &Path {
        self.home.root()
    }
}

impl Calling {
    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<Called> {
        let status = self.0.0.try_wait().expect("it is ours")?;
        let mut text = String::new();
        // What it says fits into a pipe, so it has not waited for us.
        if let Some(stdout) = &mut self.0.0.stdout {
            stdout.read_to_string(&mut text).expect("text");
        }
        if let Some(stderr) = &mut self.0.0.stderr {
            stderr.read_to_string(&mut text).expect("text");
        }
        let first = text.lines().next().unwrap_or_default();
        Some(Called {
            is_answered: status.success(),
            is_broken: status.code() == Some(NO_KERNEL),
            text: first.trim_start_matches("error: ").to_owned(),
        })
    }
}

impl Process {
    fn pid(&self) -> Pid {
        let id = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        id.expect("a process id")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended, nothing happens.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until what a command sees is so. Commands are programs: they are run with pauses.
pub(super) async fn seen(mut is_so: impl FnMut() -> Option<bool>) {
    while is_so() != Some(true) {
        pause().await;
    }
}

/// Gives others the processor for a while, between two looks at them.
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

/// How a process ended, in words.
pub(super) fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ends with code {code}"),
        (None, Some(signal)) => format!("is ended by signal {signal} ({})", name(signal)),
        (None, None) => "ends".to_owned(),
    }
}

/// The name of a signal that ends processes here.
fn name(signal: i32) -> &'static str {
    match signal {
        6 => "SIGABRT",
        7 => "SIGBUS",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => "another",
    }
}
