//! How events grow: with the subscribers, and with subscriptions of which few match.

use std::path::Path;

use anyhow::{Result, ensure};
use octa_kernel::Config;

use super::Growth;
use crate::{
    fanout::{Channels, Subscribers},
    host::Host,
    measure::Pace,
    subscriptions::{Change, Topics, Town},
};

pub(super) fn measure(plugin: &Path, pace: Pace) -> Result<Vec<Growth>> {
    let host = Host::start_with(plugin, Config::default())?;
    let publish = subscribers(&host, pace);
    host.stop();
    Ok(vec![
        publish?,
        matches(plugin, pace)?,
        changes(plugin, pace)?,
    ])
}

fn subscribers(host: &Host, pace: Pace) -> Result<Growth> {
    let counts = [1, 10, 100, 1_000];
    let lines = ["events", "sends on bounded tokio channels"];
    Growth::of(
        "publish to all of them",
        "subscribers",
        &lines,
        &counts,
        |count| {
            let mut subscribers = Subscribers::new(&host.kernel, count)?;
            let mut channels = Channels::new(count);
            let took = vec![
                pace.alone(&mut |count| subscribers.publish(count)),
                pace.alone(&mut |count| channels.send(count)),
            ];
            ensure!(subscribers.dropped() == 0, "events were lost");
            Ok(took)
        },
    )
}

/// Of which one in a hundred matches what is published.
fn town(plugin: &Path, subscriptions: usize) -> Result<Town> {
    let matching = subscriptions / 100;
    Town::new(plugin, matching, subscriptions - matching)
}

const SUBSCRIPTIONS: [usize; 4] = [100, 1_000, 10_000, 100_000];

fn matches(plugin: &Path, pace: Pace) -> Result<Growth> {
    let lines = ["on a known topic", "on ever new topics"];
    let title = "publish, for each match (1 %)";
    Growth::of(title, "subscriptions", &lines, &SUBSCRIPTIONS, |count| {
        let mut town = town(plugin, count)?;
        let took = [Topics::Known, Topics::New];
        let took = took.map(|topics| pace.alone(&mut |count| town.publish(topics, count)));
        town.stop();
        Ok(took.to_vec())
    })
}

fn changes(plugin: &Path, pace: Pace) -> Result<Growth> {
    let lines = ["subscribe", "unsubscribe"];
    let title = "coming and going";
    Growth::of(title, "subscriptions", &lines, &SUBSCRIPTIONS, |count| {
        let mut town = town(plugin, count)?;
        let took = [Change::Subscribe, Change::Unsubscribe];
        let took = took.map(|change| pace.alone(&mut |count| town.change(change, count)));
        town.stop();
        Ok(took.to_vec())
    })
}
