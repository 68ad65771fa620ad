//! The kinds of reasons there are, and the states that each can explain: one table, which is also
//! the list of the tests.

use std::fmt;

use serde::Serialize;

use crate::lifecycle::State::{self, *};

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $label:literal in $states:expr;)*) => {
        /// What kind of reason something is. There is none for what is not known.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[$doc])* $name,)*
        }

        impl Cause {
            /// Every kind.
            pub const ALL: &[Cause] = &[$(Cause::$name,)*];

            /// Its name, as in answers of the admin socket: `not-asked`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }

            /// The states of a plugin that it can be found below; none where it is not about a
            /// plugin.
            pub const fn states(self) -> &'static [State] {
                match self {
                    $(Self::$name => $states,)*
                }
            }
        }
    };
}

const ALL: &[State] = &State::ALL;
const NOT_STARTED: &[State] = &[
    Discovered,
    Loaded,
    Stopped,
    Unloaded,
    Blocked,
    Failed,
    Quarantined,
];
/// It waits for something, or is about to stop for the lack of it.
const LACKING: &[State] = &[Started, Blocked];

causes! {
    /// The state of a plugin; what is below says why.
    Standing = "standing" in &[];
    /// A capability that was asked about; below are those who offer it.
    Capability = "capability" in &[];
    /// A file of the plugin directory that is no plugin, or none that can run here.
    RejectedFile = "rejected-file" in &[];

    /// The configuration says that it is not to run.
    Disabled = "disabled" in ALL;
    /// Nobody has asked for it so far.
    NotAsked = "not-asked" in ALL;
    /// Somebody asked for it to be where it is.
    Request = "request" in ALL;
    /// The kernel has stopped all plugins.
    KernelStopped = "kernel-stopped" in ALL;
    /// Its file is gone.
    FileRemoved = "file-removed" in ALL;
    /// It is being brought somewhere else.
    UnderWay = "under-way" in ALL;
    /// Nothing keeps it but those who are to start before it.
    Turn = "turn" in NOT_STARTED;

    /// A newer build waits for something that may change.
    NewerBuild = "newer-build" in ALL;
    /// What its file holds was refused.
    RefusedBuild = "refused-build" in ALL;

    /// Code of it does not give its thread back.
    Blocking = "blocking" in ALL;
    /// Where that code is, as far as it can be told.
    BlockedAt = "blocked-at" in ALL;

    /// What serves, and since when.
    Serving = "serving" in &[Started];
    /// The process that carries it.
    Process = "process" in &[Started];
    /// Something of its limits or its sandbox that is in force.
    Enforced = "enforced" in &[Started];
    /// Something of its limits or its sandbox that is not.
    NotEnforced = "not-enforced" in &[Started];
    /// It is about to stop, after those who depend on it.
    Leaving = "leaving" in &[Started];
    /// It says that it is not well.
    Unwell = "unwell" in &[Started];
    /// It does without something that it would like.
    Without = "without" in &[Started];
    /// A generation of it that has ended is still mapped.
    StillMapped = "still-mapped" in &[Started, Unloaded];

    /// It asks for more than it is granted.
    Permission = "permission" in LACKING;
    /// Its configuration is not what it asks for.
    Configuration = "configuration" in LACKING;
    /// It cannot live where it is to.
    Placement = "placement" in LACKING;
    /// Nobody offers what it needs.
    Missing = "missing" in LACKING;
    /// What it needs is only there in other versions.
    OtherVersion = "other-version" in LACKING;
    /// Nobody who offers what it needs runs.
    Dependency = "dependency" in LACKING;
    /// It needs, by way of others, itself.
    Cycle = "cycle" in LACKING;
    /// The tree has it already.
    SeeAbove = "see-above" in LACKING;

    /// Which of several providers a call goes to, and what says so.
    Routing = "routing" in &[];
    /// Calls go to this provider.
    GetsCalls = "gets-calls" in &[];
    /// Calls go to it when those before it do not take them.
    InReserve = "in-reserve" in &[];
    /// It does not offer now what it would.
    NotOffering = "not-offering" in &[];
    /// It says that it can do nothing: calls go to it when nobody else takes them.
    Unfit = "unfit" in &[];
    /// Its breaker keeps calls from it.
    CutOff = "cut-off" in &[];
    /// Its breaker lets single calls in, to see how they do.
    OnTrial = "on-trial" in &[];
    /// As many of its calls are under way as may be.
    Full = "full" in &[];
    /// Some of its last calls failed.
    Failing = "failing" in &[];
    /// How the last call failed that did.
    LastError = "last-error" in &[];
    /// When a call is let in again.
    NextTry = "next-try" in &[];
    /// A step of a pipeline.
    Step = "step" in &[];
    /// It is not called, for a pipeline answers in its place.
    Overruled = "overruled" in &[];
    /// A limit of calls.
    Limit = "limit" in &[];
    /// When a failing provider is cut off.
    Breaker = "breaker" in &[];
    /// Whether a call that failed is tried again.
    Retry = "retry" in &[];
    /// What of a call is checked or remembered.
    Kept = "kept" in &[];
    /// The capability that answers when no provider can.
    Fallback = "fallback" in &[];

    /// Its code answered an error, or what was to be done with it did.
    Error = "error" in &[Failed];
    /// Its code panicked.
    Panicked = "panicked" in &[Failed];
    /// Its code did not return in time.
    Deadline = "deadline" in &[Failed];
    /// Its process ended.
    Ended = "ended" in &[Failed];
    /// Its file cannot be opened, or not in this process.
    NotLoadable = "not-loadable" in &[Failed];
    /// It broke down: when, how, and whose fault it seems to be.
    Fault = "fault" in &[Started, Failed, Quarantined];
    /// A line that its process wrote last, or a line of where it stands.
    LastLine = "last-line" in &[Started, Failed, Quarantined];
    /// How many of its restarts are spent.
    Restarts = "restarts" in &[Started];
    /// It is started again by itself.
    RestartScheduled = "restart-scheduled" in &[Failed];
    /// It is not, as its policy has it.
    RestartNever = "restart-never" in &[Failed];
    /// It is not, for that would change nothing.
    RestartUseless = "restart-useless" in &[Failed];
    /// Its budget of restarts is spent.
    BudgetSpent = "budget-spent" in &[Quarantined];
    /// What its file holds is not to be opened here.
    ContentRefused = "content-refused" in &[Failed];
    /// A handler of it blocks its thread.
    Stuck = "stuck" in &[Failed, Quarantined];
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
