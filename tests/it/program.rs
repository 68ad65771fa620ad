//! The `octa` program, driven as a user does.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    fixtures,
    home::{Home, read, run, until},
};

/// What a command of the program left behind.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command of the program to its end.
pub(crate) fn octa(home: &Home, arguments: &[&str]) -> Outcome {
    let output = command(home, arguments).output().expect("the program runs");
    let text = |bytes: &[u8]| home.anonymous(&String::from_utf8_lossy(bytes));
    Outcome {
        code: output.status.code().expect("no signal ended it"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// The program, with everything it may write outside its arguments in this home.
pub(crate) fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new(fixtures::octa());
    command.args(arguments).env_clear();
    for place in ["HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"] {
        command.env(place, home.root());
    }
    command
}

/// A kernel that runs in the program.
pub(crate) struct Serving {
    pub(crate) home: Home,
    process: Process,
}

struct Process(Child);

impl Serving {
    /// Runs the plugins of a home until the neighbour is started.
    pub(crate) async fn begin(home: Home) -> Self {
        let serving = Self::spawn(home);
        serving.until("neighbour", "started").await;
        serving
    }

    /// Runs the plugins of a home.
    pub(crate) fn spawn(home: Home) -> Self {
        let (plugins, data) = (home.plugins(), home.data());
        let config = home.root().join("octa.toml");
        fs::write(&config, home.toml()).expect("a file");
        let mut command = command(&home, &["run"]);
        command
            .arg("--plugins")
            .arg(plugins)
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(config);
        command.stdout(File::create(home.root().join("stdout")).expect("a file"));
        command.stderr(File::create(home.root().join("stderr")).expect("a file"));
        let child = command.spawn().expect("the program runs");
        let process = Process(child);
        Self { home, process }
    }

    /// Waits until a plugin is in a state.
    pub(crate) async fn until(&self, plugin: &str, state: &str) {
        while self.state(plugin) != state {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn state(&self, plugin: &str) -> Value {
        let listed = octa(&self.home, &["list", "--json"]);
        let answer: Value = serde_json::from_str(&listed.stdout).expect("an envelope");
        let plugins = answer["data"]["plugins"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let mut found = plugins.into_iter().filter(|found| found["name"] == plugin);
        found
            .next()
            .map_or(Value::Null, |found| found["state"].clone())
    }

    /// Checks a command: what it prints, or else what it tells.
    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32, expect: &str) {
        let Outcome {
            code: found,
            stdout,
            stderr,
        } = octa(&self.home, arguments);
        assert_eq!(
            (found, format!("{stdout}{stderr}").as_str()),
            (code, expect)
        );
    }

    /// Waits until a line of its log contains `text`.
    pub(crate) async fn told(&self, text: &str) {
        let log = self.home.root().join("stderr");
        until(|| String::from_utf8_lossy(&read(&log)).contains(text)).await;
    }

    /// Waits until it ends by itself; answers its exit code.
    pub(crate) async fn ended(mut self) -> (Option<i32>, Home) {
        let status = loop {
            if let Some(status) = self.process.0.try_wait().expect("it is ours") {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        (status.code(), self.home)
    }

    /// Sends it a signal.
    pub(crate) fn send(&self, signal: Signal) {
        let id = i32::try_from(self.process.0.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), signal).expect("it runs");
    }

    /// Interrupts it as Ctrl-C does; its home stays.
    pub(crate) fn end(mut self) -> Home {
        self.send(Signal::INT);
        let status = self.process.0.wait().expect("it is ours");
        assert!(status.success(), "{status}");
        self.home
    }

    /// Ends it as nothing it could do anything about.
    pub(crate) fn kill(mut self) -> Home {
        self.process.0.kill().expect("it runs");
        self.process.0.wait().expect("it is ours");
        self.home
    }

    /// Interrupts it as Ctrl-C does; answers what it printed and what it told.
    pub(crate) fn interrupt(self) -> [String; 2] {
        let home = self.end();
        ["stdout", "stderr"].map(|name| {
            let text = read(&home.root().join(name));
            home.anonymous(&String::from_utf8_lossy(&text))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only where a scenario failed: otherwise it has ended.
        let _ = self.0.kill();
    }
}

#[test]
fn good_and_bad_files_are_listed() {
    run(async {
        let config = "[plugins.panics-in-start.restart]\npolicy = \"never\"\n";
        let home = Home::with(&["panics-in-start"]).config(config);
        home.put("text", b"text");
        let serving = Serving::begin(home).await;
        serving.until("panics-in-start", "failed").await;
        let listed = octa(&serving.home, &["list", "--json"]);
        let answer: Value = serde_json::from_str(&listed.stdout).expect("an envelope");
        let plugins = answer["data"]["plugins"].as_array().expect("a list");
        let states: Vec<_> = plugins.iter().map(|p| [&p["name"], &p["state"]]).collect();
        assert_eq!(
            json!(states),
            json!([["neighbour", "started"], ["panics-in-start", "failed"]])
        );
        let rejected = &answer["data"]["rejected"][0];
        assert_eq!(rejected["path"], "HOME/plugins/text.so");
        assert_eq!(rejected["problem"]["kind"], "rejected");
        let [printed, told] = serving.interrupt();
        assert!(
            printed.contains("rejected   file `HOME/plugins/text.so` is not a library"),
            "{printed}"
        );
        assert!(!told.contains("stack backtrace"), "{told}");
    });
}

#[test]
fn calls_and_stops_reach_the_plugins() {
    run(async {
        let serving = Serving::begin(Home::with(&["panics-in-handler"])).await;
        serving.check(
            &["call", "neighbour.echo", r#"{"a":[1,2]}"#],
            0,
            "{\"a\":[1,2]}\n",
        );
        let unknown = "error: no plugin offers the capability `neighbour.ecko`\n\
                       hint: did you mean `neighbour.echo`?\n";
        serving.check(&["call", "neighbour.ecko", "1"], 3, unknown);
        let unset = "error: the idempotency key is empty\n\
                     hint: leave it out where the call is not to be done once only\n";
        let call = ["call", "neighbour.echo", "1", "--idempotency-key", ""];
        serving.check(&call, 3, unset);
        let panicked = octa(&serving.home, &["call", "panics-in-handler.now", "13"]);
        assert_eq!(panicked.code, 1);
        assert!(
            panicked.stderr.contains("number 13 is unlucky"),
            "{panicked:?}"
        );
        serving.check(&["stop", "neighbour"], 0, "neighbour 0.1.0 is stopped\n");
        assert_eq!(serving.state("neighbour"), "stopped");
        let nobody = "error: no plugin that offers `neighbour.echo` is started\n\
                      hint: `octa why neighbour.echo` shows why\n";
        serving.check(&["call", "neighbour.echo", "1"], 1, nobody);
        serving.check(&["start", "neighbour"], 0, "neighbour 0.1.0 is started\n");
        serving.check(&["unload", "neighbour"], 0, "neighbour 0.1.0 is unloaded\n");
        let none = "error: there is no plugin `neighbor`\nhint: did you mean `neighbour`?\n";
        serving.check(&["load", "neighbor"], 3, none);
        serving.interrupt();
    });
}

#[test]
fn events_go_in_and_come_out() {
    run(async {
        let serving = Serving::begin(Home::with(&[])).await;
        let mut tail = command(
            &serving.home,
            &["tail", "neighbour.pong", "--count", "1", "--json"],
        );
        let file = serving.home.root().join("tail");
        let mut tail = tail
            .stdout(File::create(&file).expect("a file"))
            .spawn()
            .expect("it runs");
        // Nobody tells when the tail listens: publish until it has heard.
        while tail.try_wait().expect("it is ours").is_none() {
            assert_eq!(
                octa(&serving.home, &["publish", "neighbour.ping", "7"]).code,
                0
            );
        }
        let event: Value = serde_json::from_slice(&read(&file)).expect("an event");
        assert_eq!(
            [&event["topic"], &event["source"]],
            ["neighbour.pong", "neighbour"]
        );
        let [printed, told] = serving.interrupt();
        assert!(printed.contains("neighbour.pong  7"), "{printed}");
        assert!(
            printed.contains("neighbour 0.1.0: started → stopped"),
            "{printed}"
        );
        assert!(!told.contains("stack backtrace"), "{told}");
    });
}

/// Checks how the program refuses to run over a plugin directory.
#[track_caller]
fn check_refused(plugins: impl FnOnce(&Home) -> PathBuf, expect: &str) {
    let home = Home::with(&[]);
    let [plugins, data] = [plugins(&home), home.data()].map(|path| path.display().to_string());
    let outcome = octa(&home, &["run", "--plugins", &plugins, "--data", &data]);
    let errors: Vec<_> = outcome
        .stderr
        .lines()
        .filter(|line| !line.contains(" INFO "))
        .collect();
    assert_eq!((outcome.code, errors.join("\n").as_str()), (3, expect));
}

#[test]
fn a_plugin_directory_that_is_none() {
    check_refused(
        |home| home.plugins().join("nowhere"),
        "error: plugin directory `HOME/plugins/nowhere` does not exist\n\
         hint: create it, for example with `mkdir -p HOME/plugins/nowhere`",
    );
    check_refused(
        |home| home.plugins().join("neighbour.so"),
        "error: plugin directory `HOME/plugins/neighbour.so` is a file, expected a directory\n\
         hint: name the directory that holds it: `HOME/plugins`",
    );
}
