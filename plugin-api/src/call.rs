//! The circumstances of the call, event or task that author's code runs in.

use std::{
    fmt,
    time::{Duration, Instant},
};

use octa_plugin_abi::{self as abi, RStr};

/// The longest plugin name, in bytes; also how much of a call chain is kept in place.
const IN_PLACE: usize = 64;

/// What is known of the call that is being handled. Copied out of the envelope, because a
/// future may outlive it; without an allocation unless rare fields are used.
#[derive(Debug, Clone)]
pub(crate) struct CallInfo {
    deadline: Deadline,
    correlation: u128,
    attempt: u32,
    caller: Inline,
    chain: Inline,
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Clone, Copy)]
enum Deadline {
    None,
    /// Nanoseconds from now on, whenever that is: for code that cannot wait.
    Remaining(u64),
    At(Instant),
}

#[derive(Debug, Clone, Default)]
struct Rare {
    chain: String,
    trace: String,
    routing_key: String,
    idempotency_key: String,
    headers: Vec<u8>,
}

impl CallInfo {
    /// The circumstances of what no call started: a task, `start`, `stop`.
    pub(crate) const fn none() -> Self {
        Self {
            deadline: Deadline::None,
            correlation: 0,
            attempt: 0,
            caller: Inline::empty(),
            chain: Inline::empty(),
            rare: None,
        }
    }

    /// The circumstances of a call whose handler cannot wait: reads no clock.
    pub(crate) fn synchronous(envelope: &abi::Envelope<'_>) -> Self {
        let deadline = match envelope.remaining_nanos {
            abi::NO_DEADLINE => Deadline::None,
            nanos => Deadline::Remaining(nanos),
        };
        Self {
            deadline,
            correlation: correlation(envelope.correlation_high, envelope.correlation_low),
            attempt: envelope.attempt,
            caller: Inline::new(envelope.caller.as_str()),
            chain: Inline::new(envelope.chain.as_str()),
            rare: Rare::of(envelope),
        }
    }

    /// The circumstances of a call whose handler may wait.
    pub(crate) fn asynchronous(envelope: &abi::Envelope<'_>) -> Self {
        let mut info = Self::synchronous(envelope);
        if let Deadline::Remaining(nanos) = info.deadline {
            let at = Instant::now().checked_add(Duration::from_nanos(nanos));
            info.deadline = at.map_or(Deadline::None, Deadline::At);
        }
        info
    }

    /// The circumstances of an event.
    pub(crate) fn event(event: &abi::Event<'_>) -> Self {
        Self {
            correlation: correlation(event.correlation_high, event.correlation_low),
            attempt: event.attempt,
            caller: Inline::new(event.source.as_str()),
            ..Self::none()
        }
    }

    pub(crate) fn caller(&self) -> &str {
        self.caller.as_str()
    }

    pub(crate) fn correlation(&self) -> u128 {
        self.correlation
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        self.rare
            .as_ref()
            .map(|r| r.idempotency_key.as_str())
            .filter(|key| !key.is_empty())
    }

    /// The time left, if there is a deadline.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        match self.deadline {
            Deadline::None => None,
            Deadline::Remaining(nanos) => Some(Duration::from_nanos(nanos)),
            Deadline::At(at) => Some(at.saturating_duration_since(Instant::now())),
        }
    }

    /// The same circumstances with at most `limit` left.
    pub(crate) fn limited(&self, limit: Duration) -> Self {
        let left = self.remaining().map_or(limit, |left| left.min(limit));
        let mut info = self.clone();
        info.deadline = Instant::now()
            .checked_add(left)
            .map_or(Deadline::None, Deadline::At);
        info
    }

    /// The same circumstances with an idempotency key.
    pub(crate) fn with_idempotency_key(&self, key: &str) -> Self {
        let mut info = self.clone();
        info.rare.get_or_insert_default().idempotency_key = key.to_owned();
        info
    }

    /// The same circumstances with a routing key.
    pub(crate) fn with_routing_key(&self, key: &str) -> Self {
        let mut info = self.clone();
        info.rare.get_or_insert_default().routing_key = key.to_owned();
        info
    }

    /// The host's own notation of who waits for this call, handed back unchanged.
    fn chain(&self) -> RStr<'_> {
        let long = self.rare.as_ref().map_or("", |r| &r.chain);
        if long.is_empty() {
            self.chain.as_str().into()
        } else {
            long.into()
        }
    }

    pub(crate) fn envelope(&self) -> abi::Envelope<'_> {
        let remaining = self.remaining().map(|d| u64::try_from(d.as_nanos()));
        let rare = self.rare.as_deref();
        let text = |pick: fn(&Rare) -> &String| rare.map_or("", |r| pick(r).as_str()).into();
        abi::Envelope {
            remaining_nanos: remaining.map_or(abi::NO_DEADLINE, |r| r.unwrap_or(abi::NO_DEADLINE)),
            correlation_high: (self.correlation >> 64) as u64,
            correlation_low: self.correlation as u64,
            attempt: self.attempt,
            content_type: abi::content_type::JSON,
            caller: self.caller.as_str().into(),
            chain: self.chain(),
            trace: text(|r| &r.trace),
            routing_key: text(|r| &r.routing_key),
            idempotency_key: text(|r| &r.idempotency_key),
            headers: rare.map_or(&[][..], |r| &r.headers).into(),
        }
    }
}

impl Rare {
    fn of(envelope: &abi::Envelope<'_>) -> Option<Box<Self>> {
        let long_chain = envelope.chain.len() > IN_PLACE;
        let texts = [
            if long_chain {
                envelope.chain
            } else {
                RStr::empty()
            },
            envelope.trace,
            envelope.routing_key,
            envelope.idempotency_key,
        ];
        if texts.iter().all(|text| text.is_empty()) && envelope.headers.is_empty() {
            return None;
        }
        let [chain, trace, routing_key, idempotency_key] = texts.map(|t| t.as_str().to_owned());
        let headers = envelope.headers.to_vec();
        Some(Box::new(Self {
            chain,
            trace,
            routing_key,
            idempotency_key,
            headers,
        }))
    }
}

fn correlation(high: u64, low: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

/// A short text in place, so that keeping it allocates nothing.
#[derive(Clone, Copy)]
struct Inline {
    length: u8,
    bytes: [u8; IN_PLACE],
}

impl Inline {
    const fn empty() -> Self {
        Self {
            length: 0,
            bytes: [0; IN_PLACE],
        }
    }

    /// Cuts off what does not fit.
    fn new(text: &str) -> Self {
        let kept = &text[..text.floor_char_boundary(IN_PLACE)];
        let mut this = Self::empty();
        this.bytes[..kept.len()].copy_from_slice(kept.as_bytes());
        this.length = kept.len() as u8;
        this
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)])
            .expect("copied from a str at a character boundary")
    }
}

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelope_survives_the_way() {
        let info = CallInfo::none()
            .with_idempotency_key("once")
            .with_routing_key("lamp_1");
        let copy = CallInfo::asynchronous(&info.envelope());
        assert_eq!(copy.idempotency_key(), Some("once"));
        assert_eq!(copy.envelope().routing_key.as_str(), "lamp_1");
        assert_eq!(copy.remaining(), None);
        let limited = copy.limited(Duration::from_secs(3));
        assert!(limited.remaining().expect("limited") <= Duration::from_secs(3));
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        let name = Inline::new(&"ж".repeat(40));
        assert_eq!(name.as_str().chars().count(), 32);
    }
}
