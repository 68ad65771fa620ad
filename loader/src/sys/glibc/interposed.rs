//! The functions by which code leaves something behind on threads. The program defines them, so
//! the dynamic linker resolves those of plugins to them first; what is not a plugin's goes on to
//! the C library at once.
//!
//! They run on every thread of the program, from its first constructor on, and inside of its
//! allocator: they allocate for plugins only, and wait for nothing but the table.

use std::{
    ffi::CStr,
    mem,
    ops::Range,
    sync::atomic::{AtomicBool, AtomicPtr, Ordering},
};

use libc::{EAGAIN, c_int, c_void, pthread_attr_t, pthread_key_t, pthread_t};

use super::{
    table::{self, Beginning, Destructor, Table},
    thread,
};
use crate::inside::Owner;

type Start = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;
type RegisterLocal = unsafe extern "C" fn(Destructor, *mut c_void, *mut c_void) -> c_int;
type CreateKey = unsafe extern "C" fn(*mut pthread_key_t, Option<Destructor>) -> c_int;
type DeleteKey = unsafe extern "C" fn(pthread_key_t) -> c_int;
type SetValue = unsafe extern "C" fn(pthread_key_t, *const c_void) -> c_int;
type CreateThread =
    unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Start, *mut c_void) -> c_int;

/// A function of the C library, of type `F`, that one of ours stands before.
struct Real {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
}

impl Real {
    const fn new(name: &'static CStr) -> Self {
        let found = AtomicPtr::new(std::ptr::null_mut());
        Self { name, found }
    }

    fn address(&self) -> *mut c_void {
        let found = self.found.load(Ordering::Relaxed);
        if found.is_null() {
            return self.find();
        }
        found
    }

    #[cold]
    fn find(&self) -> *mut c_void {
        // SAFETY: the name is a C string; the answer is an address or null.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        self.found.store(found, Ordering::Relaxed);
        found
    }

    /// Whether plugins are led into `program`, and what lies there finds what it stands before.
    fn stands_behind(&self, program: &Range<usize>) -> bool {
        // SAFETY: the name is a C string; the answer is an address or null.
        let first = unsafe { libc::dlsym(libc::RTLD_DEFAULT, self.name.as_ptr()) };
        program.contains(&first.addr()) && !self.address().is_null()
    }
}

static REGISTER_LOCAL: Real = Real::new(c"__cxa_thread_atexit_impl");
static CREATE_KEY: Real = Real::new(c"pthread_key_create");
static DELETE_KEY: Real = Real::new(c"pthread_key_delete");
static SET_VALUE: Real = Real::new(c"pthread_setspecific");
static CREATE_THREAD: Real = Real::new(c"pthread_create");

/// Whether plugins are led to all of these functions, if `program` is the object that holds
/// them. They are not where that is a shared library which came after the C library.
pub(super) fn are_in_force(program: &Range<usize>) -> bool {
    let real = [
        &REGISTER_LOCAL,
        &CREATE_KEY,
        &DELETE_KEY,
        &SET_VALUE,
        &CREATE_THREAD,
    ];
    real.iter().all(|real| real.stands_behind(program))
}

/// An address in the object that holds this code. Not that of one of the functions above, which
/// may be led elsewhere here, too.
pub(super) fn address() -> usize {
    counted as *const () as usize
}

/// How many keys there can be.
const KEYS: usize = 1024;

/// The keys that libraries made: others' values concern nobody here.
static WATCHED: [AtomicBool; KEYS] = [const { AtomicBool::new(false) }; KEYS];

fn watched(key: pthread_key_t) -> Option<&'static AtomicBool> {
    WATCHED.get(key as usize)
}

/// Registers a destructor with the C library itself.
///
/// # Safety
///
/// As for `__cxa_thread_atexit_impl`; the destructor is a function of this program.
pub(super) unsafe fn register(destructor: Destructor, argument: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { register_with(destructor, argument, destructor as *mut c_void) }
}

unsafe fn register_with(
    destructor: Destructor,
    argument: *mut c_void,
    object: *mut c_void,
) -> c_int {
    // SAFETY: the C library's function has this type, or is not there.
    let real: Option<RegisterLocal> = unsafe { mem::transmute(REGISTER_LOCAL.address()) };
    // SAFETY: the caller's promise.
    real.map_or(-1, |real| unsafe { real(destructor, argument, object) })
}

/// Makes a key of the C library.
///
/// # Safety
///
/// As for `pthread_key_create`.
pub(super) unsafe fn make_key(key: *mut pthread_key_t, destructor: Option<Destructor>) -> c_int {
    // SAFETY: the C library's function has this type, or is not there.
    let real: Option<CreateKey> = unsafe { mem::transmute(CREATE_KEY.address()) };
    // SAFETY: the caller's promise.
    real.map_or(EAGAIN, |real| unsafe { real(key, destructor) })
}

