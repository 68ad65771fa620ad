//! Calls that are treated in one way more than a plain one, each beside the plain call of the same
//! handler in a kernel of its own.

use std::{hint::black_box, path::Path, time::Duration};

use anyhow::{Result, ensure};
use octa_bench_messages::Reading;
use octa_kernel::{CallOptions, Config, Kernel, Payload};

use crate::{
    fanout::{BYTES, in_batches},
    host::{Host, with_copies},
    measure::{ready, timed},
    report::{Goal, Report, Subject},
};

const PLAIN: &str = "the plain call of the same handler";
const ECHO: &str = "bench.echo";
/// How many routing keys take turns.
const KEYS: u64 = 256;

/// A way to call.
struct Feature {
    what: &'static str,
    floor: &'static str,
    /// What `octa.toml` says.
    config: &'static str,
    providers: usize,
    capability: &'static str,
    /// What its last step is.
    handler: &'static str,
    brings: Brings,
}

/// What a call brings beside its input.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Brings {
    Nothing,
    /// An idempotency key that never came before.
    NewKey,
    /// One of a few routing keys.
    RoutingKey,
}

impl Feature {
    /// A setting of `bench.echo`.
    const fn of(what: &'static str, config: &'static str) -> Self {
        Self {
            what,
            floor: PLAIN,
            config,
            providers: 1,
            capability: ECHO,
            handler: ECHO,
            brings: Brings::Nothing,
        }
    }
}

const FEATURES: [Feature; 11] = [
    Feature::of("call, measured", "kernel.measure = true"),
    Feature::of(
        "call, in a bulkhead with room",
        "capabilities.'bench.echo'.concurrency = 8",
    ),
    Feature::of(
        "call, behind a closed breaker",
        "capabilities.'bench.echo'.breaker = true",
    ),
    Feature::of(
        "call, with retries that none needs",
        "capabilities.'bench.echo'.retry = true",
    ),
    Feature::of(
        "call, within a rate limit",
        "capabilities.'bench.echo'.rate = { calls = 1_000_000_000, per = '1s' }",
    ),
    Feature::of(
        "call, with a fallback that none needs",
        "capabilities.'bench.echo'.fallback = 'bench.echo_async'",
    ),
    Feature {
        capability: "bench.advise",
        handler: "bench.advise",
        ..Feature::of(
            "call of typed JSON, checked on both ways",
            "capabilities.'bench.advise'.check = true",
        )
    },
    Feature {
        floor: "the same call without a key",
        brings: Brings::NewKey,
        ..Feature::of("call, with a new idempotency key each", "")
    },
    Feature {
        floor: "the same call with one provider and without a key",
        providers: 2,
        brings: Brings::RoutingKey,
        ..Feature::of(
            "call, by key to one of 2 providers",
            "capabilities.'bench.echo'.routing = 'by-key'",
        )
    },
    Feature {
        providers: 2,
        ..Feature::of("call, in turn to 2 providers", "")
    },
    Feature {
        capability: "bench.pipeline",
        ..Feature::of(
            "call of a pipeline of one step",
            "pipelines.'bench.pipeline' = ['bench.echo']",
        )
    },
];

/// Measures each; `host` is a kernel in which all calls are plain.
pub(crate) fn measure(host: &Host, plugin: &Path, report: &mut Report) -> Result<()> {
    for feature in &FEATURES {
        let subject = Subject {
            what: feature.what,
            floor: feature.floor,
            goal: Goal::Told,
        };
        if !report.wants(&subject) {
            continue;
        }
        let featured = featured(plugin, feature.config, feature.providers)?;
        let mut plain = Caller::new(&host.kernel, feature.handler, feature.brings)?.plain();
        let mut ours = Caller::new(&featured.kernel, feature.capability, feature.brings)?;
        ensure!(plain.answer()? == ours.answer()?, "another answer");
        report.row(
            subject,
            report.pace().in_fewer_turns(4),
            &mut |count| plain.call(count),
            &mut |count| ours.call(count),
        );
        featured.stop();
    }
    Ok(())
}

/// A kernel with so many providers that is told this.
pub(crate) fn featured(plugin: &Path, config: &str, providers: usize) -> Result<Host> {
    let config = Config::parse(config, "octa.toml")?;
    Host::start_many(plugin, providers, config)
}

/// Says something else to a kernel with so many providers, while it runs.
pub(crate) fn tell(host: &Host, config: &str, providers: usize) -> Result<()> {
    let config = with_copies(Config::parse(config, "octa.toml")?, providers)?;
    let applied = host.runtime.block_on(host.kernel.apply(config));
    ensure!(applied.problems.is_empty(), "{:?}", applied.problems);
    Ok(())
}

/// Who calls a capability again and again.
pub(crate) struct Caller {
    kernel: Kernel,
    capability: octa_kernel::Capability,
    input: Payload,
    brings: Brings,
    is_plain: bool,
    /// How many keys were made up.
    keys: u64,
}

impl Caller {
    pub(crate) fn new(kernel: &Kernel, capability: &str, brings: Brings) -> Result<Self> {
        let input = match capability {
            "bench.advise" => serde_json::to_vec(&Reading::sample())?.into(),
            _ => Payload::copy_from_slice(&BYTES),
        };
        Ok(Self {
            kernel: kernel.clone(),
            capability: kernel.capability(capability)?,
            input,
            brings,
            is_plain: false,
            keys: 0,
        })
    }

    /// Calls in the same way, but brings nothing.
    fn plain(self) -> Self {
        Self {
            is_plain: true,
            ..self
        }
    }

    fn answer(&mut self) -> Result<Vec<u8>> {
        let options = self.options(1);
        let name = self.capability.name();
        let answer = ready(self.kernel.call_with(name, &self.input, &options[0]))?;
        Ok(answer.to_vec())
    }

    pub(crate) fn call(&mut self, count: u64) -> Duration {
        match self.brings {
            Brings::Nothing => timed(count, || {
                let answer = ready(self.capability.call(black_box(&self.input)));
                drop(black_box(answer.expect("it answered before")));
            }),
            Brings::NewKey | Brings::RoutingKey => in_batches(count, |count| self.bring(count)),
        }
    }

    fn bring(&mut self, count: u64) -> Duration {
        let options = self.options(count);
        let mut next = options.iter();
        let name = self.capability.name();
        timed(count, || {
            let options = next.next().expect("there is one for each");
            let answer = ready(self.kernel.call_with(name, black_box(&self.input), options));
            drop(black_box(answer.expect("it answered before")));
        })
    }

    /// The circumstances of so many calls.
    fn options(&mut self, count: u64) -> Vec<CallOptions> {
        let option = |number: u64| match self.brings {
            Brings::NewKey if !self.is_plain => CallOptions {
                idempotency_key: format!("key-{number:08}"),
                ..CallOptions::default()
            },
            Brings::RoutingKey if !self.is_plain => CallOptions {
                routing_key: format!("key-{:08}", number % KEYS),
                ..CallOptions::default()
            },
            _ => CallOptions::default(),
        };
        let first = self.keys;
        self.keys += count;
        (first..self.keys).map(option).collect()
    }
}
