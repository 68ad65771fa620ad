//! The worker's end, and a kernel that says what it likes: it ends with a code of its own and says
//! why, however the kernel behaves, and whatever its plugin is doing.

#![no_main]

use std::{
    fs::File,
    os::fd::AsFd,
    path::Path,
    sync::OnceLock,
    time::{Duration, Instant},
};

use libfuzzer_sys::fuzz_target;
use octa_fuzz::{Child, Ended, Numbers, Scribbler, Script, share_counters, to_worker};
use octa_loader::{ChildEnd, FileRules, Limits, Link, LinkError, Parked, Sandbox, inspect};
use octa_wire::{
    Answer, Envelope, Hello, NO_DEADLINE, PROTOCOL, ProtocolVersion, ToKernel, ToWorker, Welcome,
};

/// A plugin that does all that plugins can.
const PLUGIN: &str = env!("OCTA_FUZZ_PLUGIN");
const RING_BYTES: [usize; 3] = [0, 4096, 65_536];
/// How long a worker may take for anything that it does not leave to its plugin.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it is listened to at once.
const MOMENT: Duration = Duration::from_millis(1);
/// What a worker ends with: when it is told to or the kernel is gone, what it was told makes no
/// sense, the connection is spoiled, the kernel speaks another version.
const CODES: [i32; 4] = [0, 65, 74, 76];

/// Inputs that the plugin understands.
const PAYLOADS: [&[u8]; 12] = [
    b"null",
    b"[]",
    br#"["who",{"state":{"set":["a",1]}},{"storage":{"get":"a"}}]"#,
    br#"[{"publish":["conformer.a",1]},{"log":["info","text"]}]"#,
    br#"[{"call":{"capability":"conformer.echo","input":1}}]"#,
    br#"[{"call":{"capability":"companion.echo","limit_ms":1}}]"#,
    br#"[{"listen":["conformer.*",[["conformer.b",2]]]}]"#,
    br#"[{"sleep":1},{"spawn":"conformer.c"}]"#,
    br#""ends""#,
    br#""waits""#,
    br#""panics""#,
    b"7",
];

struct Plugin {
    manifest: Vec<u8>,
    hash: String,
    numbers: Numbers,
}

fn plugin() -> &'static Plugin {
    static PLUGIN_FOUND: OnceLock<Plugin> = OnceLock::new();
    PLUGIN_FOUND.get_or_init(|| {
        let rules = FileRules {
            require_private: false,
        };
        let found = inspect(Path::new(PLUGIN), rules).expect("the plugin is one");
        let handlers = found.manifest.capabilities.len();
        Plugin {
            manifest: serde_json::to_vec(&found.manifest).expect("it came as JSON"),
            hash: found.hash.to_string(),
            numbers: Numbers {
                ids: 24,
                instances: 2,
                handlers: u8::try_from(handlers).expect("they are few"),
            },
        }
    })
}

struct Scene {
    link: Link,
    next: u64,
    pongs: u64,
    /// Nothing more comes.
    is_over: bool,
    /// What it asks for is given at once.
    is_kind: bool,
    memory: Option<Scribbler>,
    /// What the worker wrote may be what the kernel wrote over it; and it may not be woken.
    is_scribbled: bool,
}

