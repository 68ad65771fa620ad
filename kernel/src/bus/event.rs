//! What travels on the bus; how it gets there is the job of `publisher` and `queue`.

use std::sync::Arc;

use octa_plugin_api::Payload;

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
