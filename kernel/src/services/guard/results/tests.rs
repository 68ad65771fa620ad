//! Results beside a model that remembers in a list, and from several threads.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use octa_plugin_api::{Error, Payload, block_on};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

/// Most entries of the models, and most bytes.
const ENTRIES: usize = 3;
const BYTES: usize = 40;
const TIME: u64 = 50;

#[derive(Debug, Clone)]
enum Step {
    Look {
        caller: usize,
        key: usize,
        input: u8,
    },
    Finish {
        ticket: Index,
        size: usize,
    },
    Fail {
        ticket: Index,
        kind: ErrorKind,
    },
    Drop {
        ticket: Index,
    },
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = proptest::sample::select(vec![
        ErrorKind::NotFound,
        ErrorKind::Failed,
        ErrorKind::Deadline,
        ErrorKind::Panicked,
    ]);
    let ticket = any::<Index>;
    let size = prop_oneof![9 => 0..20_usize, 1 => 30..50_usize];
    let step = prop_oneof![
        8 => (0..2_usize, 0..4_usize, prop_oneof![5 => Just(0), 1 => Just(1)])
            .prop_map(|(caller, key, input)| Step::Look { caller, key, input }),
        4 => (ticket(), size).prop_map(|(ticket, size)| Step::Finish { ticket, size }),
        1 => (ticket(), kind).prop_map(|(ticket, kind)| Step::Fail { ticket, kind }),
        1 => ticket().prop_map(|ticket| Step::Drop { ticket }),
        2 => (0..40_u64).prop_map(Step::Wait),
    ];
    vec(step, 1..120)
}

type Names = (&'static str, &'static str);

#[derive(Debug)]
struct Running {
    names: Names,
    input: u8,
    ticket: Ticket,
    waiting: Vec<watch::Receiver<Option<Outcome>>>,
}

#[derive(Debug)]
struct Known {
    names: Names,
    input: u8,
    shown: String,
    bytes: usize,
    until: u64,
}

#[derive(Debug, Default)]
struct Model {
    running: Vec<Running>,
    done: Vec<Known>,
    now: u64,
}

fn shown(outcome: &Outcome) -> String {
    format!("{:?} {:?}", outcome.result, outcome.headers)
}

fn length(names: Names) -> usize {
    names.0.len() + names.1.len()
}

impl Model {
    fn bytes(&self) -> usize {
        let running = self.running.iter().map(|it| length(it.names));
        running.chain(self.done.iter().map(|it| it.bytes)).sum()
    }

    fn make_room(&mut self, bytes: usize) -> bool {
        let running: usize = self.running.iter().map(|it| length(it.names)).sum();
        if self.running.len() == ENTRIES || running + bytes > BYTES {
            return false;
        }
        while self.running.len() + self.done.len() == ENTRIES || self.bytes() + bytes > BYTES {
            self.done.remove(0);
        }
        true
    }

    fn look(&mut self, results: &Arc<Results>, names: Names, input: u8) {
        let now = self.now;
        self.done.retain(|known| known.until > now);
        let look = results.look(names.0, names.1, &[input; 9], Duration::from_secs(now));
        if let Some(known) = self.done.iter().find(|it| it.names == names) {
            match look {
                Look::Done(found) if input == known.input => assert_eq!(shown(&found), known.shown),
                Look::OtherInput => assert_ne!(input, known.input),
                look => panic!("{look:?}, but it is known: {known:?}"),
            }
        } else if let Some(running) = self.running.iter_mut().find(|it| it.names == names) {
            match look {
                Look::Running(outcome) if input == running.input => running.waiting.push(outcome),
                Look::OtherInput => assert_ne!(input, running.input),
                look => panic!("{look:?}, but it is under way"),
            }
        } else {
            match (look, self.make_room(length(names))) {
                (Look::Fresh(ticket), true) => self.running.push(Running {
                    names,
                    input,
                    ticket,
                    waiting: Vec::new(),
                }),
                (Look::Full, false) => {}
                (look, has_room) => panic!("{look:?}, and there is room: {has_room}"),
            }
        }
    }

    fn take(&mut self, ticket: Index) -> Option<Running> {
        (!self.running.is_empty()).then(|| self.running.remove(ticket.index(self.running.len())))
    }

    fn finish(&mut self, ticket: Index, outcome: &Outcome, size: usize, is_kept: bool) {
        let Some(running) = self.take(ticket) else {
            return;
        };
        running
            .ticket
            .finish(outcome, Duration::from_secs(self.now));
        for waiting in running.waiting {
            let told = waiting.borrow().as_ref().map(shown);
            assert_eq!(told, Some(shown(outcome)), "who waits is told");
        }
        let bytes = length(running.names) + size;
        if is_kept && self.make_room(bytes) {
            self.done.push(Known {
                names: running.names,
                input: running.input,
                shown: shown(outcome),
                bytes,
                until: self.now + TIME,
            });
        }
    }

    fn give_up(&mut self, ticket: Index) {
        let Some(running) = self.take(ticket) else {
            return;
        };
        drop(running.ticket);
        for waiting in running.waiting {
            assert!(waiting.borrow().is_none());
            assert!(waiting.has_changed().is_err(), "who waits is woken");
        }
    }
}

fn results(results: u32, bytes: u64) -> Arc<Results> {
    Arc::new(Results::new(Remember {
        results,
        bytes,
        time: Duration::from_secs(TIME),
    }))
}

