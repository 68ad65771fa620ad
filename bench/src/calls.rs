//! Service calls in process: bytes and typed, one thread and two.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use octa_bench_floor::Floor;
use octa_bench_messages::{Advice, Reading};
use octa_kernel::{Capability, Kernel, Payload};

use crate::{
    host::Host,
    measure::{ready, timed},
    report::{Goal, Report, Subject},
};

const BYTES: [u8; 64] = [b'x'; 64];

const SYNC: Subject = Subject {
    what: "call on bytes, 64 B each way, sync handler",
    floor: "bare function table of `abi_stable` types",
    goal: Goal::AtMost(4.0),
};
const ASYNC: Subject = Subject {
    what: "call on bytes, 64 B each way, async handler",
    floor: "bare function table of `abi_stable` types",
    goal: Goal::AtMost(6.0),
};
const TYPED: Subject = Subject {
    what: "call with typed JSON on both sides",
    floor: "serde_json alone on the same types",
    goal: Goal::AtMost(1.5),
};
const THREADS: Subject = Subject {
    what: "calls on bytes from 2 threads, throughput",
    floor: "from 1 thread",
    goal: Goal::AtLeast(1.8),
};

pub(crate) fn measure(host: &Host, floor: &Floor, report: &mut Report) -> Result<()> {
    let kernel = &host.kernel;
    for (subject, name) in [(SYNC, "bench.echo"), (ASYNC, "bench.echo_async")] {
        let (capability, input) = (kernel.capability(name)?, Payload::copy_from_slice(&BYTES));
        ensure!(&*ready(capability.call(&input))? == BYTES);
        report.row(
            subject,
            report.pace(),
            &mut |count| timed(count, || drop(black_box(floor.echo(black_box(&BYTES))))),
            &mut |count| timed(count, || call(&capability, &input)),
        );
    }
    typed(kernel, report)?;
    let echo = kernel.capability("bench.echo")?;
    report.row(
        THREADS,
        report.pace().in_turns_longer(4),
        &mut |count| from_threads(1, count, &echo),
        &mut |count| from_threads(2, count, &echo),
    );
    Ok(())
}

fn call(capability: &Capability, input: &Payload) {
    let answer = ready(capability.call(black_box(input)));
    drop(black_box(answer.expect("it answered before")));
}

fn typed(kernel: &Kernel, report: &mut Report) -> Result<()> {
    let reading = Reading::sample();
    let ours = || ready(kernel.call::<Advice>("bench.advise", black_box(&reading)));
    ensure!(ours()? == Reading::sample().advise());
    report.row(
        TYPED,
        report.pace(),
        &mut |count| timed(count, || drop(black_box(alone(black_box(&reading))))),
        &mut |count| {
            timed(count, || {
                drop(black_box(ours().expect("it answered before")))
            })
        },
    );
    Ok(())
}

/// The same as a typed call with nothing between its two sides.
fn alone(reading: &Reading) -> serde_json::Result<Advice> {
    let input = serde_json::to_vec(reading)?;
    let advice = serde_json::from_slice::<Reading>(&input)?.advise();
    let output = serde_json::to_vec(&advice)?;
    serde_json::from_slice(&output)
}

/// Shares `count` calls among threads that begin at the same moment; the time of the slowest.
fn from_threads(threads: u64, count: u64, capability: &Capability) -> Duration {
    let begin = Barrier::new(threads as usize);
    let share = count.div_ceil(threads);
    thread::scope(|scope| {
        let work = || {
            let (capability, input) = (capability.clone(), Payload::copy_from_slice(&BYTES));
            begin.wait();
            let began = Instant::now();
            let _ = timed(share, || call(&capability, &input));
            (began, Instant::now())
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let times: Vec<_> = running
            .into_iter()
            .map(|thread| thread.join().expect("calls do not panic"))
            .collect();
        let first = times.iter().map(|(began, _)| *began).min();
        let last = times.iter().map(|(_, ended)| *ended).max();
        last.zip(first)
            .map_or(Duration::ZERO, |(last, first)| last - first)
    })
}
