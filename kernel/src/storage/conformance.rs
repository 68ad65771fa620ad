//! What every storage adapter must do, as a suite that any test can call.
//!
//! A broken promise panics and says which; nothing else is needed of a test harness.
//!
//! * [`run`] makes every promise of [`StorageAdapter`] a check, each on an adapter of its own.
//! * [`run_model`] takes an adapter through a random course beside a plain model and compares every answer.
//! * [`run_durable`] and [`run_model_durable`] do it over closings and reopenings, for what outlives the process.

mod appending;
mod closing;
mod course;
mod history;
mod journal;
mod limits;
mod listing;
mod model;
mod pages;
mod quotas;
mod random;
mod replicating;
mod snapshots;
mod step;
mod together;
mod usage;
mod walk;
mod watcher;
mod watching;
mod writing;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use octa_plugin_api::Payload;
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::{Batch, BoxFuture, Invalid, Storage, StorageAdapter};

/// One promise, on an empty storage.
type Check = fn(Storage) -> BoxFuture<'static, ()>;

/// Checks and their names.
type Checks = &'static [(&'static str, Check)];

/// Lists functions from [`Storage`] to a future under their names.
macro_rules! checks {
    ($($check:ident),+ $(,)?) => {
        &[$((stringify!($check), |storage| Box::pin($check(storage)))),+]
    };
}
use checks;

const ALL: [Checks; 13] = [
    writing::CHECKS,
    listing::CHECKS,
    limits::CHECKS,
    appending::CHECKS,
    usage::CHECKS,
    quotas::CHECKS,
    watching::CHECKS,
    snapshots::CHECKS,
    replicating::CHECKS,
    together::CHECKS,
    history::CHECKS,
    closing::CHECKS,
    journal::CHECKS,
];

/// No check takes long; what has not ended by then never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the whole suite; `make` gives an empty adapter each time.
///
/// # Panics
///
/// When the adapter breaks the contract, or if called from within a tokio runtime.
pub fn run<A: StorageAdapter>(make: impl FnMut() -> A) {
    run_within(PATIENCE, make);
}

/// Checks what must outlive the process; `open` opens the same database each time, at first an empty one.
///
/// # Panics
///
/// When something acknowledged is gone, or if called from within a tokio runtime.
pub fn run_durable<A: StorageAdapter>(mut open: impl FnMut() -> A) {
    let mut open = || Storage::new(open());
    let left = run_one(open(), PATIENCE, |it| Box::pin(closing::fill(it)));
    let left = kept("is left without closing", left);
    let flown = run_one(open(), PATIENCE, |it| Box::pin(closing::go_on(it, left)));
    let flown = kept("goes on after a reopening", flown);
    let left = run_one(open(), PATIENCE, |it| Box::pin(closing::find(it, flown)));
    let left = kept("keeps what was acknowledged while it was closed", left);
    let found = run_one(open(), PATIENCE, |it| {
        Box::pin(closing::find_again(it, left))
    });
    kept("keeps what was there", found);
}

/// Takes an adapter through a random course of `steps` steps, beside a plain model, and compares every answer.
///
/// `make` gives an empty adapter each time; the same `seed` makes the same course.
/// A course that fails is tried again with parts left out, until it is as short as it gets, and told.
///
/// # Panics
///
/// When an answer differs from the model's, or if called from within a tokio runtime.
pub fn run_model<A: StorageAdapter>(mut make: impl FnMut() -> A, seed: u64, steps: usize) {
    let place = || {
        let mut only = Some(Storage::new(make()));
        move || only.take().expect("a course without reopenings opens once")
    };
    course::run(place, false, seed, steps);
}

/// Does the same with closings and reopenings in between.
///
/// `place` makes an empty database each time, and returns what opens it, as often as it is called.
///
/// # Panics
///
/// When an answer differs from the model's, or if called from within a tokio runtime.
pub fn run_model_durable<A, O>(mut place: impl FnMut() -> O, seed: u64, steps: usize)
where
    A: StorageAdapter,
    O: FnMut() -> A,
{
    let place = || {
        let mut open = place();
        move || Storage::new(open())
    };
    course::run(place, true, seed, steps);
}

fn run_within<A: StorageAdapter>(patience: Duration, mut make: impl FnMut() -> A) {
    for (name, check) in ALL.into_iter().flatten() {
        let storage = Storage::new(make());
        kept(name, run_one(storage, patience, check));
    }
}

fn kept<T>(name: &str, ended: Result<T, String>) -> T {
    ended.unwrap_or_else(|reason| panic!("the promise `{name}` is broken: {reason}"))
}

/// Runs one check to its end, or tells why it has none. The adapter ends outside of the runtime, since it may
/// wait for threads or a runtime of its own then.
fn run_one<T>(
    storage: Storage,
    patience: Duration,
    check: impl FnOnce(Storage) -> BoxFuture<'static, T>,
) -> Result<T, String> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    let check = check(storage.clone());
    // On a thread of its own, not of the runtime's, so that it can wait busily for what the others do.
    let run = || runtime.block_on(async { timeout(patience, check).await });
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => {
            runtime.shutdown_background();
            Err(format!("it has not ended within {patience:?}"))
        }
        Err(panic) => Err(words(&*panic)),
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked without a word").to_owned()
}

fn json(text: &str) -> Payload {
    Payload::from(text.as_bytes())
}

/// Makes a batch; what it is given is valid.
fn batch(fill: impl FnOnce(&mut Batch) -> Result<(), Invalid>) -> Batch {
    let mut batch = Batch::new();
    fill(&mut batch).expect("a valid batch");
    batch
}

/// What a future answers without waiting, if it does.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

async fn assert_value(storage: &Storage, namespace: &str, key: &str, expect: Option<&str>) {
    let found = storage.get(namespace, key).await.expect("a read answers");
    let found = found.map(|record| String::from_utf8_lossy(&record.value).into_owned());
    assert_eq!(found.as_deref(), expect, "the value of `{namespace}/{key}`");
}

#[cfg(test)]
mod tests;
