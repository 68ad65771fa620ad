//! The journal: facts written once under a key, parts gathered to wholes, consumers that go on
//! where they were.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use octa_plugin_abi::operation;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{
    Context, Payload,
    error::{ErrorKind, Result},
    host::Ask,
};

/// One stream of facts, in a namespace of the storage.
///
/// ```
/// # use octa_plugin_api::{Context, Event, Fact, Result};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Reading { watts: u32 }
///
/// async fn measured(ctx: &Context, id: &str, reading: &Reading) -> Result<()> {
///     let recorded = ctx.journal("readings").event("meters.read").record(id, reading).await?;
///     if recorded.is_new() {
///         octa_plugin_api::log::info!("{id} is number {}", recorded.position);
///     }
///     Ok(())
/// }
///
/// async fn bill(ctx: &Context) -> Result<()> {
///     let journal = ctx.journal("readings");
///     let billing = journal.consumer("billing");
///     loop {
///         let reading = billing.next::<Reading>().await?;
///         // … what must happen for each, also if it is told twice …
///         billing.acknowledge(reading.position).await?;
///     }
/// }
///
/// // On the event's side: the same fact, which can be told from a repeat by its position.
/// async fn read(event: Event<Fact<Reading>>) -> Result<()> {
///     octa_plugin_api::log::info!("{}: {:?}", event.data.position, event.data.data);
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Journal<'a> {
    context: &'a Context,
    namespace: &'a str,
    stream: &'a str,
    topic: Option<&'a str>,
}

/// A fact of a stream, as it is read, and as its event carries it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Fact<T> {
    /// Its place in the stream, the same for ever: who has seen it has seen this fact.
    pub position: u64,
    /// The key that it was written under.
    pub key: String,
    /// When it was written.
    #[serde(deserialize_with = "moment")]
    pub time: SystemTime,
    /// Who wrote it.
    pub source: String,
    /// What it says.
    #[serde(rename = "fact")]
    pub data: T,
}

/// Whether something was new to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Novelty {
    /// It was, and is written now.
    New,
    /// It was there before, the same.
    Repeated,
    /// Something else was there before, and stays.
    Different,
}

/// What came of recording a fact: the key has one from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The position of the fact that the key has.
    pub position: u64,
    /// Whether it is the one that was given.
    pub novelty: Novelty,
}

impl Recorded {
    /// Whether the fact was written just now.
    pub fn is_new(&self) -> bool {
        self.novelty == Novelty::New
    }
}

/// What came of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gathered {
    /// The position of the whole, once it is there.
    pub position: Option<u64>,
    /// The parts that it waits for.
    pub missing: Vec<String>,
    /// Whether the part was new.
    pub novelty: Novelty,
}

impl Gathered {
    /// Whether the whole is written.
    pub fn is_whole(&self) -> bool {
        self.position.is_some()
    }
}

/// A fact of which parts are missing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Unfinished {
    /// Its key.
    pub key: String,
    /// When its first part came.
    #[serde(deserialize_with = "moment")]
    pub time: SystemTime,
    /// The parts that are there.
    pub found: Vec<String>,
    /// The parts that are not.
    pub missing: Vec<String>,
}

impl<'a> Journal<'a> {
    pub(crate) fn new(context: &'a Context, namespace: &'a str, stream: &'a str) -> Self {
        Self {
            context,
            namespace,
            stream,
            topic: None,
        }
    }

    /// The same stream, where what is recorded is also published on a topic: once the fact is
    /// durable, in the order of the facts, and at least once, also across a crash. The event
    /// carries the [`Fact`].
    #[must_use]
    pub fn event(mut self, topic: &'a str) -> Self {
        self.topic = Some(topic);
        self
    }

    /// Writes a fact, durably, unless its key has one: the first stays.
    ///
    /// # Errors
    ///
    /// A missing permission for the namespace or the topic, a name or fact beyond the limits, a
    /// spent quota, or a storage that fails. It may be written then, too: record it again.
    pub async fn record<T: Serialize + ?Sized>(self, key: &str, fact: &T) -> Result<Recorded> {
        let (stream, topic) = (self.stream, self.topic);
        let record = Record {
            stream,
            fact,
            topic,
        };
        let answer = self
            .ask(operation::JOURNAL_RECORD, key)
            .payload(Payload::json(&record)?);
        let answer = answer.await;
        let told: Told = answer.result?.parse()?;
        Ok(Recorded {
            position: answer.number,
            novelty: told.novelty,
        })
    }

    /// Keeps a part of a fact, durably; with the last one of `expected` the whole is written, an
    /// object of all parts by their names.
    ///
    /// The first value of a part stays, and so does the first list of what is expected. The
    /// event is that of the call that brings the last part.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record); and for a part that is not expected, a list that is not that
    /// of the parts before, or a whole that would be too large.
    pub async fn gather<T>(
        self,
        key: &str,
        part: &str,
        value: &T,
        expected: &[&str],
    ) -> Result<Gathered>
    where
        T: Serialize + ?Sized,
    {
        let gather = Gather {
            stream: self.stream,
            part,
            value,
            expected,
            topic: self.topic,
        };
        let answer = self
            .ask(operation::JOURNAL_GATHER, key)
            .payload(Payload::json(&gather)?);
        let answer = answer.await;
        let told: Told = answer.result?.parse()?;
        Ok(Gathered {
            position: Some(answer.number).filter(|position| *position > 0),
            missing: told.missing,
            novelty: told.novelty,
        })
    }

