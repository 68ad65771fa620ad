//! The steps of a random course: plain data that can be shown, left out and taken again.

use super::super::{Batch, Change, Expect, Invalid, Quota};
use super::json;
use super::model::Model;
use super::random::Random;

const NAMESPACES: [&str; 4] = ["a", "A", "a.b", "z_-9"];
const PREFIXES: [&str; 5] = ["", "k", "k/", "\u{10FFFF}", "q"];
const KEYS: [&str; 8] = ["k", "k/", "k/1", "k/2", "l", "%", "ж", "\u{10FFFF}/"];
/// The longest of these is larger than a page.
const LENGTHS: [usize; 16] = [
    0, 0, 0, 0, 1, 1, 1, 2, 5, 10, 10, 50, 100, 1_000, 30_000, 400_000,
];

/// One thing that is done to the adapter and to the model.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Apply {
        writes: Vec<Wish>,
        bounds: Vec<Bound>,
    },
    Get {
        namespace: &'static str,
        key: Key,
    },
    List {
        namespace: &'static str,
        prefix: &'static str,
        after: Option<Key>,
        limit: usize,
    },
    Usage,
    /// Begins to watch, from now on or behind some of the latest changes.
    Watch {
        namespace: Option<&'static str>,
        prefix: &'static str,
        back: Option<usize>,
    },
    /// Hears what a watcher has not been told yet.
    Hear {
        watcher: usize,
    },
    Snapshot,
    /// Reads on in a snapshot.
    Read {
        snapshot: usize,
    },
    Drop {
        snapshot: usize,
    },
    /// Takes over changes of another database, twice if they are repeated.
    Replicate {
        changes: Vec<Copied>,
        beyond: u64,
        is_repeated: bool,
    },
    Reopen,
}

/// A write, before it is known what is there.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Put {
        namespace: &'static str,
        key: Key,
        expect: Guess,
        length: usize,
    },
    Append {
        namespace: &'static str,
        prefix: &'static str,
        length: usize,
    },
    Delete {
        namespace: &'static str,
        key: Key,
        expect: Guess,
    },
}

/// A key by its name, or one of those that are there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    Named(&'static str),
    There(usize),
}

/// What a write expects, measured by what is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Guess {
    Any,
    Absent,
    Current,
    Stale,
    /// The version that the batch itself may have given.
    Soon(u64),
}

/// A quota so many bytes above or below what is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    namespace: &'static str,
    room: i64,
}

/// A change of another database: how many versions it is above the one before, and the length of its value.
#[derive(Clone, Debug)]
pub(super) struct Copied {
    namespace: &'static str,
    key: Key,
    above: u64,
    length: Option<usize>,
}

impl Step {
    pub(super) fn random(random: &mut Random, may_reopen: bool) -> Self {
        let namespace = random.pick(&NAMESPACES);
        match random.below(32) {
            0..14 => Self::Apply {
                writes: wishes(random),
                bounds: bounds(random),
            },
            14..16 => Self::Get {
                namespace,
                key: Key::random(random),
            },
            16..19 => Self::List {
                namespace,
                prefix: random.pick(&PREFIXES),
                after: random.one_in(2).then(|| Key::random(random)),
                limit: random.pick(&[1, 2, 3, 10, 1_000]),
            },
            19 => Self::Usage,
            20 => Self::Watch {
                namespace: (!random.one_in(3)).then_some(namespace),
                prefix: random.pick(&PREFIXES),
                back: random.one_in(2).then(|| random.below(20)),
            },
            21..25 => Self::Hear {
                watcher: random.below(8),
            },
            25 => Self::Snapshot,
            26..28 => Self::Read {
                snapshot: random.below(4),
            },
            28 => Self::Drop {
                snapshot: random.below(4),
            },
            29 => Self::Replicate {
                changes: (0..random.below(5))
                    .map(|_| Copied::random(random))
                    .collect(),
                beyond: random.pick(&[0, 0, 1, 50]),
                is_repeated: random.one_in(2),
            },
            _ if may_reopen => Self::Reopen,
            _ => Self::Hear {
                watcher: random.below(8),
            },
        }
    }
}

