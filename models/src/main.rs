//! Runs what several threads share without a lock through every interleaving of a few of them, and
//! through every value that a weakly ordered processor may show them; `loom` finds these.
//!
//! The files that are checked are those of the product. What they share threads with is small
//! here: a model says who does what, and what must hold whatever comes first. A wake-up that is
//! lost is a thread that waits for ever, which the checker calls a deadlock.

#[expect(
    dead_code,
    unreachable_pub,
    reason = "the product's files also speak over sockets, and to other crates"
)]
mod link;
mod models;
mod shard;
mod sync;

#[path = "../../kernel/src/services/guard/budget.rs"]
mod budget;
#[path = "../../loader/src/gate.rs"]
mod gate;
#[path = "../../kernel/src/services/intake.rs"]
#[expect(dead_code, reason = "what happens after a death is not checked here")]
mod intake;
#[path = "../../kernel/src/pool/line.rs"]
#[expect(dead_code, reason = "a nudge only wakes who looks and sleeps again")]
mod line;

use std::{
    env,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use loom::model::Builder;
use models::{MANY, MODELS, Model};
use sync::Fences;

/// The most steps of one execution; more are a loop that no other thread ends.
const STEPS_MAX: usize = 20_000;

/// Checks all models, or those whose names contain an argument; with `--long` with more
/// preemptions, most of them with as many as there can be.
fn main() -> ExitCode {
    let (options, names): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|it| it.starts_with('-'));
    if options.iter().any(|option| option != "--long") {
        eprintln!("usage: octa-models [--long] [part of a name]…");
        return ExitCode::FAILURE;
    }
    let is_named = |model: &&Model| {
        names.is_empty() || names.iter().any(|name| model.name.contains(name.as_str()))
    };
    for model in MODELS.iter().filter(is_named) {
        check(model, !options.is_empty());
    }
    ExitCode::SUCCESS
}

/// Ends the program where a model fails: what is left of it is not to be relied on.
fn check(model: &'static Model, is_long: bool) {
    println!("{}", model.name);
    let begin = Instant::now();
    let most = model.preemptions[usize::from(is_long)];
    let bound = Some(most).filter(|most| *most < MANY);
    let executions = [Fences::Before, Fences::After].map(|fences| {
        fences.put();
        executions(model, bound)
    });
    let bound = bound.map_or(String::new(), |most| {
        format!(" of at most {most} preemptions")
    });
    let ([before, after], took) = (executions, begin.elapsed().as_secs_f64());
    println!("    {before} + {after} executions{bound}, {took:.1} s");
}

/// Runs them all; how many there were.
fn executions(model: &'static Model, preemptions: Option<usize>) -> usize {
    let executions = Arc::new(AtomicUsize::new(0));
    let mut builder = Builder::new();
    builder.max_branches = STEPS_MAX;
    builder.preemption_bound = preemptions;
    let counted = executions.clone();
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        (model.run)();
    });
    executions.load(Relaxed)
}
