//! Very many subscriptions of which few match: what a publish costs each that does, and what it
//! costs to come and to go.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use octa_kernel::{Config, Kernel, Payload, bus::Subscription};

use crate::{
    fanout::{BYTES, empty, in_batches},
    host::Host,
    measure::{ready, timed},
    report::{Goal, Report, Subject},
};

const MATCHING: usize = 1_000;
const OTHERS: usize = 99_000;
const ALONE: &str = "the same where all of 1,000 subscriptions match";
const EMPTY: &str = "the same where there are 1,000";

const KNOWN: Subject = Subject {
    what: "publish where 1,000 of 100,000 subscriptions match, for each of them",
    floor: ALONE,
    goal: Goal::Told,
};
const NEW: Subject = Subject {
    what: "publish on ever new topics where 1,000 of 100,000 subscriptions match, for each of them",
    floor: ALONE,
    goal: Goal::Told,
};
const SUBSCRIBE: Subject = Subject {
    what: "subscribe where there are 100,000 subscriptions",
    floor: EMPTY,
    goal: Goal::Told,
};
const UNSUBSCRIBE: Subject = Subject {
    what: "unsubscribe where there are 100,000 subscriptions",
    floor: EMPTY,
    goal: Goal::Told,
};

pub(crate) fn measure(plugin: &Path, report: &mut Report) -> Result<()> {
    if ![KNOWN, NEW, SUBSCRIBE, UNSUBSCRIBE]
        .iter()
        .any(|row| report.wants(row))
    {
        return Ok(());
    }
    let mut alone = Town::new(plugin, MATCHING, 0)?;
    let mut crowded = Town::new(plugin, MATCHING, OTHERS)?;
    let publishing = report.pace().in_fewer_turns(8);
    for (subject, topics) in [(KNOWN, Topics::Known), (NEW, Topics::New)] {
        report.row(
            subject,
            publishing,
            &mut |count| alone.publish(topics, count),
            &mut |count| crowded.publish(topics, count),
        );
    }
    let changing = report.pace().in_fewer_turns(4);
    for (subject, change) in [
        (SUBSCRIBE, Change::Subscribe),
        (UNSUBSCRIBE, Change::Unsubscribe),
    ] {
        report.row(
            subject,
            changing,
            &mut |count| alone.change(change, count),
            &mut |count| crowded.change(change, count),
        );
    }
    ensure!(alone.dropped() + crowded.dropped() == 0, "events were lost");
    alone.host.stop();
    crowded.host.stop();
    Ok(())
}

/// What is published on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Topics {
    /// The same again and again.
    Known,
    /// None twice, so that nobody can remember who listens.
    New,
}

/// What is measured of a subscription.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Subscribe,
    Unsubscribe,
}

/// A kernel with subscriptions, some of which match what is published, with and without wildcards.
pub(crate) struct Town {
    host: Host,
    matching: Vec<Subscription>,
    _others: Vec<Subscription>,
    /// How many names were made up.
    names: u64,
}

impl Town {
    pub(crate) fn new(plugin: &Path, matching: usize, others: usize) -> Result<Self> {
        let host = Host::start_with(plugin, Config::default())?;
        let pattern = |number: usize| match number % 3 {
            0 => "street.*.light",
            1 => "street.**",
            _ => "*.*.light",
        };
        let matching = (0..matching).map(|it| subscribe(&host.kernel, pattern(it)));
        let matching = matching.collect::<Result<_>>()?;
        let others = (0..others).map(|it| subscribe(&host.kernel, &elsewhere(it as u64)));
        let others = others.collect::<Result<_>>()?;
        Ok(Self {
            host,
            matching,
            _others: others,
            names: 0,
        })
    }

    /// Publishes until so many subscriptions were matched; the time for that.
    pub(crate) fn publish(&mut self, topics: Topics, matches: u64) -> Duration {
        let each = self.matching.len() as u64;
        let publishes = matches.div_ceil(each);
        let took = in_batches(publishes, |count| {
            let topics = self.topics(topics, count);
            let bytes = Payload::copy_from_slice(&BYTES);
            let mut next = topics.iter().cycle();
            let took = timed(count, || {
                let topic = next.next().expect("there is one");
                let matched = ready(self.host.kernel.publish(topic, &bytes));
                assert_eq!(matched.expect("a good topic") as u64, each);
            });
            empty(&mut self.matching);
            took
        });
        took.mul_f64(matches as f64 / (publishes * each) as f64)
    }

    /// Subscribes so many times what nobody publishes to, and ends that.
    pub(crate) fn change(&mut self, change: Change, count: u64) -> Duration {
        in_batches(count, |count| {
            let patterns: Vec<_> = (0..count).map(|_| elsewhere(self.name())).collect();
            let mut subscriptions = Vec::with_capacity(patterns.len());
            let begin = Instant::now();
            for pattern in &patterns {
                subscriptions.push(ready(self.host.kernel.subscribe(pattern)));
            }
            let made = begin.elapsed();
            let begin = Instant::now();
            drop(subscriptions);
            match change {
                Change::Subscribe => made,
                Change::Unsubscribe => begin.elapsed(),
            }
        })
    }

    pub(crate) fn stop(self) {
        self.host.stop();
    }

    fn topics(&mut self, topics: Topics, count: u64) -> Vec<String> {
        match topics {
            Topics::Known => vec!["street.7.light".to_owned()],
            Topics::New => (0..count)
                .map(|_| format!("street.n{}.light", self.name()))
                .collect(),
        }
    }

    fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    fn dropped(&self) -> u64 {
        let dropped = self.matching.iter().map(|it| it.counters().dropped);
        dropped.sum()
    }
}

fn subscribe(kernel: &Kernel, pattern: &str) -> Result<Subscription> {
    Ok(ready(kernel.subscribe(pattern))?)
}

/// A pattern that nothing of what is published matches.
fn elsewhere(number: u64) -> String {
    match number % 4 {
        0 => format!("house.{number}.light"),
        1 => format!("house.{number}.*"),
        2 => format!("house.{number}.**"),
        _ => format!("*.{number}.door"),
    }
}
