//! The last event of each topic whose publisher wanted it kept for subscribers to come; who is
//! handed them, and when, is decided by `hub` and `publisher`.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use octa_loader::{NameError, Pattern};
use thiserror::Error;

use super::Event;

/// The most topics that have a retained event at once.
pub const RETAINED_TOPICS_MAX: usize = 65_536;
/// The most bytes of all retained events: their topics and payloads.
pub const RETAINED_BYTES_MAX: usize = 64 << 20;

/// Why an event was not retained. It was not published either.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RetainError {
    /// The topic is not valid.
    #[error(transparent)]
    Topic(#[from] NameError),
    /// Too many topics have a retained event.
    #[error(
        "the event on `{topic}` cannot be retained: {limit} topics have one, which is the most"
    )]
    Topics {
        /// The topic that would be one more.
        topic: String,
        /// The most there can be.
        limit: usize,
    },
    /// There is no room for so many bytes.
    #[error(
        "the event on `{topic}` cannot be retained: it has {found} bytes, and {left} of {limit} \
         are left"
    )]
    Bytes {
        /// Its topic.
        topic: String,
        /// The bytes of topic and payload.
        found: usize,
        /// How many there could be.
        left: usize,
        /// The most of all retained events.
        limit: usize,
    },
}

impl RetainError {
    /// Whether it would not fit if nothing else were retained.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Bytes { found, limit, .. } if found > limit)
    }

    /// The way out.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Topic(error) => error.hint(),
            error if error.is_too_large() => None,
            _ => Some("clear the topics that nobody needs any more".to_owned()),
        }
    }
}

/// The retained events of one bus.
#[derive(Debug)]
pub(super) struct Retained {
    events: BTreeMap<Arc<str>, Kept>,
    /// Counts what was ever retained.
    order: u64,
    bytes: usize,
    topics_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Kept {
    order: u64,
    event: Arc<Event>,
}

impl Default for Retained {
    fn default() -> Self {
        Self::bounded(RETAINED_TOPICS_MAX, RETAINED_BYTES_MAX)
    }
}

impl Retained {
    fn bounded(topics_max: usize, bytes_max: usize) -> Self {
        Self {
            events: BTreeMap::new(),
            order: 0,
            bytes: 0,
            topics_max,
            bytes_max,
        }
    }

    /// Whether there is room for an event on this topic, in the place of the one before.
    pub(super) fn check(&self, topic: &str, payload: usize) -> Result<(), RetainError> {
        let before = self.events.get(topic);
        if before.is_none() && self.events.len() >= self.topics_max {
            return Err(RetainError::Topics {
                topic: topic.to_owned(),
                limit: self.topics_max,
            });
        }
        let others = self.bytes - before.map_or(0, |kept| size(&kept.event));
        let (found, left) = (topic.len() + payload, self.bytes_max - others);
        if found <= left {
            return Ok(());
        }
        Err(RetainError::Bytes {
            topic: topic.to_owned(),
            found,
            left,
            limit: self.bytes_max,
        })
    }

    /// Keeps a [checked](Self::check) event as the last of its topic; answers the one before, to
    /// be dropped where nothing is locked.
    pub(super) fn keep(&mut self, event: Arc<Event>) -> Option<Arc<Event>> {
        self.order += 1;
        self.bytes += size(&event);
        let kept = Kept {
            order: self.order,
            event: Arc::clone(&event),
        };
        let before = self.events.insert(Arc::clone(&event.topic), kept);
        self.gone(before)
    }

    /// Forgets the event of a topic.
    pub(super) fn clear(&mut self, topic: &str) -> Option<Arc<Event>> {
        let before = self.events.remove(topic);
        self.gone(before)
    }

    fn gone(&mut self, before: Option<Kept>) -> Option<Arc<Event>> {
        let event = before?.event;
        self.bytes -= size(&event);
        Some(event)
    }

    /// The events of all matching topics, in the order in which they were published.
    pub(super) fn matching(&self, pattern: &Pattern) -> Vec<Arc<Event>> {
        if pattern.is_literal() {
            let kept = self.events.get(pattern.as_str());
            return kept
                .map(|kept| Arc::clone(&kept.event))
                .into_iter()
                .collect();
        }
        let fixed = fixed_part(pattern.as_str());
        let from = (Bound::Included(fixed), Bound::Unbounded);
        let range = self.events.range::<str, _>(from);
        let near = range.take_while(|(topic, _)| topic.starts_with(fixed));
        let mut found: Vec<&Kept> = near
            .filter(|(topic, _)| pattern.matches(topic))
            .map(|(_, kept)| kept)
            .collect();
        found.sort_unstable_by_key(|kept| kept.order);
        found
            .into_iter()
            .map(|kept| Arc::clone(&kept.event))
            .collect()
    }
}

fn size(event: &Event) -> usize {
    event.topic.len() + event.payload.len()
}

/// What every topic that matches begins with.
fn fixed_part(pattern: &str) -> &str {
    let end = pattern.find('*').unwrap_or(pattern.len());
    &pattern[..end]
}

#[cfg(test)]
mod tests {
    use octa_plugin_api::Payload;

    use super::*;

    fn event(topic: &str, bytes: usize) -> Arc<Event> {
        Arc::new(Event {
            id: 1,
            topic: topic.into(),
            source: "a".into(),
            time: 0,
            sequence: 1,
            correlation: 0,
            content_type: 0,
            payload: Payload::from(vec![b' '; bytes]),
        })
    }

    #[track_caller]
    fn check(retained: &mut Retained, topic: &str, bytes: usize, expect: Result<(), &str>) {
        let checked = retained.check(topic, bytes).map_err(|e| e.to_string());
        assert_eq!(checked, expect.map_err(str::to_owned));
        if checked.is_ok() {
            retained.keep(event(topic, bytes));
        }
    }

    #[test]
    fn topics_are_bounded() {
        let mut retained = Retained::bounded(2, 100);
        check(&mut retained, "a", 1, Ok(()));
        check(&mut retained, "b", 1, Ok(()));
        let full = "the event on `c` cannot be retained: 2 topics have one, which is the most";
        check(&mut retained, "c", 1, Err(full));
        check(&mut retained, "b", 2, Ok(()));
        assert!(retained.clear("a").is_some());
        check(&mut retained, "c", 1, Ok(()));
    }

    #[test]
    fn bytes_are_bounded_and_counted() {
        let mut retained = Retained::bounded(9, 100);
        check(&mut retained, "a", 49, Ok(()));
        check(&mut retained, "b", 29, Ok(()));
        let full = "the event on `c` cannot be retained: it has 21 bytes, and 20 of 100 are left";
        check(&mut retained, "c", 20, Err(full));
        let (topic, bytes) = ("c", 20);
        let error = retained.check(topic, bytes).expect_err("it is full");
        assert!(!error.is_too_large() && error.hint().is_some());
        check(&mut retained, "c", 19, Ok(()));
        // In the place of the one before.
        check(&mut retained, "a", 49, Ok(()));
        check(&mut retained, "a", 9, Ok(()));
        check(&mut retained, "b", 69, Ok(()));
        for topic in ["a", "b", "c"] {
            assert!(retained.clear(topic).is_some());
        }
        assert_eq!((retained.bytes, retained.events.len()), (0, 0));
    }
}
