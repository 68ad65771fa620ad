//! Drives the `octa` program as a user does, with an empty plugin directory; what it does with
//! plugins is tested where plugins are compiled.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A user with directories of their own.
struct Home {
    root: TempDir,
}

/// A kernel that listens.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What it says it listens on.
    socket: PathBuf,
}

/// What a command left behind.
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        for directory in ["run", "plugins"] {
            fs::create_dir(root.path().join(directory)).expect("a directory");
        }
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_octa"));
        command
            .args(arguments)
            .current_dir(self.root.path())
            .env_clear()
            .env("HOME", self.root.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn octa(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().expect("an end").into()
    }

    /// Runs a kernel and waits until it listens.
    fn run(&self, arguments: &[&str]) -> Running {
        let arguments = [&["run", "--plugins", "plugins"], arguments].concat();
        Running::start(self.command(&arguments))
    }
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("a process");
        let stderr = child.stderr.take().expect("a pipe");
        let mut kernel = Self {
            child,
            stderr: BufReader::new(stderr),
            socket: PathBuf::new(),
        };
        let mut said = String::new();
        while kernel.socket == Path::new("") {
            let length = kernel.stderr.read_line(&mut said).expect("a line");
            assert_ne!(length, 0, "it ended: {said}");
            let socket = said.split("listens on `").nth(1).unwrap_or_default();
            kernel.socket = socket.split('`').next().unwrap_or_default().into();
        }
        kernel
    }

    /// Reads on until it says this.
    fn said(&mut self, expect: &str) {
        let mut said = String::new();
        while !said.contains(expect) {
            let length = self.stderr.read_line(&mut said).expect("a line");
            assert_ne!(length, 0, "it ended: {said}");
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a living process");
    }

    /// Waits for the end.
    fn end(mut self) -> Done {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stderr.read_to_string(&mut stderr).expect("text");
        let mut printed = self.child.stdout.take().expect("a pipe");
        printed.read_to_string(&mut stdout).expect("text");
        let status = self.child.wait().expect("an end");
        Done {
            code: status.code(),
            stdout,
            stderr,
        }
    }

    fn terminate(self) -> Done {
        self.signal(Signal::TERM);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves no kernel behind.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Done {
    /// Checks the exit code and what was said.
    fn refused(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert!(self.stderr.contains(said), "{}", self.stderr);
        assert_eq!(self.stdout, "");
    }

    /// The data that was printed.
    fn data(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        assert_eq!(self.stderr, "");
        self.stdout.trim_end()
    }
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("a file");
    metadata.permissions().mode() & 0o7777
}

#[test]
fn a_kernel_runs_and_answers_and_leaves_nothing_behind() {
    let home = Home::new();
    let kernel = home.run(&["--data", "data"]);
    assert_eq!(home.octa(&["list"]).data(), "no plugins");
    assert_eq!(home.octa(&["capabilities"]).data(), "no capabilities");
    let file_type = fs::metadata(&kernel.socket).expect("a socket").file_type();
    assert!(file_type.is_socket());
    assert_eq!(mode(&kernel.socket), 0o600);
    assert_eq!(mode(&home.path("run/octa")), 0o700);
    assert_eq!(kernel.terminate().code, Some(0));
    let left = fs::read_dir(home.path("run/octa")).expect("a directory");
    assert_eq!(left.count(), 0);
    home.octa(&["list"])
        .refused(4, "error: no kernel is running\nhint: start one");
}

#[test]
fn a_kernel_ends_by_itself_when_it_should() {
    let home = Home::new();
    let done = home.run(&["--for", "1ms"]).end();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(home.path(".local/share/octa/octa.db").is_file());
}

#[test]
fn ctrl_c_stops_it() {
    let home = Home::new();
    let kernel = home.run(&[]);
    kernel.signal(Signal::INT);
    let done = kernel.end();
    assert_eq!(done.code, Some(0));
    let said = "stopping; Ctrl-C again ends at once\n";
    assert!(done.stderr.contains(said), "{}", done.stderr);
}

#[test]
fn a_configuration_is_applied_when_it_is_saved() {
    let home = Home::new();
    let config = home.path("octa.toml");
    fs::write(&config, "[kernel]\nstop_deadline = \"5s\"\n").expect("a file");
    let mut kernel = home.run(&["--config", "octa.toml"]);
    fs::write(&config, "[kernel]\nspeed = 1\n").expect("a file");
    kernel.said("octa.toml:2:1: `kernel.speed` is an unknown key");
    fs::write(&config, "[kernel]\nstop_deadline = \"6s\"\n").expect("a file");
    kernel.said("`octa.toml` is applied\n");
    fs::remove_file(&config).expect("a file");
    kernel.said("cannot read the configuration `octa.toml`");
    assert_eq!(kernel.terminate().code, Some(0));
}

#[test]
fn what_cannot_be_replaced_is_refused() {
    let home = Home::new();
    let kernel = home.run(&[]);
    for arguments in [
        &["reload", "lamp"][..],
        &["reload", "lamp", "--plan"],
        &["rollback", "lamp", "--restore-saved"],
        &["rollback", "lamp", "--plan"],
    ] {
        home.octa(arguments)
            .refused(3, "error: there is no plugin `lamp`\n");
    }
    let mut stream = UnixStream::connect(&kernel.socket).expect("a connection");
    let head = "host: octa\r\nconnection: close\r\n\r\n";
    let request = format!("PUT /v1/plugins/lamp/reload HTTP/1.1\r\n{head}");
    stream.write_all(request.as_bytes()).expect("a reader");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("allow: GET, POST\r\n"), "{answer}");
    assert!(answer.contains("expected `GET` or `POST`"), "{answer}");
}

#[test]
fn what_cannot_be_developed_is_refused() {
    let home = Home::new();
    home.octa(&["dev", "nowhere"])
        .refused(3, "error: `nowhere` is no directory\nhint: name");
    // Nothing of the environment is passed on, so there is no path to find it on.
    let done = home.octa(&["dev", "plugins"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let said = "error: cannot run `cargo`\ncaused by: ";
    assert!(done.stderr.starts_with(said), "{}", done.stderr);
    assert!(!home.path(".local").exists());
}

#[test]
fn calls_and_inputs_are_checked() {
    let home = Home::new();
    let _kernel = home.run(&[]);
    home.octa(&["call", "lamp.on"])
        .refused(3, "error: no plugin offers the capability `lamp.on`\n");
    home.octa(&["call", "lamp.on", "porch"])
        .refused(3, "hint: try `octa call lamp.on '\"porch\"'`");
    home.octa(&["tail", "a..b"]).refused(3, "pattern `a..b`");
    home.octa(&["publish", "kernel..x", "1"])
        .refused(3, "topic `kernel..x`");
    home.octa(&["publish", "kernel.x", "1"])
        .refused(3, "`kernel.**` is the kernel's own");
    home.octa(&["start", "lamp"])
        .refused(3, "error: there is no plugin `lamp`\n");
    home.octa(&["why", "liblamp.so"]).refused(
        3,
        "error: there is no plugin, no rejected file and no capability `liblamp.so`\nhint: `octa list` shows",
    );
    home.octa(&["services", "lamp.on"]).refused(
        3,
        "error: no plugin offers the capability `lamp.on`\nhint: ",
    );
    home.octa(&["subscriptions", "lamp"])
        .refused(3, "error: there is no plugin `lamp`\nhint: ");
    home.octa(&["dead-letters", "show", "7"])
        .refused(3, "error: there is no dead letter 7\nhint: ");
    home.octa(&["dead-letters", "replay"])
        .refused(2, "required arguments were not provided");
    home.octa(&["dance"])
        .refused(2, "unrecognized subcommand 'dance'");
}

#[test]
fn paths_queries_and_headers_must_mean_something() {
    let home = Home::new();
    let kernel = home.run(&[]);
    for (request, status, said) in [
        ("GET /v1/services?for=soon", 400, "`soon` is no duration"),
        (
            "GET /v1/services?until=2s",
            400,
            "has no meaning for services",
        ),
        ("GET /v1/services/a.b/c", 404, "there is nothing at"),
        ("POST /v1/services", 405, "expected `GET`"),
        (
            "GET /v1/dead-letters/seven",
            400,
            "`seven` is no dead letter",
        ),
        ("GET /v1/dead-letters/7", 404, "there is no dead letter 7"),
        ("GET /v1/dead-letters/replay", 405, "expected `POST`"),
        ("POST /v1/dead-letters/7/burn", 404, "there is nothing at"),
        ("POST /v1/dead-letters", 405, "expected `GET`"),
        ("GET /v1/clear/a.b", 405, "expected `POST`"),
        ("POST /v1/subscriptions", 405, "expected `GET`"),
        ("POST /v1/publish/a.b", 400, "`octa-retain` is `perhaps`"),
    ] {
        let mut stream = UnixStream::connect(&kernel.socket).expect("a connection");
        let head = "host: octa\r\nconnection: close\r\nocta-retain: perhaps\r\n\r\n";
        let request = format!("{request} HTTP/1.1\r\n{head}");
        stream.write_all(request.as_bytes()).expect("a reader");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
        assert!(answer.contains(said), "{request}: {answer}");
    }
}

#[test]
fn a_refusal_reaches_who_is_still_writing() {
    let home = Home::new();
    let kernel = home.run(&[]);
    let body = "1".repeat(500_000);
    let length = body.len();
    let head = "host: octa\r\nconnection: close";
    for start in [
        "POST /v1/call/lamp.on",
        "PUT /v1/publish/a",
        "POST /nowhere",
    ] {
        for _ in 0..50 {
            let mut stream = UnixStream::connect(&kernel.socket).expect("a connection");
            let request =
                format!("{start} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(request.as_bytes()).expect("a reader");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            assert!(answer.contains(r#"{"ok":false,"#), "{start}: {answer}");
        }
    }
    let mut stream = UnixStream::connect(&kernel.socket).expect("a connection");
    let request = "POST /v1/call/lamp.on HTTP/1.1\r\nhost: octa\r\ncontent-length: 1048577\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("a reader");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[test]
fn answers_in_json_come_in_the_envelope() {
    let home = Home::new();
    let _kernel = home.run(&["--name", "home"]);
    let done = home.octa(&["call", "lamp.on", "--json", "--correlation-id", "2a"]);
    assert_eq!(
        (done.code, done.stderr.as_str()),
        (Some(3), ""),
        "{}",
        done.stdout
    );
    let answer: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["error"]["kind"], "unknown-capability");
    assert_eq!(answer["meta"]["kernel"], "home");
    assert_eq!(answer["meta"]["correlation_id"], format!("{:032x}", 42));
    let done = home.octa(&["publish", "porch.bell", "[1.50]", "--json"]);
    let answer: Value = serde_json::from_str(done.data()).expect("JSON");
    assert_eq!(answer["data"]["matched"], 1, "`octa run` itself listens");
}

#[test]
fn events_are_shown_as_they_come() {
    let home = Home::new();
    let kernel = home.run(&[]);
    let mut tail = home.command(&["tail", "porch.*", "--count", "1", "--json"]);
    let tail = tail.spawn().expect("a process");
    // It may take a moment until it has subscribed; `octa run` itself always listens.
    let matched = |done: Done| done.data() != "matched 1 subscription";
    while !matched(home.octa(&["publish", "porch.bell", "{\"rings\": 2}"])) {}
    let told = Done::from(tail.wait_with_output().expect("an end"));
    let event: Value = serde_json::from_str(told.data()).expect("JSON");
    assert_eq!(event["topic"], "porch.bell");
    assert_eq!(event["data"]["rings"], 2);
    let done = kernel.terminate();
    assert!(
        done.stdout.contains(" porch.bell  {\"rings\": 2}\n"),
        "{}",
        done.stdout
    );
}

#[test]
fn the_end_of_the_kernel_ends_a_tail() {
    let home = Home::new();
    let kernel = home.run(&[]);
    let mut stream = UnixStream::connect(&kernel.socket).expect("a connection");
    let request = b"GET /v1/tail/** HTTP/1.1\r\nhost: octa\r\n\r\n";
    stream.write_all(request).expect("a request");
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status).expect("a line");
    assert_eq!(status, "HTTP/1.1 200 OK\r\n");
    assert_eq!(kernel.terminate().code, Some(0));
    let mut rest = String::new();
    answer.read_to_string(&mut rest).expect("text");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest}");
}

#[test]
fn two_kernels_are_told_apart() {
    let home = Home::new();
    let _attic = home.run(&["--data", "attic", "--name", "upstairs"]);
    let cellar = home.run(&["--data", "cellar"]);
    home.octa(&["list"])
        .refused(3, "error: 2 kernels are running");
    for meant in ["upstairs", "attic", "cellar"] {
        let done = home.octa(&["list", "--kernel", meant]);
        assert_eq!(done.data(), "no plugins", "{meant}");
    }
    home.octa(&["list", "--kernel", "roof"])
        .refused(4, "error: kernel `roof` is not running");
    home.octa(&["run", "--plugins", "plugins", "--data", "./cellar/."])
        .refused(3, "is running already, as process");
    assert_eq!(cellar.terminate().code, Some(0));
    assert_eq!(home.octa(&["list"]).data(), "no plugins");
}

#[test]
fn what_a_killed_kernel_left_is_replaced() {
    let home = Home::new();
    let killed = home.run(&[]);
    let socket = killed.socket.clone();
    killed.signal(Signal::KILL);
    killed.end();
    assert!(socket.exists());
    home.octa(&["list"])
        .refused(4, "error: no kernel is running");
    let kernel = home.run(&[]);
    assert_eq!(kernel.socket, socket);
    assert_eq!(home.octa(&["list"]).data(), "no plugins");
}

#[test]
fn a_long_path_is_no_obstacle() {
    let home = Home::new();
    let deep = home.path(&"d".repeat(200));
    fs::create_dir_all(deep.join("plugins")).expect("a directory");
    let mut command = home.command(&["run", "--plugins", "plugins", "--data", "data"]);
    let kernel = Running::start({
        command.current_dir(&deep);
        command
    });
    let mut list = home.command(&["list", "--kernel", "data"]);
    let done = Done::from(list.current_dir(&deep).output().expect("an end"));
    assert_eq!(done.data(), "no plugins");
    assert_eq!(kernel.terminate().code, Some(0));
}

#[test]
fn bad_places_are_told_before_anything_is_made() {
    let home = Home::new();
    let run = |plugins: &str| home.octa(&["run", "--plugins", plugins, "--data", "data"]);
    fs::write(home.path("file"), "").expect("a file");
    run("missing").refused(
        3,
        "error: plugin directory `missing` does not exist\nhint: create",
    );
    run("file").refused(
        3,
        "error: plugin directory `file` is a file, expected a directory",
    );
    fs::write(home.path("octa.toml"), "[kernel]\nspeed = 1\n").expect("a file");
    home.octa(&[
        "run",
        "--plugins",
        "plugins",
        "--config",
        "octa.toml",
        "--data",
        "data",
    ])
    .refused(3, "error: octa.toml:2:1: `kernel.speed` is an unknown key");
    home.octa(&["run", "--plugins", "plugins", "--name", "a/b"])
        .refused(3, "error: `a/b` is no name for a kernel");
    assert!(!home.path("data").exists());
}

#[test]
fn a_directory_of_others_is_refused() {
    let home = Home::new();
    let directory = home.path("run/octa");
    fs::create_dir(&directory).expect("a directory");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("a mode");
    let said = "is not private: found a directory";
    home.octa(&["list"]).refused(3, said);
    let done = home.octa(&["run", "--plugins", "plugins"]);
    assert_eq!(done.code, Some(3));
    assert!(done.stderr.contains(said), "{}", done.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    let _kernel = home.run(&[]);
    let mut list = home.command(&["list"]).spawn().expect("a process");
    drop(list.stdout.take());
    let done = Done::from(list.wait_with_output().expect("an end"));
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_file_that_is_no_plugin_is_told_without_a_kernel() {
    let home = Home::new();
    fs::write(home.path("lamp.so"), "hello").expect("a file");
    home.octa(&["inspect", "lamp.so"])
        .refused(3, "error: file `lamp.so` is not a library");
    let done = home.octa(&["inspect", "lamp.so", "--json"]);
    let answer: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(answer["error"]["kind"], "rejected");
    assert_eq!(answer["meta"]["kernel"], Value::Null);
}

#[test]
fn a_new_crate_is_written_once() {
    let home = Home::new();
    assert!(
        home.octa(&["new", "lamp"])
            .data()
            .starts_with("wrote `lamp`;")
    );
    for file in [
        "Cargo.toml",
        "src/lib.rs",
        "octa.toml",
        "README.md",
        ".gitignore",
    ] {
        assert!(home.path("lamp").join(file).is_file(), "{file}");
    }
    home.octa(&["new", "lamp"])
        .refused(3, "error: `lamp` exists already\nhint: choose");
}
