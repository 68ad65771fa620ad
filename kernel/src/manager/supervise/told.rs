//! What is told of a plugin that broke down: the problems that its status shows.

use std::time::Duration;

use super::breakdown::{Death, Stuck};
use crate::status::{Blame, Problem};

/// The kind of the problem that tells of a restart to come.
pub(crate) const COMING_BACK: &str = "restart";

pub(super) fn coming_back(wait: Duration, counted: Option<(u32, u32)>) -> Problem {
    let share = counted.map(|(number, budget)| format!(" ({number} of {budget})"));
    let message = format!("restarted in {}{}", rough(wait), share.unwrap_or_default());
    Problem::new(COMING_BACK, message, None)
}

pub(super) fn died(name: &str, death: &Death, blamed: &Blame) -> Problem {
    let over = match (blamed, &*death.calls) {
        (Blame::Event { id, topic, times }, _) => format!(
            " while it handled event {id} on `{topic}`, {times} times now: the event is given up"
        ),
        (_, []) => String::new(),
        (_, [call]) => format!(
            " during a call of `{}` by `{}`",
            call.capability, call.caller
        ),
        (_, calls) => format!(" during {} calls", calls.len()),
    };
    let message = format!("plugin `{name}` {}{over}", death.cause);
    Problem::new("interrupted", message, None)
}

fn way_out(name: &str) -> Option<String> {
    Some(format!(
        "`octa start {name}` tries it again, and so does another file"
    ))
}

pub(super) fn spent(name: &str, last: &Problem, (failures, within): (u32, Duration)) -> Problem {
    let message = format!(
        "plugin `{name}` failed {failures} times within {}, the last time with: {}",
        rough(within),
        last.message
    );
    Problem::new("quarantined", message, way_out(name))
}

pub(super) fn stuck(name: &str, stuck: &Stuck) -> Problem {
    Problem::new("deadline", format!("plugin `{name}`: {}", stuck.what), None)
}

/// That a plugin whose handler is stuck is left alone.
pub(super) fn left_alone(name: &str, stuck: &Problem) -> Problem {
    Problem::new("quarantined", &*stuck.message, way_out(name))
}

/// A time that is not more exact than it is worth.
pub(super) fn rough(time: Duration) -> String {
    let is_long = time >= Duration::from_secs(10);
    let time = if is_long {
        Duration::from_secs(time.as_secs())
    } else {
        Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    format!("{time:?}")
}
