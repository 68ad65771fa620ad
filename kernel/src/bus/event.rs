//! What travels on the bus; how it gets there is the job of `publisher` and `queue`.

use std::sync::Arc;

use octa_plugin_api::Payload;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use serde_json::value::RawValue;

/// The content type of JSON, which is what an event carries unless it says otherwise.
pub const JSON: u32 = 0;

/// One published event, shared by every subscription that it matched.
#[derive(Debug)]
#[non_exhaustive]
pub struct Event {
    /// Unique within the bus; not ordered between publishers.
    pub id: u64,
    /// The topic it was published on.
    pub topic: Arc<str>,
    /// Who published it: the name of a plugin, or `kernel`.
    pub source: Arc<str>,
    /// Wall-clock time of publication, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// Counts the events of its publisher, from 1; every queue sees it ascending.
    pub sequence: u64,
    /// Ties together what belongs to one operation; 0 is none.
    pub correlation: u128,
    /// How to read the payload: [`JSON`] or a code that the two ends agree on.
    pub content_type: u32,
    /// The content itself.
    pub payload: Payload,
}

/// What JSON can hold of it: a payload that is no JSON is shown as text.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("Event", 8)?;
        event.serialize_field("id", &self.id)?;
        event.serialize_field("topic", &*self.topic)?;
        event.serialize_field("source", &*self.source)?;
        event.serialize_field("time", &self.time)?;
        event.serialize_field("sequence", &self.sequence)?;
        event.serialize_field("correlation", &format_args!("{:032x}", self.correlation))?;
        event.serialize_field("content_type", &self.content_type)?;
        match serde_json::from_slice::<&RawValue>(&self.payload) {
            Ok(json) => event.serialize_field("payload", json)?,
            Err(_) => {
                event.serialize_field("payload", &String::from_utf8_lossy(&self.payload))?;
            }
        }
        event.end()
    }
}

/// What a publisher says of an event; the bus adds the rest.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// The topic to publish on.
    pub topic: &'a str,
    /// The content.
    pub payload: Payload,
    /// How to read the payload; [`JSON`] is 0.
    pub content_type: u32,
    /// Ties together what belongs to one operation; 0 is none.
    pub correlation: u128,
}
