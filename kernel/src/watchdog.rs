//! Notices plugins whose code does not give its thread back, tells so, and has those given up that
//! never do.
//!
//! Who is inside is known to the loader; what becomes of a plugin is up to the manager. A thread
//! of its own does the looking, since all others may be the ones that are blocked.

mod told;

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use octa_loader::{
    Generation,
    presence::{Blocked, Caller, Entry, Watch, wake_watches},
};
use parking_lot::Mutex;

use crate::{
    bus::Publisher,
    manager::{Breakdown, Core, Event},
    pool::spawn_thread,
    reload::nanos,
    status::BlockedStatus,
};
use told::Told;

/// Looks after one kernel's plugins until it is ended. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Watchdog(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    /// By their number in the process. Of others, such as another kernel's, nothing is told.
    generations: Mutex<BTreeMap<u32, Known>>,
    /// What does not return, and was told.
    told: Mutex<BTreeMap<Entry, Told>>,
}

/// A generation as the manager knows it.
#[derive(Clone)]
struct Known {
    number: u64,
    /// There as long as anything of it runs.
    generation: Weak<Generation>,
    /// Its plugin was given up for it, which is to be said once.
    is_given_up: bool,
}

impl Watchdog {
    /// From now on this generation is looked after, which is its plugin's `number`-th.
    pub(crate) fn know(&self, generation: &Arc<Generation>, number: u64) {
        let known = Known {
            number,
            generation: Arc::downgrade(generation),
            is_given_up: false,
        };
        let mut generations = self.0.generations.lock();
        generations.retain(|_, known| known.generation.strong_count() > 0);
        generations.insert(generation.number(), known);
    }

    /// Begins to look.
    pub(crate) fn begin(&self, core: &Arc<Core>) {
        let (this, core) = (self.clone(), Arc::downgrade(core));
        spawn_thread("octa-watchdog", move || this.run(&core));
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
        wake_watches();
    }

    /// What of a plugin does not return, the oldest first.
    pub(crate) fn blocked(&self, plugin: &str) -> Vec<BlockedStatus> {
        let told = self.0.told.lock();
        let of_plugin = told.values().filter(|told| &*told.plugin == plugin);
        let mut blocked: Vec<_> = of_plugin.map(|told| told.status.clone()).collect();
        blocked.sort_by_key(|it| it.since);
        blocked
    }

    fn run(&self, core: &Weak<Core>) {
        let goes_on = || !self.0.ended.load(Ordering::SeqCst);
        let mut watch = Watch::new();
        let mut publisher = None;
        while goes_on() {
            let blocked = watch.look();
            let is_new = |it: &Blocked| !self.0.told.lock().contains_key(&it.entry);
            if blocked.iter().any(is_new) || !self.0.told.lock().is_empty() {
                let Some(core) = core.upgrade() else {
                    return;
                };
                let publisher =
                    publisher.get_or_insert_with(|| core.commons.bus.publisher("kernel"));
                self.tell(&blocked, &core, publisher);
            }
            watch.rest(goes_on);
        }
    }

    /// Tells who is blocked now and was not before, and who is not any more.
    fn tell(&self, blocked: &[Blocked], core: &Core, publisher: &Publisher) {
        for it in blocked {
            self.note(it, core, publisher);
        }
        let mut told = self.0.told.lock();
        let returned = told.extract_if(.., |entry, _| !blocked.iter().any(|it| it.entry == *entry));
        let returned: Vec<_> = returned.collect();
        drop(told);
        for (_, told) in returned {
            told.log_return();
            told::publish(publisher, told::UNBLOCKED, &told.event_of_return());
        }
    }

    fn note(&self, blocked: &Blocked, core: &Core, publisher: &Publisher) {
        let Some((number, generation)) = self.find(blocked.who.generation) else {
            return;
        };
        if !self.0.told.lock().contains_key(&blocked.entry) {
            let since = core.commons.clock.wall().saturating_sub(blocked.age);
            let callers = self.callers(blocked);
            let told = Told::new(blocked, &generation, number, callers, nanos(since));
            let event = told.event();
            told.log();
            self.0.told.lock().insert(blocked.entry, told);
            told::publish(publisher, told::BLOCKED, &event);
        }
        let mut all = self.0.told.lock();
        let Some(told) = all.get_mut(&blocked.entry) else {
            return;
        };
        told.age = blocked.age;
        let limit = core.config.load().kernel.stuck_after;
        if blocked.age >= limit && told.is_at_fault() && self.give_up(blocked.who.generation) {
            let name = generation.manifest().name.clone();
            let broke = Event::Broke(name, number, Breakdown::Stuck(told.stuck(limit)));
            drop(core.events.send(broke));
        }
    }

    /// Notes that a plugin is given up; false if it was before.
    fn give_up(&self, generation: u32) -> bool {
        let mut generations = self.0.generations.lock();
        let known = generations.get_mut(&generation);
        known.is_some_and(|known| !mem::replace(&mut known.is_given_up, true))
    }

    /// Who called what does not return, as far as this kernel knows them.
    fn callers(&self, blocked: &Blocked) -> Vec<String> {
        let name = |caller: &Caller| {
            let (_, generation) = self.find(caller.generation)?;
            Some(told::caller(&generation, caller.doing))
        };
        blocked.callers.iter().filter_map(name).collect()
    }

    fn find(&self, generation: u32) -> Option<(u64, Arc<Generation>)> {
        let known = self.0.generations.lock().get(&generation).cloned()?;
        Some((known.number, known.generation.upgrade()?))
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watchdog")
    }
}
