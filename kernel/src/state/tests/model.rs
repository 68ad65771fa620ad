//! Holds the state against a naive model: any course of operations leaves both with the same values, versions,
//! refusals and changes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const KEYS: [&str; 4] = ["a", "b", "ba", "bab"];
const PREFIXES: [&str; 4] = ["", "a", "b", "ba"];
/// Room for a few of the values below.
const ROOM: Quota = Quota { bytes: 40 };

#[derive(Debug, Clone)]
enum Op {
    Put {
        at: At,
        expect: Expectation,
        length: usize,
        seconds: Option<u64>,
    },
    Delete {
        at: At,
        expect: Expectation,
    },
    Get(At),
    List {
        namespace: usize,
        prefix: usize,
    },
    Usage,
    Advance(u64),
    ExpireDue,
    Watch {
        namespace: usize,
        prefix: usize,
    },
    /// Takes all that a watcher is to be told.
    Listen(usize),
    /// Lets another watcher go on in the place of this one.
    Resume(usize),
}

type At = (usize, usize);

#[derive(Debug, Clone)]
enum Expectation {
    Any,
    Absent,
    Present,
    Wrong,
}

#[derive(Debug, Clone)]
struct Found {
    value: String,
    version: u64,
    due: Option<u64>,
}

struct Pair {
    state: State,
    clock: VirtualClock,
    namespaces: [String; 2],
    now: u64,
    version: u64,
    records: Vec<(At, Found)>,
    /// All changes: where, and how they are told.
    changes: Vec<(At, String)>,
    watchers: Vec<(Watcher<State>, usize, usize, usize)>,
}

impl Pair {
    fn new() -> Self {
        let clock = VirtualClock::default();
        let state = State::new(Arc::new(clock.clone()), ROOM);
        // Of one shard, so that it is known which versions are taken.
        let shard = |name: &String| std::ptr::from_ref(state.shard(name));
        let first = "n".to_owned();
        let mut names = (0..).map(|number| format!("n{number}"));
        let second = names.find(|name| shard(name) == shard(&first));
        Self {
            namespaces: [first.clone(), second.expect("there are 32 shards")],
            state,
            clock,
            now: 0,
            version: 0,
            records: Vec::new(),
            changes: Vec::new(),
            watchers: Vec::new(),
        }
    }

    fn found(&self, at: At) -> Option<&Found> {
        let found = self.records.iter().find(|record| record.0 == at);
        found.map(|record| &record.1)
    }

    fn is_over(&self, found: &Found) -> bool {
        found.due.is_some_and(|due| due <= self.now)
    }

    fn remove(&mut self, at: At) {
        self.records.retain(|record| record.0 != at);
        self.version += 1;
        self.changes
            .push((at, format!("{}@{}", KEYS[at.1], self.version)));
    }

    fn expire_one(&mut self, at: At) {
        if self.found(at).is_some_and(|found| self.is_over(found)) {
            self.remove(at);
        }
    }

    /// Answers whether anything was due.
    fn expire_all(&mut self) -> bool {
        let over = self.records.iter().filter(|(_, found)| self.is_over(found));
        let mut over: Vec<_> = over.map(|(at, found)| (found.due, *at)).collect();
        over.sort_by_key(|(due, at)| (*due, &self.namespaces[at.0], KEYS[at.1]));
        for (_, at) in &over {
            self.remove(*at);
        }
        !over.is_empty()
    }

    fn expect(&self, at: At, expect: &Expectation) -> Expect {
        let version = self.found(at).map_or(77_777, |found| found.version);
        match expect {
            Expectation::Any => Expect::Any,
            Expectation::Absent => Expect::Absent,
            Expectation::Present => Expect::Version(version),
            Expectation::Wrong => Expect::Version(version + 1),
        }
    }