fn wishes(random: &mut Random) -> Vec<Wish> {
    let most = random.pick(&[1, 1, 1, 2, 4, 30]);
    let home = random.pick(&NAMESPACES);
    (0..random.below(most + 1))
        .map(|_| {
            let namespace = match random.one_in(4) {
                true => random.pick(&NAMESPACES),
                false => home,
            };
            match random.below(8) {
                0..4 => Wish::Put {
                    namespace,
                    key: Key::random(random),
                    expect: Guess::random(random),
                    length: random.pick(&LENGTHS),
                },
                4..6 => Wish::Append {
                    namespace,
                    prefix: random.pick(&PREFIXES[1..]),
                    length: random.pick(&LENGTHS),
                },
                _ => Wish::Delete {
                    namespace,
                    key: Key::random(random),
                    expect: Guess::random(random),
                },
            }
        })
        .collect()
}

fn bounds(random: &mut Random) -> Vec<Bound> {
    let count = random.pick(&[0, 0, 0, 1, 3]);
    let bound = |_| Bound {
        namespace: random.pick(&NAMESPACES),
        room: random.pick(&[-1_000, -1, 0, 3, 4, 5, 20, 100, 40_000]),
    };
    (0..count).map(bound).collect()
}

impl Key {
    fn random(random: &mut Random) -> Self {
        match random.one_in(3) {
            true => Self::There(random.below(64)),
            false => Self::Named(random.pick(&KEYS)),
        }
    }

    pub(super) fn name(self, namespace: &str, model: &Model) -> String {
        let keys = model.keys(namespace);
        match self {
            Self::There(nth) if !keys.is_empty() => keys[nth % keys.len()].to_owned(),
            Self::There(nth) => KEYS[nth % KEYS.len()].to_owned(),
            Self::Named(name) => name.to_owned(),
        }
    }
}

impl Guess {
    fn random(random: &mut Random) -> Self {
        match random.below(16) {
            0..8 => Self::Any,
            8..13 => Self::Current,
            13 => Self::Absent,
            14 => Self::Stale,
            _ => Self::Soon(1 + random.below(3) as u64),
        }
    }

    fn expect(self, namespace: &str, key: &str, model: &Model) -> Expect {
        let found = model.get(namespace, key).map(|record| record.version);
        match self {
            Self::Any => Expect::Any,
            Self::Absent => Expect::Absent,
            Self::Current => found.map_or(Expect::Absent, Expect::Version),
            Self::Stale => Expect::Version(found.unwrap_or(model.last_version()).saturating_sub(1)),
            Self::Soon(beyond) => Expect::Version(model.last_version() + beyond),
        }
    }
}

impl Copied {
    fn random(random: &mut Random) -> Self {
        Self {
            namespace: random.pick(&NAMESPACES),
            key: Key::random(random),
            above: random.pick(&[1, 1, 1, 7]),
            length: (!random.one_in(3)).then(|| random.pick(&LENGTHS)),
        }
    }
}

/// Makes the batch that is meant, on what the model holds.
pub(super) fn batch(writes: &[Wish], bounds: &[Bound], model: &Model) -> Result<Batch, Invalid> {
    let mut batch = Batch::new();
    for (nth, wish) in writes.iter().enumerate() {
        let tag = model.last_version() + nth as u64;
        match *wish {
            Wish::Put {
                namespace,
                key,
                expect,
                length,
            } => {
                let key = key.name(namespace, model);
                let expect = expect.expect(namespace, &key, model);
                batch.put(namespace, &key, expect, value(tag, length))?
            }
            Wish::Append {
                namespace,
                prefix,
                length,
            } => batch.append(namespace, prefix, value(tag, length))?,
            Wish::Delete {
                namespace,
                key,
                expect,
            } => {
                let key = key.name(namespace, model);
                let expect = expect.expect(namespace, &key, model);
                batch.delete(namespace, &key, expect)?
            }
        };
    }
    for Bound { namespace, room } in bounds {
        let bytes = model.bytes(namespace).saturating_add_signed(*room);
        batch.bound(*namespace, Quota { bytes });
    }
    Ok(batch)
}

/// The changes that are meant, each above the last version of the model.
pub(super) fn copied(changes: &[Copied], model: &Model) -> Vec<Change> {
    let mut version = model.last_version();
    changes
        .iter()
        .map(|copied| {
            version += copied.above;
            let key = copied.key.name(copied.namespace, model);
            let value = copied.length.map(|length| value(version, length));
            Change::new(copied.namespace, key, version, value)
        })
        .collect()
}

/// A value unlike those before it, and longer by `length`.
fn value(tag: u64, length: usize) -> octa_plugin_api::Payload {
    json(&format!("[{tag},\"{}\"]", "x".repeat(length)))
}
