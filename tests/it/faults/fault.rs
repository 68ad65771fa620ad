//! The faults.

use super::fault::Worker::{Ends, EndsSomehow, GoesOn};
use crate::home::Home;

/// One thing that a plugin does to its process.
pub(super) struct Fault {
    /// What it does.
    pub(super) name: &'static str,
    /// What makes it do so.
    pub(super) capability: &'static str,
    pub(super) input: &'static str,
    /// What becomes of a process that carries nothing else.
    pub(super) worker: Worker,
}

/// What becomes of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Worker {
    Ends,
    /// Who notices first is open.
    EndsSomehow,
    GoesOn,
}

/// The plugin that commits the faults.
pub(super) const FAULTY: &str = "faulty";

const fn fault(
    name: &'static str,
    capability: &'static str,
    input: &'static str,
    worker: Worker,
) -> Fault {
    Fault {
        name,
        capability,
        input,
        worker,
    }
}

/// All that are committed in a call.
pub(super) const FAULTS: [Fault; 20] = [
    fault("segmentation fault", "faulty.segfault", "null", Ends),
    fault("`abort()`", "faulty.abort", "null", Ends),
    fault("stack overflow", "faulty.stack_overflow", "null", Ends),
    fault("`exit(0)`", "faulty.exit", "0", Ends),
    fault("`exit(3)`", "faulty.exit", "3", Ends),
    fault(
        "a panic while it panics",
        "faulty.double_panic",
        "null",
        Ends,
    ),
    fault(
        "a panic in a thread-local's destructor",
        "faulty.panic_in_local",
        "null",
        Ends,
    ),
    fault("an endless loop", "faulty.loop_for_ever", "null", Ends),
    fault(
        "10 GB of memory, where 1 GiB is allowed",
        "faulty.allocate",
        "null",
        Ends,
    ),
    fault("64 forks", "faulty.fork_bomb", "null", GoesOn),
    fault("running a program", "faulty.execute", "null", GoesOn),
    fault("closing every file", "faulty.close_files", "null", Ends),
    fault(
        "garbage into every socket, pipe and memory file",
        "faulty.write_garbage",
        "null",
        GoesOn,
    ),
    fault(
        "garbage into all shared memory",
        "faulty.overwrite_shared",
        "null",
        EndsSomehow,
    ),
    fault("`SIGSTOP` to itself", "faulty.signal", "19", Ends),
    fault("`SIGKILL` to itself", "faulty.signal", "9", Ends),
    fault("`SIGTERM` to itself", "faulty.signal", "15", Ends),
    fault(
        "20,000 lines for the log",
        "faulty.flood_log",
        "20000",
        GoesOn,
    ),
    fault("5,000 events", "faulty.flood_events", "5000", GoesOn),
    fault("2,000 calls at once", "faulty.flood_calls", "2000", GoesOn),
];

/// A home with a plugin that commits faults, in a place, its neighbour, and one that calls the
/// neighbour all the time.
pub(super) fn home(place: &str) -> Home {
    let toml = format!(
        "[kernel]\nwatch = false\ncall_deadline = \"2s\"\nstuck_after = \"1s\"\n\
         stop_deadline = \"2s\"\n\
         [plugins.steady.allow]\ncall = [\"**\"]\npublish = [\"**\"]\nsubscribe = [\"**\"]\n\
         [plugins.steady.config]\ncall = \"neighbour.echo\"\nat_once = 2\n\
         [plugins.faulty]\nplacement = \"{place}\"\n\
         limits = {{ memory = \"1GiB\" }}\n\
         restart = {{ policy = \"always\", budget = 1000, backoff = \"1ms\", backoff_max = \"10ms\" }}\n\
         [plugins.faulty.allow]\ncall = [\"neighbour.echo\"]\n"
    );
    Home::with(&[FAULTY, "steady"]).config(&toml)
}
