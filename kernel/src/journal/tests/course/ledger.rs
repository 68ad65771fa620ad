//! What was answered, told and consumed in all lives, and what is held against it.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

use super::*;

/// An answer.
#[derive(Debug)]
pub(super) enum Said {
    Fact(Value, Novelty, u64),
    Part(&'static str, Value, Gathered),
}

/// What has been seen from outside.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    heard: Option<Subscription>,
    /// The positions of the events of this life, in the order in which they were told.
    life: Vec<u64>,
    /// Those of all lives, each where it was told first, with what it said.
    told: Vec<(u64, Value)>,
    said: Vec<(usize, String, Said)>,
    consumers: [Consumed; STREAMS.len()],
    /// The facts of each stream when it was looked last.
    facts: [Vec<Fact>; STREAMS.len()],
}

#[derive(Debug, Default)]
struct Consumed {
    /// What was acknowledged before, which positions were given, and whether by one alone.
    batches: Vec<(u64, Vec<u64>, u64, bool)>,
    done: u64,
    attempted: u64,
}

impl Ledger {
    /// A life begins, in which this is heard.
    pub(super) fn begin(&self, heard: Subscription) {
        let mut seen = self.0.lock();
        seen.heard = Some(heard);
        seen.life.clear();
    }

    /// Takes in what was told so far, of which all must be committed.
    pub(super) fn look(&self, committed: u64) {
        let mut seen = self.0.lock();
        let heard = seen
            .heard
            .as_mut()
            .map(|heard| std::iter::from_fn(|| heard.try_recv()));
        let events: Vec<_> = heard.into_iter().flatten().collect();
        for event in events {
            let told: Value = serde_json::from_slice(&event.payload).expect("JSON");
            let position = told["position"].as_u64().expect("a position");
            // The fact, its mark, and the event.
            assert!(position + 2 <= committed, "told before its commit: {told}");
            seen.take_in(position, told);
        }
    }

    pub(super) fn said(&self, stream: usize, key: String, said: Said) {
        self.0.lock().said.push((stream, key, said));
    }

    pub(super) fn acknowledged(&self, stream: usize) -> u64 {
        self.0.lock().consumers[stream].done
    }

    pub(super) fn consumed(&self, stream: usize, before: u64, positions: Vec<u64>, alone: bool) {
        let consumed = &mut self.0.lock().consumers[stream];
        let attempted = consumed.attempted;
        consumed.batches.push((before, positions, attempted, alone));
    }

    pub(super) fn attempted(&self, stream: usize, position: u64) {
        let attempted = &mut self.0.lock().consumers[stream].attempted;
        *attempted = position.max(*attempted);
    }

    pub(super) fn done(&self, stream: usize, position: u64) {
        let done = &mut self.0.lock().consumers[stream].done;
        *done = position.max(*done);
    }

    /// Whether the consumers of all streams have come to the end.
    pub(super) async fn is_consumed(&self, bench: &Bench) -> bool {
        for (stream, name) in STREAMS.iter().enumerate() {
            let journal = bench
                .journals
                .journal("meters", name, "lamps")
                .expect("names");
            let facts = journal.facts(0, 1_000).await.expect("they are read");
            let last = facts.last().map_or(0, |fact| fact.position);
            // Also what was acknowledged without an answer.
            let done = journal.consumer("c").expect("a name").position().await;
            let done = done.expect("it is read");
            self.done(stream, done);
            if done < last {
                return false;
            }
        }
        true
    }

    /// Holds what is there after a life against what was said, told and consumed until now.
    pub(super) async fn check(&self, storage: &Storage) {
        let bench = Bench::new();
        let clock: Arc<dyn Clock> = Arc::new(bench.clock.clone());
        let runtime = Handle::current();
        let journals = Journals::new(storage, &bench.bus, &clock, &runtime, Neighbours::None);
        for (stream, name) in STREAMS.iter().enumerate() {
            let journal = journals.journal("meters", name, "lamps").expect("names");
            let facts = journal.facts(0, 1_000).await.expect("they are read");
            for fact in &facts {
                let found = journal.find(&fact.key).await.expect("it is read");
                assert_eq!(found.as_ref(), Some(fact), "a key finds its fact");
            }
            let unfinished = journal.unfinished(None, 1_000).await.expect("listed");
            for unfinished in &unfinished {
                let is_written = facts.iter().any(|fact| fact.key == unfinished.key);
                assert!(!is_written, "parts beside their whole: {unfinished:?}");
            }
            self.check_facts(stream, facts, &unfinished);
        }
    }