    /// Finds the fact of a key.
    ///
    /// # Errors
    ///
    /// A missing permission, or a fact that is not the JSON of a `T`.
    pub async fn find<T: DeserializeOwned>(self, key: &str) -> Result<Option<Fact<T>>> {
        let answer = self
            .ask(operation::JOURNAL_FIND, key)
            .payload(self.named()?);
        match answer.await.result {
            Ok(fact) => Ok(Some(fact.parse()?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads at most `limit` facts behind a position (0: from the first), in order. None: there
    /// are no more; where they are large there may be fewer than asked for.
    ///
    /// # Errors
    ///
    /// A missing permission, or a fact that is not the JSON of a `T`.
    pub async fn facts<T: DeserializeOwned>(self, after: u64, limit: u32) -> Result<Vec<Fact<T>>> {
        let ask = self.ask(operation::JOURNAL_FACTS, "").number(after);
        ask.payload(self.page(limit)?).await.result?.parse()
    }

    /// The same, but waits until there is one.
    ///
    /// # Errors
    ///
    /// As [`facts`](Self::facts).
    pub async fn facts_to_come<T: DeserializeOwned>(
        self,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Fact<T>>> {
        let ask = self
            .ask(operation::JOURNAL_FACTS, "")
            .number(after)
            .flags(1);
        ask.payload(self.page(limit)?).await.result?.parse()
    }

    /// A durable place in the stream, under a name.
    pub fn consumer(self, name: &'a str) -> Consumer<'a> {
        Consumer {
            journal: self,
            name,
        }
    }

    /// Lists at most `limit` facts of which parts are missing, after a key, in the order of keys.
    ///
    /// # Errors
    ///
    /// A missing permission.
    pub async fn unfinished(self, after: Option<&str>, limit: u32) -> Result<Vec<Unfinished>> {
        let ask = self.ask(operation::JOURNAL_UNFINISHED, after.unwrap_or_default());
        ask.payload(self.page(limit)?).await.result?.parse()
    }

    /// Drops the parts of a fact that is not whole; answers whether there were any.
    ///
    /// # Errors
    ///
    /// A missing permission.
    pub async fn drop_parts(self, key: &str) -> Result<bool> {
        let ask = self.ask(operation::JOURNAL_DROP_PARTS, key);
        let answer = ask.payload(self.named()?).await;
        answer.result.map(|_| answer.number > 0)
    }

    /// Forgets the facts before a position that every consumer has acknowledged, and their keys:
    /// one of these is new again. Answers how many.
    ///
    /// # Errors
    ///
    /// A missing permission.
    pub async fn trim(self, before: u64) -> Result<u64> {
        let ask = self.ask(operation::JOURNAL_TRIM, "").number(before);
        let answer = ask.payload(self.named()?).await;
        answer.result.map(|_| answer.number)
    }

    fn ask<'b>(self, operation: u32, key: &'b str) -> Ask<'b>
    where
        'a: 'b,
    {
        self.context.ask(operation).target(self.namespace).key(key)
    }

    fn named(self) -> Result<Payload> {
        Payload::json(&Named {
            stream: self.stream,
        })
    }

    fn page(self, limit: u32) -> Result<Payload> {
        let stream = self.stream;
        Payload::json(&Page { stream, limit })
    }
}

/// A durable place in a stream: who goes on under its name goes on behind what was acknowledged.
///
/// Two who use one name at the same time get the same facts.
#[derive(Debug, Clone, Copy)]
pub struct Consumer<'a> {
    journal: Journal<'a>,
    name: &'a str,
}

impl Consumer<'_> {
    /// Waits for the first fact that is not acknowledged: the same until it is.
    ///
    /// # Errors
    ///
    /// A missing permission, or a fact that is not the JSON of a `T`.
    pub async fn next<T: DeserializeOwned>(self) -> Result<Fact<T>> {
        loop {
            let first = self.next_facts(1).await?.into_iter().next();
            if let Some(fact) = first {
                return Ok(fact);
            }
        }
    }

    /// Waits for the first facts that are not acknowledged, at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn next_facts<T: DeserializeOwned>(self, limit: u32) -> Result<Vec<Fact<T>>> {
        let ask = self.journal.ask(operation::JOURNAL_NEXT, self.name);
        ask.payload(self.journal.page(limit)?).await.result?.parse()
    }

    /// Is done, durably, with all facts up to a position; answers up to where it is done, which
    /// never goes back.
    ///
    /// # Errors
    ///
    /// A missing permission, or a position where there is no fact yet.
    pub async fn acknowledge(self, position: u64) -> Result<u64> {
        let ask = self.journal.ask(operation::JOURNAL_ACKNOWLEDGE, self.name);
        let answer = ask.number(position).payload(self.journal.named()?).await;
        answer.result.map(|_| answer.number)
    }

    /// Forgets the consumer, which keeps facts from being trimmed; answers whether there was one.
    ///
    /// # Errors
    ///
    /// A missing permission.
    pub async fn forget(self) -> Result<bool> {
        let ask = self.journal.ask(operation::JOURNAL_FORGET, self.name);
        let answer = ask.payload(self.journal.named()?).await;
        answer.result.map(|_| answer.number > 0)
    }
}

#[derive(Serialize)]
struct Record<'a, T: ?Sized> {
    stream: &'a str,
    fact: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
}

#[derive(Serialize)]
struct Gather<'a, T: ?Sized> {
    stream: &'a str,
    part: &'a str,
    value: &'a T,
    expected: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
}

#[derive(Serialize)]
struct Named<'a> {
    stream: &'a str,
}

#[derive(Serialize)]
struct Page<'a> {
    stream: &'a str,
    limit: u32,
}

#[derive(Deserialize)]
struct Told {
    novelty: Novelty,
    #[serde(default)]
    missing: Vec<String>,
}

/// A moment, which crosses as nanoseconds since 1970.
fn moment<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<SystemTime, D::Error> {
    let nanos = u64::deserialize(from)?;
    Ok(UNIX_EPOCH + Duration::from_nanos(nanos))
}
