//! A naive queue: lists, and the policies spelt out.

use std::collections::VecDeque;

use octa_loader::Overflow;

use crate::bus::Counters;

/// An event as the model knows it: publisher, sequence, topic.
pub(super) type Fact = (usize, u64, &'static str);

#[derive(Debug)]
pub(super) struct ModelQueue {
    pattern: &'static str,
    capacity: usize,
    overflow: Overflow,
    pub(super) open: bool,
    ended: bool,
    /// In the hands of a consumer, each with its place among all that were taken.
    pub(super) taken: Vec<(u64, Fact)>,
    places: u64,
    /// What was given back, by place; taken again before all others.
    returned: Vec<(u64, Fact)>,
    queued: Vec<Fact>,
    pub(super) waiting: VecDeque<Fact>,
    matched: u64,
    delivered: u64,
    dropped: u64,
}

impl ModelQueue {
    /// A queue that begins with what is retained.
    pub(super) fn new(
        pattern: &'static str,
        capacity: usize,
        overflow: Overflow,
        retained: &[Fact],
    ) -> Self {
        let matching = retained.iter().filter(|fact| naive_match(pattern, fact.2));
        let queued: Vec<Fact> = matching.copied().collect();
        Self {
            pattern,
            capacity,
            overflow,
            open: true,
            ended: false,
            taken: Vec::new(),
            places: 0,
            returned: Vec::new(),
            matched: queued.len() as u64,
            queued,
            waiting: VecDeque::new(),
            delivered: 0,
            dropped: 0,
        }
    }

    pub(super) fn offer(&mut self, fact: Fact) -> bool {
        if !self.open || !naive_match(self.pattern, fact.2) {
            return false;
        }
        self.matched += 1;
        if self.queued.len() < self.capacity {
            self.queued.push(fact);
        } else {
            self.overflow(fact);
        }
        true
    }

    fn overflow(&mut self, fact: Fact) {
        if self.overflow == Overflow::BackPressure {
            self.waiting.push_back(fact);
            return;
        }
        self.queued.push(fact);
        self.dropped += 1;
        let superseded = |index: &usize| {
            let later = &self.queued[index + 1..];
            later.iter().any(|other| other.2 == self.queued[*index].2)
        };
        let last = self.queued.len() - 1;
        let victim = match self.overflow {
            Overflow::DropNewest => last,
            Overflow::KeepLatest => (0..last).find(superseded).unwrap_or(0),
            _ => 0,
        };
        self.queued.remove(victim);
    }

    pub(super) fn receive(&mut self) -> Option<(u64, Fact)> {
        if self.returned.is_empty() && self.queued.is_empty() {
            return None;
        }
        self.delivered += 1;
        if !self.returned.is_empty() {
            return Some(self.returned.remove(0));
        }
        let first = self.queued.remove(0);
        self.admit(1);
        self.places += 1;
        Some((self.places, first))
    }

    /// Lets in so many at most of those that wait, as far as there is room.
    fn admit(&mut self, most: usize) {
        let room = self.capacity.saturating_sub(self.queued.len()).min(most);
        let admitted = room.min(self.waiting.len());
        self.queued.extend(self.waiting.drain(..admitted));
    }

    pub(super) fn give_back(&mut self, from: usize) {
        let given = self.taken.split_off(from.min(self.taken.len()));
        self.delivered -= given.len() as u64;
        if self.ended {
            self.dropped += given.len() as u64;
            return;
        }
        self.returned.extend(given);
        self.returned.sort_unstable();
    }

    pub(super) fn reshape(&mut self, capacity: usize, overflow: Overflow) {
        (self.capacity, self.overflow) = (capacity, overflow);
        if overflow != Overflow::BackPressure {
            self.queued.extend(self.waiting.drain(..));
        }
        self.admit(usize::MAX);
    }

    pub(super) fn end(&mut self) {
        self.close();
        self.ended = true;
        self.dropped += (self.queued.len() + self.returned.len()) as u64;
        self.queued.clear();
        self.returned.clear();
    }

    pub(super) fn give_up(&mut self, fact: Fact) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != fact);
        self.dropped += (before - self.waiting.len()) as u64;
    }

    pub(super) fn close(&mut self) {
        self.open = false;
        self.dropped += self.waiting.drain(..).count() as u64;
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            matched: self.matched,
            delivered: self.delivered,
            dropped: self.dropped,
            queued: self.returned.len() + self.queued.len(),
            waiting: self.waiting.len(),
            ..Counters::default()
        }
    }
}

fn naive_match(pattern: &str, topic: &str) -> bool {
    match (pattern.split_once('.'), topic.split_once('.')) {
        _ if pattern == "**" => true,
        (None, None) => pattern == "*" || pattern == topic,
        (Some((wanted, pattern)), Some((found, topic))) => {
            (wanted == "*" || wanted == found) && naive_match(pattern, topic)
        }
        _ => false,
    }
}
