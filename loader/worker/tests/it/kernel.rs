//! A kernel that says what a test says, and keeps what it hears until it is asked for it.

use std::{
    env,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use octa_loader::{FileRules, Inspection, Link, LinkError, Parked, inspect};
use octa_plugin_api::{Error, Payload};
use octa_wire::{
    Answer, Envelope, Hello, Limits, NO_DEADLINE, PROTOCOL, Sandbox, ToKernel, ToWorker, Welcome,
};
use serde_json::{Value, json};

/// What the worker under test says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Welcome(Value),
    Answer { id: u64, reply: Reply },
    Handled(u64),
    Submit { number: u64, target: String },
    CancelOperation(u64),
    Spawned(u64),
    TaskEnded { task: u64, reply: Reply },
    Log { level: u32, message: String },
    Pong(u64),
}

/// The owned form of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) number: u64,
    /// The payload, or the error with its hint.
    pub(crate) result: Result<String, String>,
}

pub(crate) const RING_BYTES: usize = 1 << 20;
/// What says nothing for so long never will.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const GENERATION: u32 = 5;
pub(crate) const INSTANCE: u32 = 9;

pub(crate) struct Kernel {
    link: Link,
    child: Child,
    stderr: Option<ChildStderr>,
    /// What was heard and not asked for yet.
    heard: Vec<Heard>,
    next: u64,
    /// By number of the handler.
    capabilities: Vec<String>,
}

impl Kernel {
    /// A worker that was said nothing to.
    pub(crate) fn silent(ring_bytes: usize) -> Self {
        let (link, end) = Link::pair(ring_bytes).expect("a connection");
        let stdout = end.memory.map_or_else(Stdio::null, Stdio::from);
        let mut child = Command::new(env!("CARGO_BIN_EXE_octa-worker"))
            .args([octa_worker::ARGUMENT, "fixture"])
            .stdin(end.socket)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let stderr = child.stderr.take();
        Self {
            link,
            child,
            stderr,
            heard: Vec::new(),
            next: 1,
            capabilities: Vec::new(),
        }
    }

    /// A worker that was greeted.
    pub(crate) fn greeted(ring_bytes: usize) -> Self {
        Self::greeted_with(&hello(ring_bytes), ring_bytes)
    }

    pub(crate) fn greeted_with(hello: &Value, ring_bytes: usize) -> Self {
        let mut kernel = Self::silent(ring_bytes);
        let welcome = kernel.greet(hello);
        let welcome: Welcome = serde_json::from_value(welcome).expect("a welcome");
        assert_eq!(welcome.protocol, PROTOCOL);
        assert_eq!(welcome.rings, ring_bytes > 0);
        if welcome.rings {
            kernel.link.use_rings();
        }
        kernel
    }

    /// A worker with an instance of the fixture that was started.
    pub(crate) fn ready() -> Self {
        Self::ready_over(RING_BYTES)
    }

    pub(crate) fn ready_over(ring_bytes: usize) -> Self {
        Self::greeted(ring_bytes).with_instance()
    }

    /// The same with an instance of the fixture that was started.
    pub(crate) fn with_instance(mut self) -> Self {
        let opened = self.open(&inspected(), &library());
        assert_eq!(opened.result, Ok(String::new()));
        self.create(INSTANCE).result.expect("an instance");
        let started = self.control(INSTANCE, 1);
        self.answer(started).result.expect("it starts");
        self
    }

    /// Says hello, and answers the welcome.
    pub(crate) fn greet(&mut self, hello: &Value) -> Value {
        self.say(&ToWorker::Hello(hello.to_string().as_bytes()));
        self.await_that("a welcome", |heard| match heard {
            Heard::Welcome(document) => Some(document.clone()),
            _ => None,
        })
    }