    fn is_met(&self, at: At, expect: Expect) -> bool {
        match expect {
            Expect::Any => true,
            Expect::Absent => self.found(at).is_none(),
            Expect::Version(version) => self.found(at).is_some_and(|it| it.version == version),
        }
    }

    fn usage(&self, namespace: usize) -> Usage {
        let all = self.records.iter().filter(|(at, _)| at.0 == namespace);
        all.fold(Usage::default(), |usage, (at, found)| Usage {
            records: usage.records + 1,
            bytes: usage.bytes + (KEYS[at.1].len() + found.value.len()) as u64,
        })
    }

    /// Whether the namespace would be too large.
    fn is_too_much(&self, at: At, value: &str) -> bool {
        let now = self.usage(at.0).bytes;
        let bytes = |value: &str| (KEYS[at.1].len() + value.len()) as u64;
        let before = self.found(at).map_or(0, |found| bytes(&found.value));
        now - before + bytes(value) > ROOM.bytes
    }

    fn put(&mut self, at: At, expect: Expect, value: String, due: Option<u64>) -> &'static str {
        self.expire_one(at);
        if !self.is_met(at, expect) {
            return "conflict";
        }
        if self.is_too_much(at, &value) && (!self.expire_all() || self.is_too_much(at, &value)) {
            return "quota";
        }
        self.version += 1;
        let (version, key) = (self.version, KEYS[at.1]);
        self.changes.push((at, format!("{key}={value}@{version}")));
        self.records.retain(|record| record.0 != at);
        let found = Found {
            value,
            version,
            due,
        };
        self.records.push((at, found));
        "written"
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Put {
                at,
                expect,
                length,
                seconds,
            } => {
                let expect = self.expect(*at, expect);
                let value = "1".repeat(*length);
                let (namespace, key) = (&*self.namespaces[at.0], KEYS[at.1]);
                let wrote = match seconds {
                    Some(seconds) => {
                        let time = Duration::from_secs(*seconds);
                        let value = json(&value);
                        self.state.set_for(namespace, key, expect, value, time)
                    }
                    None => self
                        .state
                        .compare_and_set(namespace, key, expect, json(&value)),
                };
                let due = seconds.map(|seconds| self.now + seconds);
                let expect = self.put(*at, expect, value, due);
                match wrote {
                    Ok(version) => assert_eq!((version, "written"), (self.version, expect)),
                    Err(StateError::Conflict(_)) => assert_eq!(expect, "conflict"),
                    Err(StateError::Quota(_)) => assert_eq!(expect, "quota"),
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Delete { at, expect } => self.delete(*at, expect),
            Op::Get(at) => {
                let found = self.state.get(&self.namespaces[at.0], KEYS[at.1]);
                let found = found
                    .expect("valid")
                    .map(|it| (text(&it.value), it.version));
                let expect = self.found(*at).filter(|found| !self.is_over(found));
                assert_eq!(found, expect.map(|it| (it.value.clone(), it.version)));
            }
            Op::List { namespace, prefix } => self.list(*namespace, PREFIXES[*prefix]),
            Op::Usage => {
                self.expire_all();
                let expect = [0, 1].map(|it| (Arc::from(&*self.namespaces[it]), self.usage(it)));
                let expect = expect.into_iter().filter(|(_, usage)| usage.records > 0);
                assert_eq!(self.state.usage(), expect.collect::<Vec<_>>());
            }
            Op::Advance(seconds) => {
                self.clock.advance(Duration::from_secs(*seconds));
                self.now += seconds;
            }
            Op::ExpireDue => {
                self.state.expire_due();
                self.expire_all();
                let dues = self.records.iter().filter_map(|(_, found)| found.due);
                let next = dues.min().map(|due| Duration::from_secs(due - self.now));
                let found = self.state.next_expiry();
                assert_eq!(found.map(|at| at - self.clock.monotonic()), next);
            }
            Op::Watch { namespace, prefix } => {
                let watcher = watch(&self.state, &self.namespaces[*namespace], PREFIXES[*prefix]);
                let from = self.changes.len();
                self.watchers.push((watcher, *namespace, *prefix, from));
            }
            Op::Listen(which) => self.listen(*which),
            Op::Resume(which) => self.resume(*which),
        }
    }