impl Scene {
    fn say(&self, message: &ToWorker<'_>) {
        let mut frame = Vec::new();
        message.encode(&mut frame);
        // It may be gone.
        let _ = self.link.send(&frame);
    }

    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Greets, and waits for the answer; false if there is none.
    fn greet(&mut self, hello: &[u8]) -> bool {
        self.say(&ToWorker::Hello(hello));
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let Ok(welcome) = self.hear_welcome() else {
                return false;
            };
            if let Some(welcome) = welcome {
                if welcome.rings {
                    self.link.use_rings();
                }
                return welcome.protocol == PROTOCOL;
            }
            if self.link.park(Some(PATIENCE)).is_err() {
                return false;
            }
        }
        panic!("a worker answers");
    }

    fn hear_welcome(&self) -> Result<Option<Welcome>, LinkError> {
        let mut receiving = self.link.receive();
        let Some(frame) = receiving.next()? else {
            return Ok(None);
        };
        let Ok(ToKernel::Welcome(document)) = ToKernel::decode(frame) else {
            panic!("a worker begins with a welcome");
        };
        let welcome = serde_json::from_slice(document).expect("a worker welcomes in JSON");
        Ok(Some(welcome))
    }

    /// Opens the plugin and makes an instance, and starts it.
    fn move_in(&mut self, script: &mut Script<'_>) {
        let plugin = plugin();
        let id = self.next();
        let path = match script.below(16) {
            0 => "/dev/null",
            1 => "/nowhere.so",
            _ => PLUGIN,
        };
        self.say(&ToWorker::Open {
            id,
            generation: 1,
            path,
            hash: &plugin.hash,
            manifest: &plugin.manifest,
        });
        self.await_answer(id);
        let id = self.next();
        self.say(&ToWorker::Create {
            id,
            instance: 1,
            generation: 1,
            log_level: 5,
            config: b"{}",
        });
        self.await_answer(id);
        let id = self.next();
        self.say(&ToWorker::Control {
            id,
            instance: 1,
            what: 1,
            number: 0,
            payload: b"",
        });
        self.await_answer(id);
    }

    fn await_answer(&mut self, expected: u64) {
        let until = Instant::now() + self.patience();
        while !self.is_over && Instant::now() < until {
            if self.listen(MOMENT, Some(expected)) {
                return;
            }
        }
        assert!(self.is_over || self.is_scribbled, "a worker answers");
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let numbers = plugin().numbers;
        match step % 16 {
            0..=4 => self.say(&to_worker(script, numbers)),
            5 => self.scribble(script),
            6..=9 => self.call(script),
            10 | 11 => drop(self.listen(MOMENT, None)),
            12 => self.is_kind = script.flag(),
            13 => self.say_wrongly(script),
            14 => self.ping(),
            _ => self.move_in(script),
        }
    }

    fn scribble(&mut self, script: &mut Script<'_>) {
        if let Some(memory) = &self.memory {
            self.is_scribbled = true;
            memory.scribble(script);
        }
    }

    fn call(&mut self, script: &mut Script<'_>) {
        let id = self.next();
        let envelope = Envelope {
            remaining_nanos: NO_DEADLINE,
            caller: "fuzz",
            ..Envelope::default()
        };
        self.say(&ToWorker::Call {
            id,
            instance: 1,
            handler: script.below(plugin().numbers.handlers).into(),
            envelope,
            payload: PAYLOADS[usize::from(script.byte()) % PAYLOADS.len()],
        });
    }

    /// A message with one byte that is another, and of another length.
    fn say_wrongly(&self, script: &mut Script<'_>) {
        let mut frame = Vec::new();
        to_worker(script, plugin().numbers).encode(&mut frame);
        frame.truncate(frame.len() - usize::from(script.byte()) % (frame.len() - 4));
        let at = 4 + usize::from(script.short()) % (frame.len() - 4);
        frame[at] = script.byte();
        let length = u32::try_from(frame.len() - 4).expect("it is small");
        frame[..4].copy_from_slice(&length.to_le_bytes());
        // It may be gone.
        let _ = self.link.send(&frame);
    }

    /// Waits until it has seen all that it was told.
    fn ping(&mut self) {
        let number = u64::MAX - self.next();
        self.say(&ToWorker::Ping { number });
        let (pongs, until) = (self.pongs, Instant::now() + self.patience());
        while !self.is_over && self.pongs == pongs {
            if Instant::now() >= until {
                assert!(self.is_scribbled, "a worker always answers a ping");
                return;
            }
            self.listen(MOMENT, None);
        }
    }

    /// How long it may take to answer.
    fn patience(&self) -> Duration {
        match self.is_scribbled {
            true => 4 * MOMENT,
            false => PATIENCE,
        }
    }

    /// Takes what it says, and is kind; whether what was expected is answered.
    fn listen(&mut self, moment: Duration, expected: Option<u64>) -> bool {
        let mut replies = Vec::new();
        let mut is_answered = false;
        let mut receiving = self.link.receive();
        loop {
            match receiving.next() {
                Ok(Some(frame)) => {
                    let Ok(said) = ToKernel::decode(frame) else {
                        assert!(self.is_scribbled, "the worker keeps to the protocol");
                        self.is_over = true;
                        break;
                    };
                    is_answered |= is_answer(&said, expected);
                    self.pongs += u64::from(matches!(said, ToKernel::Pong { .. }));
                    if self.is_kind {
                        reply(&said, &mut replies);
                    }
                }
                Ok(None) => break,
                Err(LinkError::Closed) => {
                    self.is_over = true;
                    break;
                }
                Err(error) => {
                    assert!(
                        self.is_scribbled,
                        "the worker keeps to the protocol: {error}"
                    );
                    self.is_over = true;
                    break;
                }
            }
        }
        drop(receiving);
        for frame in replies {
            // It may be gone.
            let _ = self.link.send(&frame);
        }
        if !is_answered && !self.is_over {
            let parked = self.link.park(Some(moment));
            assert!(
                parked.is_ok() || self.is_scribbled,
                "the worker keeps to the protocol"
            );
            self.is_over = !matches!(parked, Ok(Parked::Woken | Parked::TimedOut));
        }
        is_answered
    }
}