    pub(crate) fn say(&self, message: &ToWorker<'_>) {
        let mut frame = Vec::new();
        message.encode(&mut frame);
        self.link.send(&frame).expect("it is sent");
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn open(&mut self, inspection: &Inspection, path: &Path) -> Reply {
        let id = self.next();
        let manifest = Payload::json(&inspection.manifest).expect("JSON");
        self.capabilities = inspection
            .manifest
            .capabilities
            .iter()
            .map(|capability| capability.name.clone())
            .collect();
        self.say(&ToWorker::Open {
            id,
            generation: GENERATION,
            path: path.to_str().expect("UTF-8"),
            hash: &inspection.hash.to_string(),
            manifest: &manifest,
        });
        self.answer(id)
    }

    pub(crate) fn create(&mut self, instance: u32) -> Reply {
        let id = self.next();
        self.say(&ToWorker::Create {
            id,
            instance,
            generation: GENERATION,
            log_level: 5,
            config: b"{}",
        });
        self.answer(id)
    }

    pub(crate) fn control(&mut self, instance: u32, what: u32) -> u64 {
        let id = self.next();
        self.say(&ToWorker::Control {
            id,
            instance,
            what,
            number: 0,
            payload: b"",
        });
        id
    }

    /// Begins a call of a capability of the fixture; answers its number.
    pub(crate) fn begin(&mut self, capability: &str, input: &Value) -> u64 {
        let id = self.next();
        let full = format!("worker-fixture.{capability}");
        let handler = self.capabilities.iter().position(|name| *name == full);
        let handler = handler.expect("a capability of the fixture");
        self.say(&ToWorker::Call {
            id,
            instance: INSTANCE,
            handler: u32::try_from(handler).expect("few"),
            envelope: Envelope {
                remaining_nanos: NO_DEADLINE,
                caller: "test",
                ..Envelope::default()
            },
            payload: input.to_string().as_bytes(),
        });
        id
    }

    pub(crate) fn call(&mut self, capability: &str, input: &Value) -> Reply {
        let id = self.begin(capability, input);
        self.answer(id)
    }

    pub(crate) fn reply(&self, operation: u64) {
        self.say(&ToWorker::Reply {
            instance: INSTANCE,
            operation,
            answer: Answer {
                number: 3,
                payload: b"null",
                ..Answer::default()
            },
        });
    }

    /// Answers a wait for an event.
    pub(crate) fn tell(&self, operation: u64, event: u32) {
        let headers = json!({
            "id": 1, "topic": "worker-fixture.event", "source": "test",
            "time": 0, "sequence": 1, "correlation": "0",
        });
        self.say(&ToWorker::Reply {
            instance: INSTANCE,
            operation,
            answer: Answer {
                payload: event.to_string().as_bytes(),
                headers: headers.to_string().as_bytes(),
                ..Answer::default()
            },
        });
    }

    /// Awaits the answer to this number.
    pub(crate) fn answer(&mut self, expected: u64) -> Reply {
        self.await_that(&format!("an answer to {expected}"), |heard| match heard {
            Heard::Answer { id, reply } if *id == expected => Some(reply.clone()),
            _ => None,
        })
    }

    /// Awaits an operation on this target.
    pub(crate) fn submitted(&mut self, expected: &str) -> u64 {
        self.await_that(
            &format!("an operation on {expected}"),
            |heard| match heard {
                Heard::Submit { number, target } if target == expected => Some(*number),
                _ => None,
            },
        )
    }

    /// Awaits exactly this.
    pub(crate) fn await_heard(&mut self, expected: &Heard) {
        self.await_that(&format!("{expected:?}"), |heard| {
            (heard == expected).then_some(())
        });
    }

    /// Whether this was heard and not awaited.
    pub(crate) fn has_heard(&self, is_it: impl Fn(&Heard) -> bool) -> bool {
        self.heard.iter().any(is_it)
    }

    /// Awaits what was sent before an answer that is sent now.
    pub(crate) fn catch_up(&mut self) {
        let number = self.next();
        self.say(&ToWorker::Ping { number });
        self.await_heard(&Heard::Pong(number));
    }

    pub(crate) fn await_that<T>(&mut self, what: &str, is_it: impl Fn(&Heard) -> Option<T>) -> T {
        let mut looked = 0;
        loop {
            for (at, heard) in self.heard.iter().enumerate().skip(looked) {
                if let Some(found) = is_it(heard) {
                    self.heard.remove(at);
                    return found;
                }
            }
            looked = self.heard.len();
            if let Err(error) = self.hear() {
                let (status, lines) = self.end();
                panic!("{error} while {what} was awaited, and it ended with {status}: {lines}");
            }
        }
    }

    /// Takes in what comes next.
    fn hear(&mut self) -> Result<(), LinkError> {
        loop {
            if let Some(frame) = self.link.receive().next()? {
                self.heard.push(keep(frame));
                return Ok(());
            }
            if self.link.park(Some(PATIENCE))? == Parked::TimedOut {
                drop(self.child.kill());
            }
        }
    }

    /// Awaits the end of the process; answers its status and what it wrote.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let mut stderr = self.stderr.take().expect("it ends once");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = String::new();
            stderr.read_to_string(&mut lines).expect("text");
            tell.send(lines)
        });
        let lines = told.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            drop(self.child.kill());
            "it did not end".to_owned()
        });
        (self.child.wait().expect("its status"), lines)
    }

    /// Closes the connection and awaits the end of the process.
    pub(crate) fn close(mut self) -> (ExitStatus, String) {
        self.link.close();
        self.end()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // One that has ended is none to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn keep(frame: &[u8]) -> Heard {
    match ToKernel::decode(frame).expect("a message") {
        ToKernel::Welcome(document) => {
            Heard::Welcome(serde_json::from_slice(document).expect("JSON"))
        }
        ToKernel::Answer { id, answer } => Heard::Answer {
            id,
            reply: keep_answer(&answer),
        },
        ToKernel::Handled { id } => Heard::Handled(id),
        ToKernel::Submit { number, target, .. } => Heard::Submit {
            number,
            target: target.to_owned(),
        },
        ToKernel::CancelOperation { number, .. } => Heard::CancelOperation(number),
        ToKernel::Spawned { task, .. } => Heard::Spawned(task),
        ToKernel::TaskEnded { task, answer, .. } => Heard::TaskEnded {
            task,
            reply: keep_answer(&answer),
        },
        ToKernel::Log { level, message, .. } => Heard::Log {
            level,
            message: message.to_owned(),
        },
        ToKernel::Pong { number } => Heard::Pong(number),
    }
}

fn keep_answer(answer: &Answer<'_>) -> Reply {
    let text = String::from_utf8_lossy(answer.payload).into_owned();
    Reply {
        number: answer.number,
        result: match answer.code {
            0 => Ok(text),
            code => Err(format!("{:?}", Error::from_document(code, answer.payload))),
        },
    }
}

pub(crate) fn hello(ring_bytes: usize) -> Value {
    let hello = Hello {
        protocol: PROTOCOL,
        program: "1.2.3".to_owned(),
        name: "fixture".to_owned(),
        ring_bytes: ring_bytes as u64,
        limits: Limits::default(),
        sandbox: Sandbox {
            off: true,
            ..Sandbox::default()
        },
        libraries: Vec::new(),
    };
    serde_json::to_value(hello).expect("JSON")
}

/// The fixture, which is built with the tests.
pub(crate) fn library() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_octa-worker"));
    let name = format!(
        "{}worker_fixture{}",
        env::consts::DLL_PREFIX,
        env::consts::DLL_SUFFIX
    );
    program.with_file_name("examples").join(name)
}

pub(crate) fn inspected() -> Inspection {
    let path = library();
    inspect(&path, FileRules::default())
        .expect("the fixture, which `cargo test` builds unless it is told what else to build")
}
