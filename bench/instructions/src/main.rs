//! Counts the instructions of calls, publishes and deliveries of a kernel with a compiled plugin,
//! under callgrind. Built and run by `cargo xtask instructions`, which takes what is done from the
//! name of a function, and how often from the `x…` after it, and computes what one more of it
//! costs: that leaves out whatever happens once.

#![forbid(unsafe_code)]
#![expect(
    missing_docs,
    clippy::disallowed_methods,
    reason = "what the macros of the harness write is public, and exits"
)]

mod operations;
mod scene;

use gungraun::{
    Callgrind, EntryPoint, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};

use operations::{Call, Counted, Deliver, Publish, TypedCall};

/// The function in which a thread of the kernel goes on with a task, such as that of a handler.
const TASK: &str = "*async_task::raw::RawTask<*::run";

#[library_benchmark(setup = Call::sync, teardown = Counted::stop)]
#[bench::x256(256)]
#[bench::x512(512)]
fn call_sync(call: Counted<Call>) -> Counted<Call> {
    call.perform()
}

#[library_benchmark(setup = Call::of_future, teardown = Counted::stop)]
#[bench::x256(256)]
#[bench::x512(512)]
fn call_async(call: Counted<Call>) -> Counted<Call> {
    call.perform()
}

#[library_benchmark(setup = TypedCall::json, teardown = Counted::stop)]
#[bench::x256(256)]
#[bench::x512(512)]
fn call_typed(call: Counted<TypedCall>) -> Counted<TypedCall> {
    call.perform()
}

#[library_benchmark(setup = Publish::to::<0>, teardown = Counted::stop)]
#[bench::x256(256)]
#[bench::x512(512)]
fn publish_to_nobody(publish: Counted<Publish>) -> Counted<Publish> {
    publish.perform()
}

#[library_benchmark(setup = Publish::to::<1>, teardown = Counted::stop)]
#[bench::x256(256)]
#[bench::x512(512)]
fn publish_to_1(publish: Counted<Publish>) -> Counted<Publish> {
    publish.perform()
}

#[library_benchmark(setup = Publish::to::<8>, teardown = Counted::stop)]
#[bench::x256(256)]
#[bench::x512(512)]
fn publish_to_8(publish: Counted<Publish>) -> Counted<Publish> {
    publish.perform()
}

// What is counted is what the kernel's threads do with an event, not what this one does.
#[library_benchmark(setup = Deliver::to_handlers, teardown = Counted::stop, config = instructions(EntryPoint::Custom(TASK.to_owned())))]
#[bench::x256(256)]
#[bench::x512(512)]
fn deliver_to_8(deliver: Counted<Deliver>) -> Counted<Deliver> {
    deliver.perform()
}

/// Counts instructions alone, from when a thread enters a function until it leaves it.
fn instructions(entry_point: EntryPoint) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
    callgrind.entry_point(entry_point);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

library_benchmark_group!(
    name = counted,
    benchmarks = [
        call_sync,
        call_async,
        call_typed,
        publish_to_nobody,
        publish_to_1,
        publish_to_8,
        deliver_to_8,
    ]
);

main!(
    config = instructions(EntryPoint::Default),
    library_benchmark_groups = counted
);
