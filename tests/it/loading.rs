//! Opening libraries: what cannot be linked, what must not run before it is accepted, and what
//! an instance holds.

use std::{fs, sync::Arc, task::Context};

use octa_kernel::{Error, ErrorKind, FileRules, Payload, lifecycle::State};
use octa_loader::{
    BoxFuture, CreateOptions, Host, Instance, LogLine, Opener, Request, StageDir, Submitted,
    inspect,
};
use serde_json::{Value, json};

use crate::{
    fixtures, forge,
    home::{Home, read, run},
    program,
};

#[test]
fn a_missing_symbol() {
    run(async {
        let running = Home::with(&["missing-symbol"]).start().await;
        let status = running.plugin("missing-symbol");
        assert_eq!(status.state, State::Failed);
        let message = &status.problems[0].message;
        let staged = message.split('/').find(|part| {
            part.ends_with(".so: undefined symbol: octa_function_that_no_library_has")
        });
        assert!(staged.is_some(), "{message}");
        running.end().await;
    });
}

#[test]
fn nothing_runs_before_it_is_accepted() {
    run(async {
        let rejected = forge::manifest("runs-on-load", &[("\"major\":1", "\"major\":2")]);
        let mark = fixtures::mark();
        if mark.exists() {
            fs::remove_file(&mark).expect("it is ours");
        }
        let home = Home::with(&[]);
        let file = home.put("runs-on-load", &rejected);
        inspect(&file, FileRules::default()).expect("it can be looked into");
        let inspected = program::octa(&home, &["inspect", &file.display().to_string()]);
        assert_eq!(inspected.code, 3, "it can be looked into, and is refused");
        let running = home.start().await;
        running.check_rejected(&[
            "rejected: file `HOME/plugins/runs-on-load.so`: plugin `runs-on-load` speaks \
                ABI 2.0, this host speaks ABI 1.x (hint: update this host, or build the \
                plugin with an older plugin API)",
        ]);
        assert!(!mark.exists(), "a rejected library ran");
        running
            .home
            .put("runs-on-load", &read(&fixtures::library("runs-on-load")));
        running
            .kernel
            .load_plugin("runs-on-load")
            .await
            .expect("it loads");
        assert!(mark.exists(), "an accepted library runs");
        running.end().await;
    });
}

#[test]
fn what_an_instance_holds_is_counted() {
    const KEPT: usize = 1_000_000;
    run(async {
        let home = Home::with(&["configured"]);
        fs::create_dir(home.data()).expect("a data directory");
        let file = home.plugins().join("configured.so");
        let inspection = inspect(&file, FileRules::default()).expect("a plugin");
        let stage = StageDir::open(&home.data()).expect("a directory");
        let staged = stage.stage(&inspection).expect("a copy");
        let manifest = Arc::new(inspection.manifest.clone());
        let generation = Opener::default()
            .open(&staged, manifest)
            .expect("a library");
        let create = |greeting: String| {
            let options = CreateOptions {
                config: Payload::json(&json!({ "port": 1, "greeting": greeting })).expect("JSON"),
                log_level: log::LevelFilter::Info,
            };
            Instance::create(&generation, Arc::new(Nobody), &options).expect("an instance")
        };
        let small = create(String::new());
        let before = allocated(&small).await;
        let large = create("a".repeat(KEPT));
        let grown = allocated(&small).await - before;
        assert!((KEPT..KEPT + 10_000).contains(&grown), "{grown} bytes more");
        assert!(large.destroy(), "nothing is unfinished");
        assert_eq!(allocated(&small).await, before);
        assert!(small.destroy(), "nothing is unfinished");
    });
}

/// The live bytes of all instances of a library.
async fn allocated(instance: &Instance) -> usize {
    let usage = instance.usage().await.expect("it counts");
    let usage: Value = serde_json::from_slice(&usage).expect("JSON");
    let bytes = usage["allocated_bytes"].as_u64().expect("a number");
    usize::try_from(bytes).expect("a small number")
}

/// A host that offers nothing.
struct Nobody;

impl Host for Nobody {
    fn submit(&self, _: &Request<'_>, _: &mut Context<'_>) -> Submitted {
        Submitted::Ready(Error::new(ErrorKind::Unsupported, "nothing is offered").into())
    }

    fn drive(&self, _: BoxFuture<()>) {}

    fn run_task(&self, _: BoxFuture<()>) {}

    fn log(&self, _: &LogLine<'_>) {}
}
