//! The code of one library, from before its opening until it is unmapped.

use std::{fs, io, mem::ManuallyDrop, path::Path, process, sync::LazyLock};

use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL};
use parking_lot::Mutex;

use super::{
    interposed,
    objects::{self, Object},
    opening::{self, Brought},
    signals,
    table::{self, Pending, Table},
    thread,
};
use crate::{
    inside::{self, Owner},
    presence::{Errand, Step},
    unload::KeptCause,
};

/// A library that was opened. Dropping this leaves it mapped.
pub(crate) struct Code {
    owner: Owner,
    state: Mutex<State>,
}

struct State {
    /// `None` once it is unmapped.
    library: Option<ManuallyDrop<Library>>,
    /// Where it lies; `None` if what it leaves behind is not seen.
    object: Option<Object>,
    /// Why it stays for good.
    stays: Option<KeptCause>,
}

/// One library is opened or closed at a time, so that it can be told what came with which.
static ALONE: Mutex<Brought> = Mutex::new(Brought::new());

/// Whether all that libraries leave behind is seen.
static IS_SEEN: LazyLock<bool> = LazyLock::new(|| {
    let here = interposed::address();
    let mut objects = objects::mapped().into_iter();
    let program = objects.find(|object| object.span.contains(&here));
    let Some(Object { span, .. }) = program else {
        return false;
    };
    let is_seen = interposed::are_in_force(&span) && thread::prepare();
    if is_seen {
        table::begin(span);
    }
    is_seen
});

impl Code {
    /// Opens a library: runs its constructors.
    pub(crate) fn open(path: &Path) -> Result<Self, libloading::Error> {
        let owner = Owner::next();
        let mut brought = ALONE.lock();
        if !*IS_SEEN {
            return Ok(Self::new(
                owner,
                load(path)?,
                None,
                Some(KeptCause::NotInForce),
            ));
        }
        let before = objects::mapped();
        let spans = before.iter().map(|object| object.span.clone()).collect();
        table::with(|table| table.opening(owner, spans));
        let library =
            inside::run(owner, Errand::step(Step::Load), || load(path)).inspect_err(|_| {
                table::with(|table| table.forget(owner));
            })?;
        let opened = opening::look(owner, path, &before, &mut brought);
        table::with(|table| table.opened(owner, &opened.spans));
        Ok(Self::new(owner, library, opened.own, opened.stays))
    }

    fn new(
        owner: Owner,
        library: Library,
        object: Option<Object>,
        stays: Option<KeptCause>,
    ) -> Self {
        let library = Some(ManuallyDrop::new(library));
        let state = State {
            library,
            object,
            stays,
        };
        Self {
            owner,
            state: Mutex::new(state),
        }
    }

    /// Whose code it is.
    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// A copy of what it exports under this name, which ends with a zero.
    ///
    /// # Safety
    ///
    /// What is exported is a `T`.
    pub(crate) unsafe fn exported<T: Copy>(&self, name: &[u8]) -> Option<T> {
        let state = self.state.lock();
        // SAFETY: the caller's promise.
        let symbol = unsafe { state.library.as_ref()?.get::<T>(name) };
        symbol.ok().map(|symbol| *symbol)
    }

    /// Nothing enters it any more: what it left on threads is destroyed there, at the end of
    /// their next entry into a plugin.
    pub(crate) fn retire(&self) {
        if self.state.lock().stays.is_none() {
            table::with(|table| table.retire(self.owner));
            thread::tell_retired();
        }
    }

    /// Closes it, if nothing is left that would return to it; after [`retire`](Self::retire).
    pub(crate) fn close(&self) -> Result<(), Vec<KeptCause>> {
        if let Some(cause) = &self.state.lock().stays {
            return Err(vec![cause.clone()]);
        }
        // Author's code, so without a lock.
        thread::tidy_after(self.owner);
        let mut brought = ALONE.lock();
        let mut state = self.state.lock();
        let State {
            library,
            object,
            stays,
        } = &mut *state;
        let (Some(handle), Some(object)) = (library.take(), object) else {
            return Ok(());
        };
        if let Err(causes) = self.begin_closing() {
            *library = Some(handle);
            return Err(causes);
        }
        let closed = inside::run(self.owner, Errand::step(Step::Unload), || {
            ManuallyDrop::into_inner(handle).close()
        });
        if closed.is_err() || objects::mapped().contains(object) {
            table::with(|table| table.stay(self.owner));
            opening::pin(object);
            return Err(vec![stays.insert(KeptCause::StillMapped).clone()]);
        }
        brought.leave(self.owner);
        self.forget();
        Ok(())
    }

    /// Sees that nothing stands in the way, and that nothing new comes.
    fn begin_closing(&self) -> Result<(), Vec<KeptCause>> {
        let spans = table::with(|table| table.spans_of(self.owner)).unwrap_or_default();
        let handled = signals::handled_in(&spans);
        let handled = handled.map(|signal| KeptCause::SignalHandler { signal });
        let mut causes: Vec<_> = handled.into_iter().collect();
        if thread::is_inside(self.owner) {
            causes.push(KeptCause::Entered(1));
        }
        let is_free = causes.is_empty();
        let close = |table: &mut Table| table.close(self.owner, is_free);
        // Again after threads were forgotten.
        while let Some(Err(pending)) = table::with(close) {
            let names = names_of(&pending);
            if pending.threads > 0 {
                causes.push(KeptCause::Threads(pending.threads));
            }
            causes.extend(
                names
                    .into_iter()
                    .map(|thread| KeptCause::Destructors { thread }),
            );
            if !causes.is_empty() {
                return Err(causes);
            }
        }
        if is_free { Ok(()) } else { Err(causes) }
    }

    /// It is gone: its keys are given back.
    fn forget(&self) {
        for key in table::with(|table| table.take_keys(self.owner)).unwrap_or_default() {
            // SAFETY: only the library used the key, and it is not there any more.
            unsafe { interposed::delete_key(key) };
        }
        table::with(|table| table.forget(self.owner));
    }
}

fn load(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: runs the library's constructors, which is what accepting a plugin means.
    unsafe { Library::open(Some(path), RTLD_LAZY | RTLD_LOCAL) }
}

/// Whether there is no thread of this number, for sure.
fn has_ended(number: i32) -> bool {
    let process = process::id();
    // SAFETY: signal 0 is sent to nobody; it is only looked for whom.
    let code = unsafe { libc::syscall(libc::SYS_tgkill, process, number, 0) };
    code != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

/// The names of the threads that have something to destroy. Those that ended without doing so
/// are forgotten: what they had is lost.
fn names_of(pending: &Pending) -> Vec<String> {
    let name = |number: &i32| {
        if number.cast_unsigned() == process::id() {
            return Some("main".to_owned());
        }
        if has_ended(*number) {
            table::with(|table| table.forget_thread(*number));
            return None;
        }
        let name = fs::read_to_string(format!("/proc/self/task/{number}/comm"));
        Some(name.map_or_else(|_| number.to_string(), |name| name.trim_end().to_owned()))
    };
    pending.leavings.iter().filter_map(name).collect()
}
