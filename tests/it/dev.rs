//! `octa dev` over a crate that `octa new` wrote: every save shows, and a bad one harms nobody.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    fixtures::{self, Build},
    home::{Home, NEIGHBOUR, read, run, until},
    program::octa,
};

/// What has to be said to build in the tests' own target directory.
const NEEDED: [&str; 5] = [
    "PATH",
    "HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
];

/// A crate that is developed.
struct Developing {
    home: Home,
    name: &'static str,
    process: Process,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Only where a scenario failed: otherwise it has ended.
        let _ = self.0.kill();
    }
}

/// A new crate, built once: a scenario has no patience for its dependencies. Its name is its own, for
/// scenarios build into one target directory.
fn new_crate(name: &str) -> Home {
    // The fixtures are built in the same target directory.
    fixtures::library(NEIGHBOUR);
    let home = Home::empty();
    let root = home.root().display().to_string();
    let written = octa(&home, &["new", name, "--path", &root]);
    assert_eq!(written.code, 0, "{}", written.stderr);
    assert!(written.stdout.contains("octa dev"), "{}", written.stdout);
    Build::offline(&home.root().join(name)).run();
    home
}

impl Developing {
    fn begin(home: Home, name: &'static str) -> Self {
        let mut command = Command::new(fixtures::octa());
        command.arg("dev").arg(home.root().join(name));
        command.arg("--data").arg(home.data());
        command.args(["--", "--offline"]).env_clear();
        for name in NEEDED {
            command.envs(fixtures::variable(name).map(|value| (name, value)));
        }
        for place in ["TMPDIR", "XDG_RUNTIME_DIR"] {
            command.env(place, home.root());
        }
        command.env("CARGO", env!("CARGO"));
        command.env("CARGO_TARGET_DIR", fixtures::target("fixtures"));
        command.stdout(File::create(home.root().join("stdout")).expect("a file"));
        command.stderr(File::create(home.root().join("stderr")).expect("a file"));
        let child = command.spawn().expect("the program runs");
        let process = Process(child);
        Self {
            home,
            name,
            process,
        }
    }

    fn text(&self, name: &str) -> String {
        let text = read(&self.home.root().join(name));
        self.home.anonymous(&String::from_utf8_lossy(&text))
    }

    /// Waits until it says a line with these words, and answers that.
    async fn says(&self, words: &[&str]) -> String {
        let said = || {
            let text = self.text("stderr");
            let mut lines = text.lines();
            let line = lines.find(|line| words.iter().all(|word| line.contains(word)));
            line.map(str::to_owned)
        };
        until(|| said().is_some()).await;
        said().expect("it was there")
    }

    /// Saves the crate's source with this in place of that.
    fn save(&self, from: &str, to: &str) {
        let path = self.source();
        let text = fs::read_to_string(&path).expect("a source");
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).expect("a source");
    }

    fn source(&self) -> PathBuf {
        self.home.root().join(self.name).join("src/lib.rs")
    }

    /// Checks, from another process, how often Ada has visited.
    #[track_caller]
    fn check_visits(&self, expect: u64) {
        let capability = format!("{}.greet", self.name);
        let called = octa(&self.home, &["call", &capability, "\"Ada\""]);
        let expect = format!("{{\"name\":\"Ada\",\"visits\":{expect}}}\n");
        assert_eq!((called.code, called.stdout), (0, expect));
    }

    /// Interrupts it as Ctrl-C does.
    fn interrupt(&mut self) {
        let id = i32::try_from(self.process.0.id()).ok();
        let id = id.and_then(Pid::from_raw).expect("a process id");
        kill_process(id, Signal::INT).expect("it runs");
        let status = self.process.0.wait().expect("it is ours");
        assert!(status.success(), "{status}");
    }
}

#[test]
fn every_save_shows() {
    let home = new_crate("counter");
    run(async {
        let mut developing = Developing::begin(home, "counter");
        let said = developing.says(&["octa dev: "]).await;
        assert!(said.contains("`counter`"), "{said}");
        assert!(said.contains("are granted what they ask for"), "{said}");
        let first = ["started    counter 0.1.0 (gen 1, ", "), built in "];
        developing.says(&first).await;
        developing.check_visits(1);

        developing.save("visits += 1;", "visits += 10;");
        let second = [
            "reloaded   counter 0.1.0 (gen 1, ",
            ") → 0.1.0 (gen 2, ",
            ", built in ",
        ];
        developing.says(&second).await;
        developing.check_visits(11);

        developing.save("visits += 10;", "visits += \"ten\";");
        developing
            .says(&["still serving counter 0.1.0 (gen 2, "])
            .await;
        developing.says(&["error[E0277]"]).await;
        developing.check_visits(21);

        developing.save("visits += \"ten\";", "visits += 100;");
        developing.says(&["→ 0.1.0 (gen 3, "]).await;
        developing.check_visits(121);
        developing.interrupt();
        let printed = developing.text("stdout");
        assert!(printed.contains(" counter.greeted  {"), "{printed}");
        assert!(!printed.contains("reloaded"), "it is told once: {printed}");
    });
}

#[test]
fn a_build_that_does_not_start_changes_nothing() {
    let home = new_crate("greeter");
    run(async {
        let mut developing = Developing::begin(home, "greeter");
        developing
            .says(&["started    greeter 0.1.0 (gen 1, "])
            .await;
        developing.save(
            "impl Plugin {",
            "impl octa_plugin_api::Tentacle for Plugin {
    async fn start(&self, _: &Context) -> Result<()> {
        panic!(\"no light\")
    }
",
        );
        let told = developing.says(&["error: ", "no light"]).await;
        assert!(told.contains("`start` of plugin `greeter`"), "{told}");
        developing
            .says(&["still serving greeter 0.1.0 (gen 1, "])
            .await;
        developing.check_visits(1);

        developing.save("panic!(\"no light\")", "Ok(())");
        developing
            .says(&["reloaded   greeter 0.1.0 (gen 1, "])
            .await;
        developing.check_visits(2);
        // What has changed nothing is told as well: whoever saved waits for an answer.
        developing.save("Ok(())", "Ok(())");
        developing.says(&["unchanged  greeter 0.1.0 ("]).await;
        developing.interrupt();
    });
}
