//! How a plugin broke down, whose fault that seems to be, and whether it is started again.

use super::{Cause, Facts, Why};
use crate::{
    manager::COMING_BACK,
    status::{Blame, Fault, FaultKind, PluginStatus, Problem},
};

/// Nothing if it was asked for again since, or is tried again now.
pub(super) fn failed(facts: &Facts) -> Vec<Why> {
    let status = &facts.status;
    let is_told = |problem: &&Problem| problem.kind != COMING_BACK;
    let Some(problem) = status.problems.iter().find(is_told) else {
        return Vec::new();
    };
    // The newest fault is this one, unless it was none.
    let own = status
        .faults
        .first()
        .filter(|it| it.what == problem.message);
    let earlier = &status.faults[usize::from(own.is_some())..];
    let mut causes = vec![error(status, problem, own)];
    causes.extend(earlier.iter().map(|it| fault(status, it)));
    causes.extend(restart(facts, problem));
    causes
}

/// A plugin that is left alone until somebody decides.
pub(super) fn quarantined(facts: &Facts) -> Vec<Why> {
    let status = &facts.status;
    let Some(problem) = status.problems.first() else {
        return Vec::new();
    };
    let why = |cause| Why::new(cause, &status.name, &problem.message).hint(problem.hint.clone());
    let spent = |why: Why| vec![why.because(faults(status))];
    match status.faults.split_first() {
        Some((own, earlier)) if own.kind == FaultKind::Stuck => {
            let stuck = why(Cause::Stuck).since(own.time);
            let mut causes = vec![stuck.because(last_lines(status, own))];
            causes.extend(earlier.iter().map(|it| fault(status, it)));
            causes
        }
        _ => spent(why(Cause::BudgetSpent)),
    }
}

/// What keeps a plugin from running, with what is known of how it came about.
fn error(status: &PluginStatus, problem: &Problem, own: Option<&Fault>) -> Why {
    let cause = match own.map_or_else(|| FaultKind::of(problem), |fault| fault.kind) {
        _ if is_refused(problem) => Cause::ContentRefused,
        FaultKind::Error => Cause::Error,
        FaultKind::Panicked => Cause::Panicked,
        FaultKind::Deadline => Cause::Deadline,
        FaultKind::Ended => Cause::Ended,
        FaultKind::Stuck => Cause::Stuck,
        FaultKind::NotLoadable => Cause::NotLoadable,
    };
    let blamed = own.map(|fault| blame(&fault.blamed)).unwrap_or_default();
    let text = format!("{}{blamed}", problem.message);
    Why::new(cause, &status.name, text)
        .since(own.map(|fault| fault.time))
        .hint(problem.hint.clone())
        .because(own.into_iter().flat_map(|it| last_lines(status, it)))
}

/// Whether it is the content of a file that is refused, whatever it does.
fn is_refused(problem: &Problem) -> bool {
    problem.kind == "refused"
}

/// How it broke down, the last time first.
pub(super) fn faults(status: &PluginStatus) -> impl Iterator<Item = Why> {
    status.faults.iter().map(|it| fault(status, it))
}

fn fault(status: &PluginStatus, fault: &Fault) -> Why {
    let text = format!("{}{}", fault.what, blame(&fault.blamed));
    Why::new(Cause::Fault, &status.name, text)
        .since(fault.time)
        .because(last_lines(status, fault))
}

fn last_lines(status: &PluginStatus, fault: &Fault) -> impl Iterator<Item = Why> {
    let lead = match fault.kind {
        // Where it stands, not what it wrote.
        FaultKind::Stuck => "",
        _ => "it wrote last: ",
    };
    let lines = fault.last_lines.iter();
    lines.map(move |line| Why::new(Cause::LastLine, &status.name, format!("{lead}{line}")))
}

fn blame(blamed: &Blame) -> String {
    match blamed {
        Blame::Plugin => String::new(),
        Blame::Caller {
            caller,
            capability,
            times,
        } => format!(
            "; blamed on `{caller}`, whose call of `{capability}` alone was under way {times} times now"
        ),
        Blame::Event { id, topic, .. } => format!("; blamed on event {id} on `{topic}`"),
    }
}

/// Whether it is started again by itself; nothing where that is not wanted, or done already.
fn restart(facts: &Facts, problem: &Problem) -> Option<Why> {
    let PluginStatus { name, restarts, .. } = &facts.status;
    let (spent, budget, policy) = (restarts.spent, restarts.budget, restarts.policy);
    if let Some(next) = restarts.next {
        let text = format!("it is started again by itself; restarts spent: {spent} of {budget}");
        return Some(Why::new(Cause::RestartScheduled, name, text).since(next));
    }
    if facts.doing.is_some() || facts.gives_way || facts.rest.is_some() {
        return None;
    }
    let (cause, text, hint) = match policy {
        _ if problem.is_lasting() => (
            Cause::RestartUseless,
            "it is not started again by itself, since the same would happen".to_owned(),
            "another file or another configuration of it is tried at once".to_owned(),
        ),
        "never" => (
            Cause::RestartNever,
            "it is not started again by itself: its restart policy is `never`".to_owned(),
            format!("`octa start {name}` tries it again"),
        ),
        policy => (
            Cause::RestartNever,
            format!(
                "it is not started again by itself: that is no case for its restart policy, `{policy}`"
            ),
            format!("`octa start {name}` starts it again"),
        ),
    };
    Some(Why::new(cause, name, text).hint(hint))
}

/// How many restarts of a plugin that serves are spent, if some are.
pub(super) fn restarts(status: &PluginStatus) -> Option<Why> {
    let restarts = &status.restarts;
    let text = format!(
        "restarts spent: {} of {}; all are back when it has been well for a while",
        restarts.spent, restarts.budget
    );
    (restarts.spent > 0).then(|| Why::new(Cause::Restarts, &status.name, text))
}
