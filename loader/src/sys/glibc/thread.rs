//! What this thread does for libraries that may be unmapped: it runs what they left on it, when
//! they are retired or when it ends, and is counted if it is theirs.

use std::{
    cell::Cell,
    ptr,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use libc::{c_int, c_void, pthread_key_t};

use super::{
    interposed,
    table::{self, Key, Local, Phase},
};
use crate::{
    inside::{self, Owner},
    presence::{Errand, Step},
};

/// How often values are destroyed that came while others were, as for any thread that ends.
const ROUNDS: usize = 4;

/// How many libraries have retired so far.
static RETIRED: AtomicUsize = AtomicUsize::new(0);

/// The key whose value makes [`at_exit`] run.
static EXIT: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The library that this thread belongs to.
    static OWNER: Cell<Owner> = const { Cell::new(Owner::PROCESS) };
    /// How much of `RETIRED` was tidied here.
    static TIDIED: Cell<usize> = const { Cell::new(0) };
    static TIDYING: Cell<bool> = const { Cell::new(false) };
    /// Whether [`before_exit`] will run.
    static ARMED: Cell<bool> = const { Cell::new(false) };
    /// Whether the last of this thread's destructors have run.
    static GONE: Cell<bool> = const { Cell::new(false) };
    static NUMBER: Cell<c_int> = const { Cell::new(0) };
}

/// Makes the key that tells of the end of threads; false if the system has none left.
pub(super) fn prepare() -> bool {
    let mut key = 0;
    // SAFETY: `key` is a place for a key; the destructor is a function of this program.
    let made = unsafe { interposed::make_key(&raw mut key, Some(at_exit)) } == 0;
    EXIT.store(key, Ordering::Release);
    made
}

/// The number of this thread; `None` once the last of its destructors have run.
pub(super) fn number() -> Option<c_int> {
    if NUMBER.get() == 0 {
        // SAFETY: asks for a number, and touches nothing.
        NUMBER.set(unsafe { libc::gettid() });
    }
    (!GONE.get()).then(|| NUMBER.get())
}

/// Whose code runs on this thread now.
pub(super) fn current() -> Owner {
    inside::owners().next().unwrap_or_else(|| OWNER.get())
}

/// Whether code of this owner called what runs on this thread.
pub(super) fn is_inside(owner: Owner) -> bool {
    inside::owners().any(|running| running == owner)
}

/// A library retired: each thread looks after its plugins' next entries.
pub(super) fn tell_retired() {
    RETIRED.fetch_add(1, Ordering::Release);
}

/// Looks after an entry of a plugin whether something retired since.
#[inline(always)]
pub(crate) fn after_plugin() {
    if RETIRED.load(Ordering::Relaxed) != TIDIED.get() {
        tidy();
    }
}

/// Destroys what retired libraries left on this thread.
#[cold]
fn tidy() {
    let told = RETIRED.load(Ordering::Acquire);
    let postponed = Cell::new(false);
    destroy(|owner, phase| {
        let inside = phase == Phase::Retired && is_inside(owner);
        postponed.set(postponed.get() || inside);
        phase == Phase::Retired && !inside && owner != OWNER.get()
    });
    if !postponed.get() && !TIDYING.get() {
        TIDIED.set(told);
    }
}

/// Destroys what one library left on this thread.
pub(super) fn tidy_after(owner: Owner) {
    if !is_inside(owner) && owner != OWNER.get() {
        destroy(|found, _| found == owner);
    }
}

/// Destroys what is left on this thread by libraries of these owners and phases, as the system
/// does for threads that end. Does nothing inside of itself.
fn destroy(wanted: impl Fn(Owner, Phase) -> bool) {
    let Some(thread) = number().filter(|_| !TIDYING.replace(true)) else {
        return;
    };
    for _ in 0..=ROUNDS {
        let local = || table::with(|table| table.take_local(thread, &wanted)).flatten();
        while let Some(local) = local() {
            destroy_local(thread, local);
        }
        let values = table::with(|table| table.take_values(thread, &wanted));
        let Some(values) = values.filter(|values| !values.is_empty()) else {
            break;
        };
        for (number, key) in values {
            destroy_value(thread, number, key);
        }
    }
    TIDYING.set(false);
}

fn destroy_local(thread: c_int, local: Local) {
    inside::run(local.owner, Errand::step(Step::Leavings), || {
        // SAFETY: as registered: once, on this thread; its library is there, because it is not
        // closed while a destructor of it counts as running.
        unsafe { (local.destructor)(local.argument) }
    });
    table::with(|table| table.destroyed(thread, local.owner));
}

fn destroy_value(thread: c_int, number: pthread_key_t, key: Key) {
    // SAFETY: any key may be asked for; one that is not there has no value.
    let value = unsafe { libc::pthread_getspecific(number) };
    if let Some(destructor) = key.destructor.filter(|_| !value.is_null()) {
        // SAFETY: a null value is always there.
        unsafe { interposed::set_value(number, ptr::null()) };
        // SAFETY: as for a thread-local; the value is this thread's own, and was taken out.
        inside::run(key.owner, Errand::step(Step::Leavings), || unsafe {
            destructor(value)
        });
    }
    table::with(|table| table.destroyed(thread, key.owner));
}

/// Has the hooks below run when this thread ends.
pub(super) fn arm() {
    if !ARMED.replace(true) {
        // SAFETY: the function is of this program, and takes anything.
        unsafe { interposed::register(before_exit, ptr::null_mut()) };
    }
    let exit = EXIT.load(Ordering::Acquire);
    // SAFETY: asks for a value.
    if unsafe { libc::pthread_getspecific(exit) }.is_null() {
        count_round(1);
    }
}

/// A thread of `owner` has begun, and is this one.
pub(super) fn begin(owner: Owner) {
    OWNER.set(owner);
    if let Some(number) = number() {
        table::with(|table| table.thread_begun(number, owner));
    }
    arm();
}

fn count_round(round: usize) {
    let value = ptr::without_provenance::<c_void>(round);
    // SAFETY: the value is a number, which only `at_exit` looks at.
    unsafe { interposed::set_value(EXIT.load(Ordering::Acquire), value) };
}

/// Runs with the destructors of the thread's own thread-locals, in their order: those of the
/// host that were made later have run, those made earlier can still be used.
unsafe extern "C" fn before_exit(_: *mut c_void) {
    ARMED.set(false);
    destroy(|_, _| true);
}

/// Runs in each of the rounds in which the system destroys the values of keys.
unsafe extern "C" fn at_exit(round: *mut c_void) {
    destroy(|_, _| true);
    let round = round.addr();
    if round < ROUNDS {
        return count_round(round + 1);
    }
    if let Some(number) = number() {
        table::with(|table| table.forget_thread(number));
    }
    GONE.set(true);
    // Last: from here on its library may go.
    table::with(|table| table.thread_ended(OWNER.get()));
}
