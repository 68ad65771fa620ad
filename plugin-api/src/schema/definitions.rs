//! The named types that a document refers to, in the order they are met.

use super::Definition;

/// How many there can be; a constant function cannot allocate.
const MAX: usize = 256;

/// The list; what stands from `count` on is of earlier documents.
pub(super) struct Definitions {
    entries: [Option<Entry>; MAX],
    count: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    definition: &'static Definition,
    /// Counts the types of one short name, from 1.
    number: u64,
}

impl Definitions {
    pub(super) const fn new() -> Self {
        Self {
            entries: [None; MAX],
            count: 0,
        }
    }

    pub(super) const fn clear(&mut self) {
        self.count = 0;
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The definition, and its number among those of its short name.
    pub(super) const fn get(&self, index: usize) -> (&'static Definition, u64) {
        match self.entries[index] {
            Some(Entry { definition, number }) => (definition, number),
            None => panic!("only what was entered has an index"),
        }
    }

    /// Where the definition stands, from now on if not before.
    pub(super) const fn enter(&mut self, definition: &'static Definition) -> usize {
        let (mut index, mut number) = (0, 1);
        while index < self.count {
            let (known, _) = self.get(index);
            if known.hash == definition.hash && equal(known.identity, definition.identity) {
                return index;
            }
            if equal(known.name, definition.name) {
                number += 1;
            }
            index += 1;
        }
        assert!(index < MAX, "a schema can refer to at most 256 named types");
        self.entries[index] = Some(Entry { definition, number });
        self.count += 1;
        index
    }
}

const fn equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len()
}