fn is_answer(said: &ToKernel<'_>, expected: Option<u64>) -> bool {
    matches!(said, ToKernel::Answer { id, .. } if Some(*id) == expected)
}

/// What a kernel says to that.
fn reply(said: &ToKernel<'_>, replies: &mut Vec<Vec<u8>>) {
    let reply = match *said {
        ToKernel::Submit {
            instance, number, ..
        } => ToWorker::Reply {
            instance,
            operation: number,
            answer: Answer {
                number: 1,
                payload: b"null",
                ..Answer::default()
            },
        },
        ToKernel::Spawned { instance, task } => ToWorker::StartTask { instance, task },
        _ => return,
    };
    let mut frame = Vec::new();
    reply.encode(&mut frame);
    replies.push(frame);
}

fn hello(script: &mut Script<'_>, ring_bytes: usize) -> Vec<u8> {
    let kind = script.below(32);
    let garbage = script.bytes();
    if kind == 0 && serde_json::from_slice::<Hello>(garbage).is_err() {
        return garbage.to_vec();
    }
    let hello = Hello {
        protocol: ProtocolVersion {
            major: PROTOCOL.major + u32::from(kind == 1),
            minor: kind.into(),
        },
        program: "fuzz".to_owned(),
        name: "fuzz".to_owned(),
        ring_bytes: ring_bytes as u64,
        limits: Limits::default(),
        sandbox: Sandbox {
            off: true,
            ..Sandbox::default()
        },
        libraries: Vec::new(),
    };
    serde_json::to_vec(&hello).expect("it can be written")
}

fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let ring_bytes = RING_BYTES[usize::from(script.below(3))];
    let (link, end) = Link::pair(ring_bytes).expect("the system gives a pair of ends");
    let ChildEnd { socket, memory } = end;
    let scribbler = memory.as_ref().map(Scribbler::new);
    let memory = memory.unwrap_or_else(|| File::open("/dev/null").expect("it is there").into());
    let mut child = Child::fork(socket.as_fd(), memory.as_fd(), octa_worker::serve)
        .expect("the system gives a process");
    drop((socket, memory));
    let mut scene = Scene {
        link,
        next: 0,
        pongs: 0,
        is_over: false,
        is_kind: true,
        memory: scribbler.transpose().expect("the memory is there"),
        is_scribbled: false,
    };
    if scene.greet(&hello(&mut script, ring_bytes)) {
        scene.move_in(&mut script);
        while let Some(step) = script.step().filter(|_| !scene.is_over) {
            scene.step(step, &mut script);
        }
    }
    drop(scene);
    let ended = child.end(PATIENCE);
    if !matches!(ended, Ended::Code(code) if CODES.contains(&code)) {
        panic!("the worker ended badly: {ended:?}\n{}", child.output());
    }
}

fuzz_target!(
    init: {
        plugin();
        share_counters().expect("the system gives memory");
    },
    |input: &[u8]| run(input)
);