    fn delete(&mut self, at: At, expect: &Expectation) {
        let expect = self.expect(at, expect);
        let (namespace, key) = (&self.namespaces[at.0], KEYS[at.1]);
        let deleted = self.state.compare_and_delete(namespace, key, expect);
        self.expire_one(at);
        let is_met = self.is_met(at, expect);
        let is_there = self.found(at).is_some();
        assert_eq!(deleted.ok(), is_met.then_some(is_there));
        if is_met && is_there {
            self.remove(at);
        }
    }

    fn list(&mut self, namespace: usize, prefix: &str) {
        let name = self.namespaces[namespace].clone();
        let page = self.state.list(Query::new(&name, prefix).expect("valid"));
        self.expire_all();
        let records = self.records.iter();
        let expect = records.filter(|(at, _)| at.0 == namespace && KEYS[at.1].starts_with(prefix));
        let mut expect: Vec<_> = expect.map(|(at, it)| (KEYS[at.1], it.version)).collect();
        expect.sort_unstable();
        let found = page.entries.iter().map(|it| (&*it.key, it.record.version));
        assert_eq!(found.collect::<Vec<_>>(), expect);
    }

    fn listen(&mut self, which: usize) {
        let count = self.watchers.len();
        let Some((watcher, namespace, prefix, from)) = self.watchers.get_mut(which % count.max(1))
        else {
            return;
        };
        let expect: Vec<_> = self.changes[*from..]
            .iter()
            .filter(|(at, _)| at.0 == *namespace && KEYS[at.1].starts_with(PREFIXES[*prefix]))
            .map(|(_, change)| change.clone())
            .collect();
        *from = self.changes.len();
        assert_eq!(told(watcher), expect);
    }

    fn resume(&mut self, which: usize) {
        let count = self.watchers.len();
        if let Some((watcher, namespace, prefix, _)) = self.watchers.get_mut(which % count.max(1)) {
            let (name, prefix) = (&self.namespaces[*namespace], PREFIXES[*prefix]);
            let resumed = at_once(self.state.watch_after(name, prefix, watcher.version()));
            *watcher = resumed.expect("answered at once").expect("valid");
        }
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let at = || (0..2_usize, 0..KEYS.len());
    let expect = || {
        prop_oneof![
            4 => Just(Expectation::Any),
            1 => Just(Expectation::Absent),
            2 => Just(Expectation::Present),
            1 => Just(Expectation::Wrong),
        ]
    };
    let put = (at(), expect(), 1..16_usize, prop::option::of(0..4_u64));
    let put = put.prop_map(|(at, expect, length, seconds)| Op::Put {
        at,
        expect,
        length,
        seconds,
    });
    let some = || (0..2_usize, 0..PREFIXES.len());
    let op = prop_oneof![
        8 => put,
        3 => (at(), expect()).prop_map(|(at, expect)| Op::Delete { at, expect }),
        3 => at().prop_map(Op::Get),
        2 => some().prop_map(|(namespace, prefix)| Op::List { namespace, prefix }),
        1 => Just(Op::Usage),
        4 => (0..3_u64).prop_map(Op::Advance),
        1 => Just(Op::ExpireDue),
        1 => some().prop_map(|(namespace, prefix)| Op::Watch { namespace, prefix }),
        2 => (0..8_usize).prop_map(Op::Listen),
        1 => (0..8_usize).prop_map(Op::Resume),
    ];
    vec(op, 1..120)
}

proptest! {
    #[test]
    fn behaves_like_the_model(ops in ops()) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.step(op);
        }
        for which in 0..pair.watchers.len() {
            pair.listen(which);
        }
    }
}
