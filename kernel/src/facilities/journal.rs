//! The operations on the journal.

use octa_loader::{BoxFuture, Outcome, Request, Submitted, operation};
use octa_plugin_api::{Error, ErrorKind, Payload};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Facilities, errors, values::present};
use crate::{
    authorize::Wish,
    journal::{Fact, Journal, JournalError, Notice, Novelty, Part, Telling, Trim},
    storage::StorageError,
};

/// The flag of facts that are waited for, and of a trim by force.
const FLAG: u32 = 1;

/// What operations say beside their fields; each reads what it needs.
#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    stream: std::borrow::Cow<'a, str>,
    #[serde(default, borrow, deserialize_with = "present")]
    fact: Option<&'a RawValue>,
    part: Option<String>,
    #[serde(default, borrow, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(default)]
    expected: Vec<String>,
    topic: Option<String>,
    #[serde(default)]
    limit: usize,
}

#[derive(Serialize)]
struct Told {
    novelty: Novelty,
    missing: Vec<String>,
}

impl Facilities {
    /// Does an operation on the journal.
    pub(super) fn journal(&self, request: &Request<'_>) -> Result<Submitted, Error> {
        self.may_have(Wish::Storage(request.target))?;
        let input: Input<'_> = serde_json::from_slice(&request.payload)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        if let Some(topic) = &input.topic {
            self.may_publish(topic)?;
        }
        let plugin = &self.manifest.name;
        if self.trial.is_on() && writes(request.operation) {
            let what = format!("write stream `{}` of `{}`", input.stream, request.target);
            return Err(errors::too_early(plugin, &what));
        }
        let journals = &self.commons.journals;
        let journal = journals.journal(request.target, &input.stream, plugin);
        let journal = journal.map_err(|error| told(plugin, error))?;
        let work = self.work(journal, request, input)?;
        Ok(Submitted::New(Box::pin(async move {
            work.await.unwrap_or_else(Outcome::from)
        })))
    }

    fn work(
        &self,
        journal: Journal,
        request: &Request<'_>,
        input: Input<'_>,
    ) -> Result<Work, Error> {
        let (key, number, limit) = (request.key.to_owned(), request.number, input.limit);
        let is_flagged = request.flags & FLAG != 0;
        let plugin = self.manifest.name.clone();
        let told = move |error| told(&plugin, error);
        Ok(match request.operation {
            operation::JOURNAL_RECORD | operation::JOURNAL_GATHER => {
                return self.write(journal, request, input);
            }
            operation::JOURNAL_FIND => Box::pin(async move {
                let found = journal.find(&key).await.map_err(&told)?;
                let found = found.ok_or_else(|| not_found(&journal, &key))?;
                answer(0, &telling(&journal, &found)?)
            }),
            operation::JOURNAL_FACTS => Box::pin(async move {
                let facts = match is_flagged {
                    true => journal.facts_to_come(number, limit).await,
                    false => journal.facts(number, limit).await,
                };
                list(&journal, &facts.map_err(told)?)
            }),
            operation::JOURNAL_NEXT => Box::pin(async move {
                let consumer = journal.consumer(&key).map_err(&told)?;
                list(&journal, &consumer.next(limit).await.map_err(told)?)
            }),
            operation::JOURNAL_ACKNOWLEDGE => Box::pin(async move {
                let consumer = journal.consumer(&key).map_err(&told)?;
                count(consumer.acknowledge(number).await.map_err(told)?)
            }),
            operation::JOURNAL_FORGET => Box::pin(async move {
                let consumer = journal.consumer(&key).map_err(&told)?;
                count(consumer.forget().await.map_err(told)?.into())
            }),
            operation::JOURNAL_UNFINISHED => Box::pin(async move {
                let after = Some(&*key).filter(|key| !key.is_empty());
                answer(0, &journal.unfinished(after, limit).await.map_err(told)?)
            }),
            operation::JOURNAL_DROP_PARTS => {
                Box::pin(async move { count(journal.drop_parts(&key).await.map_err(told)?.into()) })
            }
            operation::JOURNAL_TRIM => Box::pin(async move {
                let trim = match is_flagged {
                    true => Trim::Forced,
                    false => Trim::Acknowledged,
                };
                count(journal.trim(number, trim).await.map_err(told)?)
            }),
            _ => return Err(unknown(request)),
        })
    }

    /// Records a fact, or a part of one.
    fn write(
        &self,
        journal: Journal,
        request: &Request<'_>,
        input: Input<'_>,
    ) -> Result<Work, Error> {
        let (key, correlation_id) = (request.key.to_owned(), request.envelope.correlation);
        let is_whole = request.operation == operation::JOURNAL_RECORD;
        let value = if is_whole { input.fact } else { input.value };
        let value = value.ok_or_else(|| missing(if is_whole { "fact" } else { "value" }))?;
        let value = Payload::from(value.get().as_bytes());
        let (topic, expected) = (input.topic, input.expected);
        let plugin = self.manifest.name.clone();
        let told = move |error| told(&plugin, error);
        if is_whole {
            return Ok(Box::pin(async move {
                let notice = notice(&topic, correlation_id);
                let recorded = journal.record(&key, value, notice).await.map_err(told)?;
                let (novelty, missing) = (recorded.novelty, Vec::new());
                answer(recorded.position, &Told { novelty, missing })
            }));
        }
        let name = input.part.ok_or_else(|| missing("part"))?;
        Ok(Box::pin(async move {
            let notice = notice(&topic, correlation_id);
            let expected: Vec<_> = expected.iter().map(String::as_str).collect();
            let part = Part {
                name: &name,
                value: &value,
                expected: &expected,
            };
            let gathered = journal.gather(&key, part, notice).await.map_err(told)?;
            let (novelty, missing) = (gathered.novelty, gathered.missing);
            let position = gathered.position.unwrap_or(0);
            answer(position, &Told { novelty, missing })
        }))
    }
}

