//! What of a started plugin serves, where it lives, and what is wrong with it all the same.

use super::{
    Cause, Facts, Why, broken,
    needs::{absent, obstacles},
    plugin::Tree,
    rest::{rest, under_way},
};
use crate::{
    reload::{GenerationStatus, RetiredStatus},
    status::{PluginStatus, ProcessStatus},
};

/// How much of a hash is told.
const HASH_DIGITS: usize = 8;

pub(super) fn serving<'a>(tree: &mut Tree<'a>, facts: &'a Facts) -> Vec<Why> {
    let status = &facts.status;
    let mut causes = vec![generation(status)];
    causes.extend(moving(tree, facts));
    causes.extend(unwell(status));
    causes.extend(broken::restarts(status));
    causes.extend(broken::faults(status));
    causes.extend(absent(tree, facts));
    causes.extend(still_mapped(status));
    causes
}

/// What is being done with it or is about to be, and why.
fn moving<'a>(tree: &mut Tree<'a>, facts: &'a Facts) -> Option<Why> {
    let mut causes: Vec<Why> = rest(facts).into_iter().collect();
    causes.extend(obstacles(tree, facts));
    let about_to_stop = || {
        let text = "it is about to stop, after those who depend on it";
        (!causes.is_empty()).then(|| Why::new(Cause::Leaving, &facts.status.name, text))
    };
    let why = under_way(facts).or_else(about_to_stop)?;
    Some(why.because(causes))
}

fn generation(status: &PluginStatus) -> Why {
    let place = match status.process {
        Some(_) => "a process of its own",
        None => "the kernel's process",
    };
    let what = status.generation.as_ref().map(named);
    let what = what.unwrap_or_else(|| "it".to_owned());
    let since = status
        .generation
        .as_ref()
        .map(|generation| generation.since);
    Why::new(
        Cause::Serving,
        &status.name,
        format!("{what} serves in {place}"),
    )
    .since(since)
    .because(status.process.as_ref().map(|it| process(&status.name, it)))
}

/// `generation 3, version 1.2.0 with content 1a2b3c4d,`
fn named(generation: &GenerationStatus) -> String {
    let GenerationStatus {
        number,
        version,
        hash,
        ..
    } = generation;
    match hash {
        Some(hash) => format!(
            "generation {number}, version {version} with content {},",
            hash.get(..HASH_DIGITS).unwrap_or(hash)
        ),
        None => format!("generation {number}, version {version} and part of the program,"),
    }
}

fn process(name: &str, process: &ProcessStatus) -> Why {
    let text = match &process.group {
        Some(group) => format!("it is process {}, which group `{group}` shares", process.id),
        None => format!("it is process {}", process.id),
    };
    let line = |cause, lead: &str, what: &String| Why::new(cause, name, format!("{lead}: {what}"));
    let enforced = process.enforced.iter();
    let enforced = enforced.map(|it| line(Cause::Enforced, "in force", it));
    let missing = process.missing.iter();
    let missing = missing.map(|it| line(Cause::NotEnforced, "not in force", it));
    Why::new(Cause::Process, name, text).because(enforced.chain(missing))
}

fn unwell(status: &PluginStatus) -> Option<Why> {
    let health = status.health.filter(|health| *health < 1.0)?;
    let calls = match health > 0.0 {
        true => "",
        false => ": no calls go to it while somebody else offers the same",
    };
    let text = format!("it says that its health is {health:.2} of 1{calls}");
    Some(Why::new(Cause::Unwell, &status.name, text))
}

pub(super) fn still_mapped(status: &PluginStatus) -> impl Iterator<Item = Why> {
    let retired = status.retired.iter();
    retired.map(
        |RetiredStatus {
             generation, causes, ..
         }| {
            let text = format!(
                "generation {} (version {}), which has ended, is still mapped: {}",
                generation.number,
                generation.version,
                causes.join(", ")
            );
            Why::new(Cause::StillMapped, &status.name, text).since(generation.since)
        },
    )
}
