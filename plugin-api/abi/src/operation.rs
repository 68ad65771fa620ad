//! What a plugin can ask of its host through [`HostFunctions::submit`](crate::HostFunctions),
//! by facility. Each constant says what the fields of the [`Request`](crate::Request) mean and
//! what the [`Reply`](crate::Reply) holds. Fields not named are ignored and should be empty.
//! A host that does not know an operation answers [`code::UNSUPPORTED`](crate::code::UNSUPPORTED).

/// Bus: publishes an event. `target`: topic. `payload`: the event's payload. `flags`: 0, or one of
/// [`publish_flag`].
/// Pending only while a subscription that declared back-pressure is full.
/// Reply: `number` = how many subscriptions matched; 0 where the event is held back until the
/// instance has taken over from another. Of a clearing: 1 if there was something to forget.
pub const PUBLISH: u32 = 0x0101;
/// Bus: subscribes. `target`: pattern. `number`: capacity of the queue, 0 for the default.
/// Reply: `number` = the subscription's id, for [`NEXT_EVENT`] and [`UNSUBSCRIBE`].
pub const SUBSCRIBE: u32 = 0x0102;
/// Bus: ends a subscription. `number`: its id.
pub const UNSUBSCRIBE: u32 = 0x0103;
/// Bus: waits for the next event. `number`: the subscription's id.
/// Reply: `payload` = the event's payload, `headers` = the event as a JSON object (`id`,
/// `topic`, `source`, `time` in nanoseconds since 1970, `sequence`, `correlation` in hex).
pub const NEXT_EVENT: u32 = 0x0104;

/// Services: calls a capability. `target`: its name. `payload`: the input. The envelope's
/// deadline, keys and headers go with the call. `flags`: bits of [`call_flag`].
/// Reply: the provider's.
pub const CALL: u32 = 0x0201;

/// State: reads. `target`: namespace. `key`. Reply: `payload` = value, `number` = version.
pub const STATE_GET: u32 = 0x0301;
/// State: writes. `target`: namespace. `key`. `payload`: value. `flags` and `number`: the
/// version expected, see [`expect`]. Reply: `number` = the new version.
pub const STATE_SET: u32 = 0x0302;
/// State: deletes. `target`, `key`, `flags`, `number` as in [`STATE_SET`].
/// Reply: `number` = 1 if there was a value.
pub const STATE_DELETE: u32 = 0x0303;
/// State: lists keys. `target`: namespace. `key`: prefix. Reply: a JSON array of
/// `{"key", "version", "value"}`.
pub const STATE_LIST: u32 = 0x0304;

/// Storage: reads. `target`: namespace. `key`. Reply: `payload` = value, `number` = version.
pub const STORAGE_GET: u32 = 0x0401;
/// Storage: writes, durable when answered. Fields and reply as in [`STATE_SET`].
pub const STORAGE_SET: u32 = 0x0402;
/// Storage: deletes. Fields and reply as in [`STATE_DELETE`].
pub const STORAGE_DELETE: u32 = 0x0403;
/// Storage: lists a page. `target`: namespace. `key`: prefix. `number`: limit.
/// `payload`: empty, or the key (UTF-8) after which the page starts.
/// Reply: `{"entries": [{"key", "version", "value"}], "next": key or null}`.
pub const STORAGE_LIST: u32 = 0x0404;
/// Storage: one atomic batch. `target`: namespace. `payload`: a JSON array of
/// `{"key", "value" (absent: delete), "expect": version, 0 for absent (absent: any)}`.
/// Reply: a JSON array of the new versions (null for a delete).
pub const STORAGE_BATCH: u32 = 0x0405;

/// Time: waits. `number`: nanoseconds.
pub const SLEEP: u32 = 0x0501;
/// Time: reads the host's clocks. Reply: `number` = nanoseconds since 1970,
/// `payload` = empty.
pub const NOW: u32 = 0x0502;
/// Time: reads the host's monotonic clock. Reply: `number` = nanoseconds since an
/// arbitrary moment.
pub const MONOTONIC: u32 = 0x0503;

/// Tasks: ends a spawned task. `number`: the id that `spawn` gave.
pub const ABORT_TASK: u32 = 0x0601;

/// What is to become of an event beside that it is published.
pub mod publish_flag {
    /// It is kept as the last of its topic, for subscribers to come.
    pub const RETAIN: u32 = 1;
    /// There is no event: what is kept for this topic is forgotten. `payload` is ignored.
    pub const CLEAR: u32 = 2;
}

/// How a call is to be treated.
pub mod call_flag {
    /// An error is the end, also where the capability is declared to be tried again.
    pub const NO_RETRIES: u32 = 1;
}

/// How `flags` and `number` of a write say which version is expected.
pub mod expect {
    /// Any version, or none.
    pub const ANY: u32 = 0;
    /// The key must be absent.
    pub const ABSENT: u32 = 1;
    /// The version in `number`.
    pub const VERSION: u32 = 2;
}