/// Sets a value of a key of the C library.
///
/// # Safety
///
/// As for `pthread_setspecific`.
pub(super) unsafe fn set_value(key: pthread_key_t, value: *const c_void) -> c_int {
    // SAFETY: the C library's function has this type, or is not there.
    let real: Option<SetValue> = unsafe { mem::transmute(SET_VALUE.address()) };
    // SAFETY: the caller's promise.
    real.map_or(EAGAIN, |real| unsafe { real(key, value) })
}

/// Gives a key back to the C library.
///
/// # Safety
///
/// As for `pthread_key_delete`: nobody uses it any more.
pub(super) unsafe fn delete_key(key: pthread_key_t) -> c_int {
    if let Some(watched) = watched(key) {
        watched.store(false, Ordering::Release);
    }
    // SAFETY: the C library's function has this type, or is not there.
    let real: Option<DeleteKey> = unsafe { mem::transmute(DELETE_KEY.address()) };
    // SAFETY: the caller's promise.
    real.map_or(EAGAIN, |real| unsafe { real(key) })
}

/// Registers a destructor for a thread-local.
///
/// # Safety
///
/// As in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    destructor: Destructor,
    argument: *mut c_void,
    object: *mut c_void,
) -> c_int {
    let local = (destructor, argument, object.addr());
    let kept = table::with(|table| {
        let current = thread::current();
        table.add_local(thread::number(), current, local)
    });
    match kept.flatten() {
        // SAFETY: the caller's promise.
        None => unsafe { register_with(destructor, argument, object) },
        Some(true) => {
            thread::arm();
            0
        }
        // Lost, like all that comes after a thread's or a library's end.
        Some(false) => 0,
    }
}

/// Makes a key for values of threads. One that a plugin makes has no destructor for the C
/// library, which would call it after the plugin is gone.
///
/// # Safety
///
/// As in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(
    key: *mut pthread_key_t,
    destructor: Option<Destructor>,
) -> c_int {
    let made_for = table::with(|table| table.new_key(thread::current(), destructor, key.addr()));
    let Some(made_for) = made_for.flatten() else {
        // SAFETY: the caller's promise.
        return unsafe { make_key(key, destructor) };
    };
    // SAFETY: the caller's promise.
    let code = unsafe { make_key(key, None) };
    if code == 0 {
        // SAFETY: the C library has just written it.
        let number = unsafe { key.read() };
        table::with(|table| table.add_key(number, made_for));
        if let Some(watched) = watched(number) {
            watched.store(true, Ordering::Release);
        }
    }
    code
}

/// Gives a key back.
///
/// # Safety
///
/// As in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_delete(key: pthread_key_t) -> c_int {
    if watched(key).is_some_and(|watched| watched.load(Ordering::Acquire)) {
        table::with(|table| table.remove_key(key));
    }
    // SAFETY: the caller's promise.
    unsafe { delete_key(key) }
}

/// Sets this thread's value of a key.
///
/// # Safety
///
/// As in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_setspecific(key: pthread_key_t, value: *const c_void) -> c_int {
    if watched(key).is_some_and(|watched| watched.load(Ordering::Acquire)) {
        let note = |table: &mut Table| table.note_value(thread::number()?, key, !value.is_null());
        if table::with(note).flatten() == Some(true) {
            thread::arm();
        }
    }
    // SAFETY: the caller's promise.
    unsafe { set_value(key, value) }
}

/// What a thread of a library begins with.
struct Begin {
    owner: Owner,
    start: Start,
    argument: *mut c_void,
}

/// Starts a thread; those of plugins are counted.
///
/// # Safety
///
/// As in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the C library's function has this type, or is not there.
    let real: Option<CreateThread> = unsafe { mem::transmute(CREATE_THREAD.address()) };
    let Some(real) = real else {
        return EAGAIN;
    };
    let begins = |table: &mut Table| table.thread_begins(start as usize, thread::current());
    let owner = match table::with(begins).unwrap_or(Beginning::Foreign) {
        Beginning::Of(owner) => owner,
        Beginning::Refused => return EAGAIN,
        Beginning::Foreign => {
            // SAFETY: the caller's promise.
            return unsafe { real(thread, attributes, start, argument) };
        }
    };
    let begin = Box::into_raw(Box::new(Begin {
        owner,
        start,
        argument,
    }));
    // SAFETY: the caller's promise; `counted` takes what it is given here.
    let code = unsafe { real(thread, attributes, counted, begin.cast()) };
    if code != 0 {
        table::with(|table| table.thread_ended(owner));
        // SAFETY: no thread was started that would take it.
        drop(unsafe { Box::from_raw(begin) });
    }
    code
}

/// The first function of a counted thread. The last one is a hook of `thread`.
///
/// It may be unwound through by `pthread_exit`, so nothing in it waits to be dropped.
unsafe extern "C-unwind" fn counted(begin: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` boxed it for this thread.
    let Begin {
        owner,
        start,
        argument,
    } = *unsafe { Box::from_raw(begin.cast()) };
    thread::begin(owner);
    // SAFETY: as the caller of `pthread_create` promised.
    unsafe { start(argument) }
}