    fn check_facts(&self, stream: usize, facts: Vec<Fact>, unfinished: &[Unfinished]) {
        let mut seen = self.0.lock();
        let before = std::mem::take(&mut seen.facts[stream]);
        assert_eq!(
            facts[..before.len()],
            before,
            "what was there stays, and stays first"
        );
        let keys: BTreeSet<_> = facts.iter().map(|fact| &fact.key).collect();
        assert_eq!(keys.len(), facts.len(), "a key has two facts: {facts:?}");
        let by_key: BTreeMap<_, _> = facts.iter().map(|fact| (&*fact.key, fact)).collect();
        let mut news = BTreeMap::new();
        for (_, key, said) in seen.said.iter().filter(|(of, ..)| *of == stream) {
            let parts = unfinished.iter().find(|it| it.key == *key);
            let new = said.check(by_key.get(&**key).copied(), parts);
            *news.entry(key).or_insert(0) += usize::from(new);
        }
        assert!(news.values().all(|new| *new <= 1), "a fact was new twice");
        seen.consumers[stream].check(&facts);
        seen.facts[stream] = facts;
    }

    /// Nothing is left to be told or consumed.
    pub(super) fn check_end(&self) {
        let seen = self.0.lock();
        let told: Vec<_> = seen.told.iter().map(|(position, _)| *position).collect();
        let facts: Vec<_> = seen.facts[0].iter().map(|fact| fact.position).collect();
        assert_eq!(told, facts, "each fact is told of, in order");
        for ((_, told), fact) in seen.told.iter().zip(&seen.facts[0]) {
            assert_eq!(
                (&told["key"], &told["fact"]),
                (&json!(fact.key), &value(fact))
            );
        }
        for (consumed, facts) in seen.consumers.iter().zip(&seen.facts) {
            assert_eq!(consumed.done, facts.last().map_or(0, |fact| fact.position));
        }
    }
}

impl Seen {
    fn take_in(&mut self, position: u64, told: Value) {
        let last = self.life.last().copied().unwrap_or_default();
        assert!(position > last, "{position} was told behind {last}");
        self.life.push(position);
        match self
            .told
            .binary_search_by_key(&position, |(position, _)| *position)
        {
            Ok(at) => assert_eq!(self.told[at].1, told, "a repeat says the same"),
            Err(at) => {
                assert_eq!(at, self.told.len(), "{position} was left out before");
                self.told.push((position, told));
            }
        }
    }
}

impl Said {
    /// Holds an answer against the fact of its key; tells whether it claims to have written it.
    fn check(&self, fact: Option<&Fact>, parts: Option<&Unfinished>) -> bool {
        match self {
            Self::Fact(given, novelty, position) => {
                let fact = fact.expect("what was acknowledged is there");
                assert_eq!(fact.position, *position, "the position of `{}`", fact.key);
                assert_eq!(
                    value(fact) == *given,
                    *novelty != Novelty::Different,
                    "{self:?}"
                );
                *novelty == Novelty::New
            }
            Self::Part(name, given, gathered) => {
                let is_kept = parts.is_some_and(|it| it.found.iter().any(|it| it == name));
                assert!(fact.is_some() || is_kept, "a part is lost: {self:?}");
                let whole = fact.map(value).filter(Value::is_object);
                // Else parts wait, or somebody has recorded a fact in their place.
                if let Some(whole) = &whole {
                    let is_same = whole[*name] == *given;
                    assert_eq!(is_same, gathered.novelty != Novelty::Different, "{self:?}");
                }
                let Some(position) = gathered.position else {
                    assert!(!gathered.missing.is_empty());
                    return false;
                };
                assert_eq!(fact.map(|fact| fact.position), Some(position));
                gathered.novelty == Novelty::New
            }
        }
    }
}

impl Consumed {
    /// Each batch goes on where it was acknowledged, and leaves nothing out.
    fn check(&mut self, facts: &[Fact]) {
        let log: Vec<_> = facts.iter().map(|fact| fact.position).collect();
        for (before, positions, attempted, alone) in self.batches.drain(..) {
            let at = log.iter().position(|it| Some(it) == positions.first());
            let at = at.expect("what is consumed is there");
            assert_eq!(
                log[at..at + positions.len()],
                positions,
                "a fact was left out"
            );
            let done = at.checked_sub(1).map_or(0, |at| log[at]);
            assert!(done >= before, "{positions:?} again, behind {before}");
            // Two of one name acknowledge for each other.
            assert!(
                !alone || done <= attempted,
                "{positions:?} too early, {attempted} was tried"
            );
        }
    }
}
