//! Finds the subscriptions that match a topic; the rules for names are those of `octa_loader`.

use std::collections::{BTreeMap, HashMap};

use octa_loader::Pattern;

/// A trie of patterns by segment, with what was entered under each, by key.
#[derive(Debug)]
pub(super) struct Matcher<K, T> {
    root: Node<K, T>,
}

#[derive(Debug)]
struct Node<K, T> {
    exact: HashMap<Box<str>, Node<K, T>>,
    /// Below `*`.
    any: Option<Box<Node<K, T>>>,
    /// Patterns that end here. Trees, so that one of very many is quickly taken out.
    here: BTreeMap<K, T>,
    /// Patterns that end here with `**`.
    rest: BTreeMap<K, T>,
}

impl<K, T> Default for Matcher<K, T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
        }
    }
}

impl<K, T> Default for Node<K, T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            any: None,
            here: BTreeMap::new(),
            rest: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Copy, T: Clone> Matcher<K, T> {
    /// Enters a value under a pattern.
    pub(super) fn insert(&mut self, pattern: &Pattern, key: K, value: T) {
        self.root.insert(pattern.segments(), key, value);
    }

    /// Takes out what was entered with this key under this pattern.
    pub(super) fn remove(&mut self, pattern: &Pattern, key: K) {
        self.root.remove(pattern.segments(), key);
    }

    /// Everything whose pattern matches, in the order of the keys.
    pub(super) fn matches(&self, topic: &str) -> Vec<T> {
        let mut found = Vec::new();
        self.root.collect(Some(topic), &mut found);
        found.sort_unstable_by_key(|(key, _)| **key);
        found.into_iter().map(|(_, value)| value.clone()).collect()
    }
}

