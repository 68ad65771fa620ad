//! Loads, calls and ends generations with nothing but the loader.

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    task::{Context, Poll, Waker},
    thread::JoinHandle,
    time::Duration,
};

use octa_kernel::{Error, ErrorKind, FileRules, Payload};
use octa_loader::{
    BoxFuture, CreateOptions, Envelope, Generation, Host, Instance, LogLine, Manifest, Opener,
    Outcome, Request, StageDir, Staged, Started, Submitted, Terms, Unload, inspect, tidy_thread,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{fixtures, home::read};

/// Where copies lie and libraries are opened.
pub(super) struct Stage {
    pub(super) opener: Opener,
    copies: StageDir,
    directory: TempDir,
}

/// A copy that can be opened.
pub(super) struct Copy {
    pub(super) staged: Staged,
    pub(super) manifest: Arc<Manifest>,
}

/// A generation with its one instance, which is started.
pub(super) struct Live {
    instance: Instance,
}

impl Stage {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir_in(fixtures::scratch()).expect("a directory");
        let copies = StageDir::open(directory.path()).expect("a directory");
        Self {
            opener: Opener::default(),
            copies,
            directory,
        }
    }

    /// A path for a file of a test's own.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A fresh copy of a fixture.
    pub(super) fn copy(&self, fixture: &str) -> Copy {
        self.copy_of(&fixtures::library(fixture))
    }

    /// A fresh copy of a library.
    pub(super) fn copy_of(&self, library: &Path) -> Copy {
        let name = library.file_name().expect("a file");
        let own = self.directory.path().join(name);
        if !own.exists() {
            fs::write(&own, read(library)).expect("a file");
        }
        let inspection = inspect(&own, FileRules::default()).expect("a plugin");
        Copy {
            staged: self.copies.stage(&inspection).expect("a copy"),
            manifest: Arc::new(inspection.manifest.clone()),
        }
    }

    /// Opens a copy, which must not be mapped already.
    pub(super) fn open(&self, copy: &Copy) -> Arc<Generation> {
        let opened = self.opener.open(&copy.staged, copy.manifest.clone());
        opened.expect("a library")
    }

    /// Brings a fixture to life.
    pub(super) fn live(&self, fixture: &str) -> Live {
        Live::of(&self.open(&self.copy(fixture)))
    }
}

impl Live {
    /// A generation with an instance, which is started.
    pub(super) fn of(generation: &Arc<Generation>) -> Self {
        Self::with(generation, Nobody)
    }

    /// One that reaches this host.
    pub(super) fn with(generation: &Arc<Generation>, host: impl Host) -> Self {
        let options = CreateOptions {
            config: Payload::json(&json!({})).expect("JSON"),
            log_level: log::LevelFilter::Info,
        };
        let instance = Instance::create(generation, Arc::new(host), &options);
        let instance = instance.expect("an instance");
        at_once(instance.start()).expect("it starts");
        instance.open();
        Self { instance }
    }

    /// Calls the capability of this number, on this thread; it must answer at once.
    pub(super) fn call(&self, handler: u32, input: &Value) -> Value {
        let terms = Terms {
            remaining: Duration::from_secs(60),
            correlation: 0,
            chain: "",
        };
        let (envelope, input) = (Envelope::of("test"), Payload::json(input).expect("JSON"));
        let mut cx = Context::from_waker(Waker::noop());
        let outcome = match self
            .instance
            .call(handler, &envelope, &terms, &input, &mut cx)
        {
            Started::Ready(outcome) => outcome,
            waiting => panic!("{waiting:?}"),
        };
        value(outcome)
    }

    /// Calls the first capability with nothing.
    pub(super) fn touch(&self) -> Value {
        self.call(0, &Value::Null)
    }

    /// The code it runs.
    pub(super) fn generation(&self) -> &Arc<Generation> {
        self.instance.generation()
    }

    /// Stops and destroys the instance; answers the generation, which is retired by that.
    pub(super) fn end(self) -> Arc<Generation> {
        self.instance.close();
        at_once(self.instance.stop()).expect("it stops");
        let generation = self.instance.generation().clone();
        assert!(self.instance.destroy(), "nothing is unfinished");
        generation
    }
}

fn value(outcome: Outcome) -> Value {
    let payload = outcome.result.expect("it succeeds");
    serde_json::from_slice(&payload).expect("JSON")
}

/// The output of a future that does not wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut cx) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Checks that a generation is given back, and that nothing of its file is mapped.
#[track_caller]
pub(super) fn check_unmapped(generation: &Generation) {
    assert_eq!(generation.unload(), Unload::Unmapped);
    assert!(!is_mapped(generation), "its file is mapped");
}

/// Checks that a generation is kept for these causes.
#[track_caller]
pub(super) fn check_kept(generation: &Generation, expect: &[&str]) {
    assert_eq!(causes(&generation.unload()), expect);
    assert!(is_mapped(generation), "its file is not mapped");
}

/// What keeps a generation, in words.
pub(super) fn causes(unload: &Unload) -> Vec<String> {
    match unload {
        Unload::Unmapped => vec!["unmapped".to_owned()],
        Unload::Kept(causes) => causes.iter().map(ToString::to_string).collect(),
    }
}

/// Waits until a generation can be given back.
pub(super) fn until_unmapped(generation: &Generation) {
    crate::home::run(crate::home::until(|| {
        generation.unload() == Unload::Unmapped
    }));
    assert!(!is_mapped(generation), "its file is mapped");
}

pub(super) fn is_mapped(generation: &Generation) -> bool {
    let path = generation.staged_at().expect("it has a file");
    maps().contains(&path.display().to_string())
}

/// The memory mappings of this process, a line each.
pub(super) fn maps() -> String {
    fs::read_to_string("/proc/self/maps").expect("Linux")
}

/// A thread of the host that does what it is told, and parks otherwise.
pub(super) struct Worker {
    work: Sender<Box<dyn FnOnce() + Send>>,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(super) fn new(name: &str) -> Self {
        let (work, works) = channel::<Box<dyn FnOnce() + Send>>();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || works.iter().for_each(|work| work()));
        Self {
            work,
            thread: thread.expect("a thread"),
        }
    }

    /// Does some work there, and waits for it.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let work = move || drop(done.send(work()));
        self.work.send(Box::new(work)).expect("the thread is there");
        result.recv().expect("the work is done")
    }

    /// Tells it to tidy, as before it parks.
    pub(super) fn tidy(&self) {
        self.run(tidy_thread);
    }

    /// Waits for the thread's end.
    pub(super) fn end(self) {
        drop(self.work);
        self.thread.join().expect("it ends");
    }
}

/// A host that offers nothing.
pub(super) struct Nobody;

impl Host for Nobody {
    fn submit(&self, _: &Request<'_>, _: &mut Context<'_>) -> Submitted {
        Submitted::Ready(Error::new(ErrorKind::Unsupported, "nothing is offered").into())
    }

    fn drive(&self, _: BoxFuture<()>) {}

    fn run_task(&self, _: BoxFuture<()>) {}

    fn log(&self, _: &LogLine<'_>) {}
}
