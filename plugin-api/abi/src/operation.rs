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
/// State: lists a page. Fields and reply as in [`STORAGE_LIST`].
pub const STATE_LIST: u32 = 0x0304;
/// State: waits for changes. Fields and reply as in [`STORAGE_CHANGES`].
pub const STATE_CHANGES: u32 = 0x0305;
/// State: writes a value that is gone after a time. `target`, `key`, `flags`, `number` as in
/// [`STATE_SET`]. `payload`: `{"time": nanoseconds, "value"}`. Reply: `number` = the new version.
/// The time begins when it is written; a later write, of this kind or of the other, ends it.
pub const STATE_SET_FOR: u32 = 0x0306;

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
/// `{"key", "value" (absent: delete), "expect": version, 0 for absent (absent: any)}`; or
/// `{"append": prefix, "value"}`, whose key is the prefix and behind it the new version in 20 digits.
/// Reply: a JSON array of the versions taken (null where there was nothing to delete).
pub const STORAGE_BATCH: u32 = 0x0405;
/// Storage: waits for committed changes. `target`: namespace. `key`: prefix of the keys. `flags`:
/// one of [`changes_flag`]. `number`: the version behind which they begin.
/// Reply: `number` = the version behind which the next ones begin; `payload` =
/// `{"changes": [{"key", "version", "value" (absent: deleted)}], "missed": bool}`, the changes in
/// the order of their versions, perhaps none. `missed`: some up to `number` are no longer kept.
/// Nothing is left behind between two of these, so that one that is given up loses no change.
pub const STORAGE_CHANGES: u32 = 0x0406;

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

/// Journal: writes a fact, once. `target`: namespace. `key`: idempotency key. `payload`:
/// `{"stream", "fact", "topic" (absent: no event)}`.
/// Reply: `number` = the position of the key's fact, `payload` = `{"novelty"}`: `"new"`, `"repeated"`,
/// or `"different"` where another fact was there before.
pub const JOURNAL_RECORD: u32 = 0x0701;
/// Journal: keeps a part of a fact, and writes the fact with the last one. `target`, `key` as in
/// [`JOURNAL_RECORD`]. `payload`: `{"stream", "part", "value", "expected": [names], "topic"}`.
/// Reply: `payload` = `{"novelty", "missing": [names]}`, `number` = the position of the fact once
/// it is whole, else 0.
pub const JOURNAL_GATHER: u32 = 0x0702;
/// Journal: finds the fact of a key. `target`, `key` as in [`JOURNAL_RECORD`]. `payload`:
/// `{"stream"}`. Reply: `{"position", "key", "time", "source", "fact"}`; `NOT_FOUND` without one.
pub const JOURNAL_FIND: u32 = 0x0703;
/// Journal: reads facts in the order of their positions. `target`: namespace. `number`: the
/// position behind which to begin. `flags`: 0, or 1 to wait until there is one. `payload`:
/// `{"stream", "limit"}`. Reply: a JSON array of facts as in [`JOURNAL_FIND`].
pub const JOURNAL_FACTS: u32 = 0x0704;
/// Journal: waits for facts that a consumer has not acknowledged. `target`: namespace. `key`: the
/// consumer's name. `payload` and reply as in [`JOURNAL_FACTS`].
pub const JOURNAL_NEXT: u32 = 0x0705;
/// Journal: a consumer is done with the facts up to a position. `target`, `key` as in
/// [`JOURNAL_NEXT`]. `number`: the position. `payload`: `{"stream"}`.
/// Reply: `number` = up to where it is done, which never goes back.
pub const JOURNAL_ACKNOWLEDGE: u32 = 0x0706;
/// Journal: forgets a consumer. `target`, `key`, `payload` as in [`JOURNAL_ACKNOWLEDGE`].
/// Reply: `number` = 1 if there was one.
pub const JOURNAL_FORGET: u32 = 0x0707;
/// Journal: lists facts of which parts are missing, in the order of their keys. `target`:
/// namespace. `key`: the key after which to begin, or empty. `payload`: `{"stream", "limit"}`.
/// Reply: a JSON array of `{"key", "time", "found": [names], "missing": [names]}`.
pub const JOURNAL_UNFINISHED: u32 = 0x0708;
/// Journal: drops the parts of a fact that is not whole. `target`, `key` as in [`JOURNAL_RECORD`].
/// `payload`: `{"stream"}`. Reply: `number` = 1 if there were any.
pub const JOURNAL_DROP_PARTS: u32 = 0x0709;
/// Journal: forgets the facts before a position, and their keys. `target`: namespace. `number`: the
/// position. `flags`: 0, or 1 also for facts that a consumer has not acknowledged. `payload`:
/// `{"stream"}`. Reply: `number` = how many.
pub const JOURNAL_TRIM: u32 = 0x070a;

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

/// Where changes begin.
pub mod changes_flag {
    /// Now: answered at once, with no changes and the last version.
    pub const NOW: u32 = 0;
    /// Behind the version in `number`.
    pub const AFTER: u32 = 1;
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