type Work = BoxFuture<Result<Outcome, Error>>;

/// Whether an operation changes what is there; asking for the next facts makes a consumer known.
fn writes(operation: u32) -> bool {
    !matches!(
        operation,
        operation::JOURNAL_FIND | operation::JOURNAL_FACTS | operation::JOURNAL_UNFINISHED
    )
}

fn notice(topic: &Option<String>, correlation_id: u128) -> Option<Notice<'_>> {
    let topic = topic.as_deref()?;
    Some(Notice {
        topic,
        correlation_id,
    })
}

fn answer(number: u64, payload: &impl Serialize) -> Result<Outcome, Error> {
    Ok(Outcome::ok(number, Payload::json(payload)?))
}

fn count(number: u64) -> Result<Outcome, Error> {
    Ok(Outcome::ok(number, Payload::empty()))
}

fn list(journal: &Journal, facts: &[Fact]) -> Result<Outcome, Error> {
    let facts = facts.iter().map(|fact| telling(journal, fact));
    answer(0, &facts.collect::<Result<Vec<_>, _>>()?)
}

fn telling<'a>(journal: &'a Journal, fact: &'a Fact) -> Result<Telling<'a>, Error> {
    Ok(Telling {
        stream: journal.stream(),
        position: fact.position,
        key: &fact.key,
        time: fact.time,
        source: &fact.source,
        fact: serde_json::from_slice(&fact.value)?,
    })
}

/// An error of the journal as the plugin sees it.
fn told(plugin: &str, error: JournalError) -> Error {
    let kind = match &error {
        JournalError::Storage { source, .. } => match source {
            StorageError::Quota(_) => ErrorKind::TooLarge,
            StorageError::Conflict(_) => ErrorKind::Conflict,
            StorageError::Invalid(_) => ErrorKind::InvalidInput,
            _ => ErrorKind::Unavailable,
        },
        JournalError::Size { .. } => ErrorKind::TooLarge,
        JournalError::Busy { .. } => ErrorKind::Conflict,
        JournalError::Unreadable { .. } => ErrorKind::Internal,
        JournalError::NoFact { .. } => ErrorKind::NotFound,
        _ => ErrorKind::InvalidInput,
    };
    let hint = error.hint();
    let mut message = format!("plugin `{plugin}`: {error}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let error = Error::new(kind, message);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn not_found(journal: &Journal, key: &str) -> Error {
    let (stream, namespace) = (journal.stream(), journal.namespace());
    let message = format!("key `{key}` in stream `{stream}` of `{namespace}` has no fact");
    Error::new(ErrorKind::NotFound, message)
}

fn missing(field: &str) -> Error {
    let message = format!("the operation has no `{field}`");
    Error::new(ErrorKind::InvalidInput, message)
}

fn unknown(request: &Request<'_>) -> Error {
    let operation = request.operation;
    let message = format!("this kernel does not know the operation {operation:#06x}");
    Error::new(ErrorKind::Unsupported, message)
}