impl<K: Ord, T> Node<K, T> {
    fn insert<'a>(&mut self, mut segments: impl Iterator<Item = &'a str>, key: K, value: T) {
        match segments.next() {
            None => drop(self.here.insert(key, value)),
            Some("**") => drop(self.rest.insert(key, value)),
            Some("*") => self
                .any
                .get_or_insert_default()
                .insert(segments, key, value),
            Some(name) => {
                let child = self.exact.entry(name.into()).or_default();
                child.insert(segments, key, value);
            }
        }
    }

    fn remove<'a>(&mut self, mut segments: impl Iterator<Item = &'a str>, key: K) {
        match segments.next() {
            None => drop(self.here.remove(&key)),
            Some("**") => drop(self.rest.remove(&key)),
            Some("*") => {
                if let Some(child) = &mut self.any {
                    child.remove(segments, key);
                }
                self.any.take_if(|child| child.is_empty());
            }
            Some(name) => {
                if let Some(child) = self.exact.get_mut(name) {
                    child.remove(segments, key);
                    if child.is_empty() {
                        self.exact.remove(name);
                    }
                }
            }
        }
    }

    fn collect<'a>(&'a self, rest: Option<&str>, found: &mut Vec<(&'a K, &'a T)>) {
        let Some(rest) = rest else {
            found.extend(&self.here);
            return;
        };
        found.extend(&self.rest);
        let (name, below) = match rest.split_once('.') {
            Some((name, below)) => (name, Some(below)),
            None => (rest, None),
        };
        if let Some(child) = self.exact.get(name) {
            child.collect(below, found);
        }
        if let Some(child) = &self.any {
            child.collect(below, found);
        }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.any.is_none() && self.here.is_empty() && self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, cmp::Ordering};

    use super::*;

    const MANY: u64 = 100_000;

    thread_local! {
        /// How often keys were looked at.
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    /// A key that counts who looks at it.
    #[derive(Clone, Copy, Debug, Eq)]
    struct Key(u64);

    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            self.cmp(other).is_eq()
        }
    }

    impl PartialOrd for Key {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for Key {
        fn cmp(&self, other: &Self) -> Ordering {
            LOOKS.set(LOOKS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    fn looks(work: impl FnOnce()) -> u64 {
        let before = LOOKS.get();
        work();
        LOOKS.get() - before
    }

    fn pattern(text: &str) -> Pattern {
        text.parse().expect("a valid pattern")
    }

    fn check(text: &str, matching: &[&str], other: &[&str]) {
        let mut matcher = Matcher::default();
        matcher.insert(&pattern(text), 1, ());
        for topic in matching {
            assert_eq!(matcher.matches(topic).len(), 1, "`{text}` and `{topic}`");
        }
        for topic in other {
            assert_eq!(matcher.matches(topic).len(), 0, "`{text}` and `{topic}`");
        }
        matcher.remove(&pattern(text), 1);
        assert!(matcher.root.is_empty(), "`{text}` left something behind");
    }

    #[test]
    fn a_pattern_matches_what_it_says() {
        check("a", &["a"], &["b", "a.b", "aa"]);
        check("a.b", &["a.b"], &["a", "a.b.c", "b.a"]);
        check("*", &["a", "b"], &["a.b"]);
        check("a.*", &["a.b", "a.c"], &["a", "a.b.c", "b.b"]);
        check("*.b", &["a.b", "c.b"], &["b", "a.c", "a.b.b"]);
        check("a.*.c", &["a.b.c"], &["a.c", "a.b.b.c"]);
        check("**", &["a", "a.b", "a.b.c"], &[]);
        check("a.**", &["a.b", "a.b.c"], &["a", "b.a"]);
        check("*.**", &["a.b", "a.b.c"], &["a"]);
        check("a.*.**", &["a.b.c", "a.b.c.d"], &["a.b", "b.b.c"]);
    }

    #[test]
    fn several_matches_come_in_the_order_of_their_numbers() {
        let mut matcher = Matcher::default();
        let patterns = ["**", "a.b", "a.*", "*.b", "a.**", "a.c", "*.*"];
        for (number, text) in patterns.iter().enumerate().rev() {
            matcher.insert(&pattern(text), number as u64, number);
        }
        assert_eq!(matcher.matches("a.b"), [0, 1, 2, 3, 4, 6]);
    }

    /// Enters very many and takes them out again, in this order: each costs a look at a few.
    #[track_caller]
    fn check_many(name: impl Fn(u64) -> String, order: impl Iterator<Item = u64>) {
        const MOST: u64 = 100;
        let mut matcher = Matcher::default();
        for number in 0..MANY {
            let text = pattern(&name(number));
            let looked = looks(|| matcher.insert(&text, Key(number), ()));
            assert!(looked <= MOST, "{looked} to enter {number}");
        }
        for number in order {
            let text = pattern(&name(number));
            let looked = looks(|| matcher.remove(&text, Key(number)));
            assert!(looked <= MOST, "{looked} to take out {number}");
        }
        assert!(matcher.root.is_empty(), "something is left");
    }

    #[test]
    fn one_of_very_many_is_quickly_taken_out() {
        let scattered = || (0..MANY).map(|n| n * 7_919 % MANY);
        check_many(|_| "a.b".to_owned(), 0..MANY);
        check_many(|_| "a.*".to_owned(), (0..MANY).rev());
        check_many(|_| "a.**".to_owned(), scattered());
        check_many(|number| format!("a.{number}.*"), scattered());
        check_many(
            |number| format!("{}.{}", number % 300, number / 300),
            scattered(),
        );
    }

    #[test]
    fn one_in_a_hundred_of_very_many_is_found_by_looking_at_those() {
        let mut matcher = Matcher::default();
        for number in 0..MANY {
            let text = match number % 100 {
                0 => "room.*.light".to_owned(),
                other => format!("room.{number}.{other}.**"),
            };
            matcher.insert(&pattern(&text), Key(number), number);
        }
        let mut found = Vec::new();
        let looked = looks(|| found = matcher.matches("room.kitchen.light"));
        assert!(found.iter().copied().eq((0..MANY).step_by(100)));
        assert!(looked < 20 * MANY / 100, "{looked}");
        assert_eq!(looks(|| found = matcher.matches("room.7.7.on")), 0);
        assert_eq!(found, [7]);
    }

    #[test]
    fn removing_one_leaves_its_neighbours() {
        let mut matcher = Matcher::default();
        matcher.insert(&pattern("a.b"), 1, 1);
        matcher.insert(&pattern("a.b"), 2, 2);
        matcher.insert(&pattern("a.b.c"), 3, 3);
        matcher.remove(&pattern("a.b"), 1);
        assert_eq!(matcher.matches("a.b"), [2]);
        assert_eq!(matcher.matches("a.b.c"), [3]);
    }
}
