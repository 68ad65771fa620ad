//! What came with the opening of a library: itself, and libraries that it brought along.

use std::{collections::HashSet, mem, ops::Range, path::Path};

use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL};

use super::{
    objects::{self, Facts, Object},
    table,
};
use crate::{inside::Owner, unload::KeptCause};

/// What an opening found.
pub(super) struct Opened {
    /// The library itself.
    pub(super) own: Option<Object>,
    /// Where it lies, and all that goes when it goes.
    pub(super) spans: Vec<Range<usize>>,
    /// Why it will stay for good.
    pub(super) stays: Option<KeptCause>,
}

/// Looks what has come with a library since `before`.
pub(super) fn look(owner: Owner, path: &Path, before: &[Object], brought: &mut Brought) -> Opened {
    let known: HashSet<usize> = before.iter().map(|object| object.span.start).collect();
    let mut new = objects::mapped();
    new.retain(|object| !known.contains(&object.span.start));
    let own = new.iter().position(|object| object.path == path);
    let own = own.map(|at| new.swap_remove(at));
    let facts = Facts::of(path);
    let stays = if own.is_none() {
        Some(KeptCause::NotInForce)
    } else if facts.stays {
        Some(KeptCause::NoDelete)
    } else {
        let unseen = |function: &String| KeptCause::Unseen {
            function: function.clone(),
        };
        facts.unseen.as_ref().map(unseen)
    };
    brought.follow(owner, facts.needs, new);
    let companions = brought
        .0
        .iter()
        .filter(|companion| companion.owner == owner);
    let objects = own
        .iter()
        .chain(companions.map(|companion| &companion.object));
    let spans = objects.map(|object| object.span.clone()).collect();
    Opened { own, spans, stays }
}

/// The libraries that others brought along, while only those need them.
pub(super) struct Brought(Vec<Companion>);

struct Companion {
    owner: Owner,
    object: Object,
    facts: Facts,
}

impl Brought {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Follows what a library needs: what is new goes with it, unless it stays by itself; what
    /// another one brought along is the process's from now on, since both need it.
    fn follow(&mut self, owner: Owner, mut needs: Vec<Vec<u8>>, new: Vec<Object>) {
        let companion = |object: Object| Companion {
            owner,
            facts: Facts::of(&object.path),
            object,
        };
        let mut new: Vec<_> = new.into_iter().map(companion).collect();
        while let Some(name) = needs.pop() {
            if let Some(at) = position(&self.0, &name, |found| found.owner != owner) {
                let shared = self.0.swap_remove(at);
                table::with(|table| table.keep(shared.object.span.start));
                pin(&shared.object);
                needs.extend(shared.facts.needs);
            } else if let Some(at) = position(&new, &name, |_| true) {
                let found = new.swap_remove(at);
                needs.extend_from_slice(&found.facts.needs);
                if found.facts.cannot_go() {
                    pin(&found.object);
                } else {
                    self.0.push(found);
                }
            }
        }
    }

    /// A library was closed. What it brought along and something else holds stays.
    pub(super) fn leave(&mut self, owner: Owner) {
        let (left, others) = mem::take(&mut self.0)
            .into_iter()
            .partition(|c| c.owner == owner);
        self.0 = others;
        let left: Vec<Companion> = left;
        if left.is_empty() {
            return;
        }
        let mapped = objects::mapped();
        for Companion { object, .. } in left {
            if mapped.contains(&object) {
                log::info!("library `{}` stays mapped", object.path.display());
                table::with(|table| table.keep(object.span.start));
                pin(&object);
            }
        }
    }
}

fn position(
    companions: &[Companion],
    name: &[u8],
    wanted: impl Fn(&Companion) -> bool,
) -> Option<usize> {
    let called = |c: &Companion| c.facts.is_called(&c.object.path, name);
    companions.iter().position(|c| wanted(c) && called(c))
}

/// Has a library stay mapped for good, whoever else closes it.
pub(super) fn pin(object: &Object) {
    const PIN: i32 = RTLD_LAZY | RTLD_LOCAL | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
    // SAFETY: it is mapped already, so none of its constructors run.
    match unsafe { Library::open(Some(&object.path), PIN) } {
        Ok(library) => mem::forget(library),
        Err(error) => log::warn!("library `{}` may not stay: {error}", object.path.display()),
    }
}
