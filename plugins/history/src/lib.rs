//! Remembers what happened: events become records in the storage, the oldest give way. Patterns
//! of topics are the job of `topics`.

mod topics;

use std::{
    num::NonZeroU32,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use octa_plugin_api::{
    Batch, Context, Error, ErrorKind, Event, Json, Payload, Result, Schema, Tentacle, log, tentacle,
};
use serde::{Deserialize, Serialize, de::IgnoredAny};

/// How many records one page of the storage brings.
const PAGE: u32 = 500;

/// The plugin's section of the configuration.
#[derive(Debug, Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The patterns of the topics that are remembered.
    topics: Vec<String>,
    /// How many events are kept.
    keep: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            topics: vec!["**".to_owned()],
            keep: 10_000,
        }
    }
}

/// An event that is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
struct Record {
    /// What it was about.
    topic: String,
    /// Who published it.
    source: String,
    /// When, in milliseconds since 1970.
    time: u64,
    /// What it said.
    data: Json,
}

/// Which records are wanted.
#[derive(Debug, Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
struct Query {
    /// A pattern of topics.
    topic: String,
    /// From when on, in milliseconds since 1970.
    since: u64,
    /// How many at most.
    limit: NonZeroU32,
    /// Where the last page ended.
    after: Option<String>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            topic: "**".to_owned(),
            since: 0,
            limit: NonZeroU32::MIN.saturating_add(99),
            after: None,
        }
    }
}

/// Some records, the oldest first.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, Schema)]
struct Found {
    records: Vec<Record>,
    /// The `after` of the next page; none on the last one.
    next: Option<String>,
}

/// The plugin.
#[derive(Debug)]
struct History {
    settings: Settings,
    /// How many events are remembered; empty until that is known.
    count: OnceLock<AtomicU64>,
}

/// Remembers events and tells of them.
#[tentacle(storage = "history", state_version = 1)]
impl Tentacle for History {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        Ok(Self {
            settings,
            count: OnceLock::new(),
        })
    }

    /// Counts what earlier runs left.
    async fn start(&self, ctx: &Context) -> Result<()> {
        if self.count.get().is_some() {
            return Ok(());
        }
        let (mut count, mut after) = (0, None);
        loop {
            let page = ctx
                .storage()
                .list::<IgnoredAny>("", after.as_deref(), PAGE)
                .await?;
            count += page.entries.len() as u64;
            after = page.next;
            if after.is_none() {
                log::info!("{count} events are remembered");
                self.know(count);
                return Ok(());
            }
        }
    }

    fn save(&self, _: &Context) -> Result<Payload> {
        Payload::json(&self.count())
    }

    fn restore(&self, _: &Context, version: u32, state: Payload) -> Result<()> {
        if version != 1 {
            let message = format!("a count of version {version} is not known here");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        self.know(state.parse()?);
        Ok(())
    }

    #[subscribe("**")]
    async fn record(&self, ctx: &Context, event: Event<Json>) -> Result<()> {
        let mut patterns = self.settings.topics.iter();
        if !patterns.any(|pattern| topics::matches(pattern, &event.topic)) {
            return Ok(());
        }
        let time = event.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let key = key(time, event.id);
        let record = Record {
            topic: event.topic,
            source: event.source,
            time: milliseconds(time),
            data: event.data,
        };
        let surplus = self.surplus(ctx).await?;
        let batch = Batch::new().set(&key, &record)?;
        let batch = surplus.iter().fold(batch, |batch, key| batch.delete(key));
        ctx.storage().batch(batch).await?;
        // Events come one at a time, so nobody else counts meanwhile.
        self.know(self.count() + 1 - surplus.len() as u64);
        Ok(())
    }

    /// Tells what happened, page by page.
    #[capability("history.query", idempotent)]
    async fn query(&self, ctx: &Context, query: Query) -> Result<Found> {
        let start = key(Duration::from_millis(query.since), 0);
        let mut after = Some(query.after.unwrap_or(start));
        let mut found = Found::default();
        while after.is_some() {
            let page = ctx
                .storage()
                .list::<Record>("", after.as_deref(), PAGE)
                .await?;
            let matching = page.entries.into_iter();
            for entry in matching.filter(|e| topics::matches(&query.topic, &e.value.topic)) {
                if found.records.len() as u64 == u64::from(query.limit.get()) {
                    return Ok(found);
                }
                found.records.push(entry.value);
                found.next = Some(entry.key);
            }
            after = page.next;
        }
        found.next = None;
        Ok(found)
    }

    /// Tells how many events are remembered.
    #[capability("history.count", idempotent)]
    fn count(&self) -> u64 {
        let count = self.count.get();
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl History {
    fn know(&self, count: u64) {
        let known = self.count.get_or_init(AtomicU64::default);
        known.store(count, Ordering::Relaxed);
    }

    /// The oldest keys, which one more record is too many for. Events come one at a time, so
    /// nobody else counts meanwhile.
    async fn surplus(&self, ctx: &Context) -> Result<Vec<String>> {
        let surplus = (self.count() + 1).saturating_sub(self.settings.keep);
        if surplus == 0 {
            return Ok(Vec::new());
        }
        let limit = u32::try_from(surplus).unwrap_or(PAGE).min(PAGE);
        let oldest = ctx.storage().list::<IgnoredAny>("", None, limit).await?;
        Ok(oldest.entries.into_iter().map(|entry| entry.key).collect())
    }
}

/// A key that sorts by time; the event's id tells events of one moment apart.
fn key(time: Duration, id: u64) -> String {
    format!("{:020}-{id:020}", time.as_nanos())
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