proptest! {
    #[test]
    fn does_as_the_model_does(steps in steps()) {
        let results = results(ENTRIES as u32, BYTES as u64);
        let mut model = Model::default();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Wait(time) => model.now += time,
                Step::Look { caller, key, input } => {
                    let names = (["ab", "a"][caller], ["c", "bc", "", "a-long-key-indeed"][key]);
                    model.look(&results, names, input);
                }
                Step::Finish { ticket, size } => {
                    let headers = size / 3;
                    let mut outcome = Outcome::ok(0, vec![number as u8; size - headers].into());
                    outcome.headers = vec![7; headers].into();
                    model.finish(ticket, &outcome, size, true);
                }
                Step::Fail { ticket, kind } => {
                    let error = Error::new(kind, "no").from_plugin("a");
                    let size = error.to_document().len();
                    let is_kept = matches!(kind, ErrorKind::NotFound | ErrorKind::Failed);
                    model.finish(ticket, &error.into(), size, is_kept);
                }
                Step::Drop { ticket } => model.give_up(ticket),
            }
            let held = results.memory.lock().held();
            prop_assert_eq!(held, (model.running.len() + model.done.len(), model.bytes() as u64));
            prop_assert!(held.0 <= ENTRIES && held.1 <= BYTES as u64);
        }
    }
}

#[test]
fn only_what_would_end_so_again_is_kept() {
    let kinds = (1..=64).map(ErrorKind::from_code);
    let refusals =
        kinds.filter(|kind| is_definite(&Error::new(*kind, "no").from_plugin("a").into()));
    let known = refusals.filter(|kind| !matches!(kind, ErrorKind::Other(_)));
    let labels: Vec<_> = known.map(ErrorKind::label).collect();
    assert_eq!(
        labels.join(" "),
        "failed invalid-input not-found denied conflict too-large unsupported invalid-output"
    );
    assert!(is_definite(&Outcome::ok(0, Payload::empty())));
    let no_plugins = Error::new(ErrorKind::InvalidInput, "no").into();
    assert!(!is_definite(&no_plugins), "nobody was asked");
}

#[test]
fn other_bounds_leave_the_newest() {
    let results = results(9, 999);
    let finish = |key: &str| match results.look("a", key, b"", Duration::ZERO) {
        Look::Fresh(ticket) => ticket.finish(&Outcome::ok(0, Payload::empty()), Duration::ZERO),
        other => panic!("{other:?}"),
    };
    ["k1", "k2", "k3"].into_iter().for_each(finish);
    let running = results.look("a", "k4", b"", Duration::ZERO);
    results.limit(Remember {
        results: 2,
        bytes: 999,
        time: Duration::from_secs(TIME),
    });
    assert_eq!(results.memory.lock().held().0, 2);
    for (key, is_known) in [("k3", true), ("k4", true), ("k1", false)] {
        let look = results.look("a", key, b"", Duration::ZERO);
        let is_fresh = matches!(look, Look::Fresh(_) | Look::Full);
        assert_eq!(!is_fresh, is_known, "{key}");
    }
    drop(running);
}

#[test]
fn clocks_that_were_read_in_another_order_keep_the_order() {
    let results = results(9, 999);
    let look = |key, at| results.look("a", key, b"", Duration::from_secs(at));
    let finish = |key, at| match look(key, 1) {
        Look::Fresh(ticket) => {
            ticket.finish(&Outcome::ok(0, Payload::empty()), Duration::from_secs(at))
        }
        look => panic!("{look:?}"),
    };
    finish("late", 10);
    finish("early", 2);
    assert_eq!(results.len(), 2);
    assert!(matches!(look("early", TIME + 9), Look::Done(_)));
    assert!(matches!(look("early", TIME + 10), Look::Fresh(_)));
}

/// Each of the threads does each call, or waits for who does it; some give up at first.
#[test]
fn threads_do_each_call_once() {
    const CALLS: usize = 300;
    const THREADS: usize = 4;
    let results = results(u32::MAX, u64::MAX);
    let done: Vec<_> = (0..CALLS).map(|_| AtomicU32::new(0)).collect();
    let under_way: Vec<_> = (0..CALLS).map(|_| AtomicU32::new(0)).collect();
    let given_up: Vec<_> = (0..CALLS).map(|_| AtomicU32::new(0)).collect();
    let answer = |call: usize| Outcome::ok(0, call.to_string().into_bytes().into());
    let once = |call: usize| match results.look("a", &call.to_string(), b"", Duration::ZERO) {
        Look::Fresh(ticket) => {
            assert_eq!(
                under_way[call].fetch_add(1, SeqCst),
                0,
                "a second at the same time"
            );
            let gives_up = !call.is_multiple_of(3) && given_up[call].fetch_add(1, SeqCst) == 0;
            under_way[call].fetch_sub(1, SeqCst);
            if gives_up {
                drop(ticket);
                return None;
            }
            done[call].fetch_add(1, SeqCst);
            ticket.finish(&answer(call), Duration::ZERO);
            Some(answer(call))
        }
        Look::Running(mut outcome) => {
            let told = block_on(outcome.wait_for(Option::is_some));
            told.ok().and_then(|told| told.clone())
        }
        Look::Done(outcome) => Some(outcome),
        look => panic!("{look:?}"),
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for call in 0..CALLS {
                    let outcome = std::iter::repeat_with(|| once(call)).find_map(|it| it);
                    assert_eq!(outcome.as_ref().map(shown), Some(shown(&answer(call))));
                }
            });
        }
    });
    assert!(done.iter().all(|done| done.load(SeqCst) == 1));
}
