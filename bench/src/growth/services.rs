//! How calls grow: with the providers, the steps of a pipeline, the results that are remembered.

use std::path::Path;

use anyhow::Result;

use super::Growth;
use crate::{
    features::{Brings, Caller, featured, tell},
    measure::Pace,
};

const ROUTINGS: [&str; 4] = ["round-robin", "failover", "least-in-flight", "by-key"];

pub(super) fn measure(plugin: &Path, pace: Pace) -> Result<Vec<Growth>> {
    Ok(vec![
        providers(plugin, pace)?,
        steps(plugin, pace)?,
        results(plugin, pace)?,
    ])
}

fn providers(plugin: &Path, pace: Pace) -> Result<Growth> {
    let counts = [1, 10, 100, 1_000];
    Growth::of(
        "a call, by routing",
        "providers",
        &ROUTINGS,
        &counts,
        |count| {
            let host = featured(plugin, "", count)?;
            let by = |routing| {
                let config = format!("capabilities.'bench.echo'.routing = '{routing}'");
                tell(&host, &config, count)?;
                let brings = match routing {
                    "by-key" => Brings::RoutingKey,
                    _ => Brings::Nothing,
                };
                let mut caller = Caller::new(&host.kernel, "bench.echo", brings)?;
                Ok(pace.alone(&mut |count| caller.call(count)))
            };
            let took = ROUTINGS.into_iter().map(by).collect();
            host.stop();
            took
        },
    )
}

fn steps(plugin: &Path, pace: Pace) -> Result<Growth> {
    let counts = [1, 2, 4, 8, 16, 32];
    let lines = ["pipeline", "as many plain calls"];
    Growth::of("a pipeline", "steps", &lines, &counts, |count| {
        let steps = ["'bench.echo'"].repeat(count).join(", ");
        let config = format!("pipelines.'bench.pipeline' = [{steps}]");
        let host = featured(plugin, &config, 1)?;
        let mut pipeline = Caller::new(&host.kernel, "bench.pipeline", Brings::Nothing)?;
        let mut plain = Caller::new(&host.kernel, "bench.echo", Brings::Nothing)?;
        let took = vec![
            pace.alone(&mut |repeats| pipeline.call(repeats)),
            pace.alone(&mut |repeats| plain.call(repeats * count as u64)),
        ];
        host.stop();
        Ok(took)
    })
}

fn results(plugin: &Path, pace: Pace) -> Result<Growth> {
    let counts = [1, 10, 100, 1_000, 10_000, 100_000];
    let lines = ["with a new idempotency key"];
    Growth::of(
        "a call with a key",
        "results remembered",
        &lines,
        &counts,
        |count| {
            let config = format!(
                "capabilities.'bench.echo'.remember = {{ results = {count}, bytes = '1GiB' }}"
            );
            let host = featured(plugin, &config, 1)?;
            let mut caller = Caller::new(&host.kernel, "bench.echo", Brings::NewKey)?;
            // As many as there will be, so that each new one is one too many.
            caller.call(count as u64);
            let took = pace.alone(&mut |count| caller.call(count));
            host.stop();
            Ok(vec![took])
        },
    )
}
