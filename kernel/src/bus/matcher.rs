//! Finds the subscriptions that match a topic; the rules for names are those of `octa_loader`.

use std::collections::HashMap;

use octa_loader::Pattern;

/// A trie of patterns by segment, with what was entered under each.
#[derive(Debug)]
pub(super) struct Matcher<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    exact: HashMap<Box<str>, Node<T>>,
    /// Below `*`.
    any: Option<Box<Node<T>>>,
    /// Patterns that end here.
    here: Vec<(u64, T)>,
    /// Patterns that end here with `**`.
    rest: Vec<(u64, T)>,
}

impl<T> Default for Matcher<T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            any: None,
            here: Vec::new(),
            rest: Vec::new(),
        }
    }
}

impl<T: Clone> Matcher<T> {
    /// Enters `value` as number `number` under a pattern.
    pub(super) fn insert(&mut self, pattern: &Pattern, number: u64, value: T) {
        self.root.insert(pattern.segments(), number, value);
    }

    /// Takes out what was entered as `number` under this pattern.
    pub(super) fn remove(&mut self, pattern: &Pattern, number: u64) {
        self.root.remove(pattern.segments(), number);
    }

    /// Everything whose pattern matches, in the order of the numbers.
    pub(super) fn matches(&self, topic: &str) -> Vec<T> {
        let mut found = Vec::new();
        self.root.collect(Some(topic), &mut found);
        found.sort_unstable_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, value)| value.clone()).collect()
    }
}

impl<T> Node<T> {
    fn insert<'a>(&mut self, mut segments: impl Iterator<Item = &'a str>, number: u64, value: T) {
        match segments.next() {
            None => self.here.push((number, value)),
            Some("**") => self.rest.push((number, value)),
            Some("*") => self
                .any
                .get_or_insert_default()
                .insert(segments, number, value),
            Some(name) => {
                let child = self.exact.entry(name.into()).or_default();
                child.insert(segments, number, value);
            }
        }
    }

    fn remove<'a>(&mut self, mut segments: impl Iterator<Item = &'a str>, number: u64) {
        match segments.next() {
            None => self.here.retain(|entry| entry.0 != number),
            Some("**") => self.rest.retain(|entry| entry.0 != number),
            Some("*") => {
                if let Some(child) = &mut self.any {
                    child.remove(segments, number);
                }
                self.any.take_if(|child| child.is_empty());
            }
            Some(name) => {
                if let Some(child) = self.exact.get_mut(name) {
                    child.remove(segments, number);
                    if child.is_empty() {
                        self.exact.remove(name);
                    }
                }
            }
        }
    }

    fn collect<'a>(&'a self, rest: Option<&str>, found: &mut Vec<&'a (u64, T)>) {
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
    use super::*;

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
