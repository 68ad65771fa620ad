//! The circumstances of the call, event or task that author's code runs in.

use std::{sync::Arc, time::Duration};

use octa_plugin_abi::{self as abi, RSlice, RStr, operation::call_flag};

use crate::{Error, ErrorKind, Result, clock::Moment};

/// What is known of the call that is being handled.
///
/// While it is handled it refers to the host's envelope, which costs nothing; a clone, which
/// may outlive the call, owns what it says.
#[derive(Debug)]
pub(crate) struct CallInfo {
    source: Source,
    deadline: Deadline,
}

#[derive(Debug)]
enum Source {
    /// Nothing called: a task, `start`, `stop`.
    Nobody,
    Call(CallEnvelope),
    Event {
        correlation: u128,
        attempt: u32,
        source: RStr<'static>,
    },
    Owned(Arc<Owned>),
}

/// The envelope of the call that is being handled.
struct CallEnvelope(&'static abi::Envelope<'static>);

impl std::fmt::Debug for CallEnvelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallEnvelope(from `{}`)", self.0.caller)
    }
}

#[derive(Debug, Clone, Copy)]
enum Deadline {
    None,
    /// Nanoseconds from now on, whenever that is: for code that cannot wait.
    Remaining(u64),
    At(Moment),
}

/// What an envelope refers to, owned.
#[derive(Debug, Clone, Default)]
struct Owned {
    correlation: u128,
    attempt: u32,
    caller: String,
    chain: String,
    trace: String,
    idempotency_key: String,
    /// What the next calls shall carry; the keys of the call that is handled are its own.
    next_routing_key: String,
    next_idempotency_key: Option<String>,
    next_flags: u32,
}

impl CallInfo {
    /// The circumstances of what no call started: a task, `start`, `stop`.
    pub(crate) const fn none() -> Self {
        Self {
            source: Source::Nobody,
            deadline: Deadline::None,
        }
    }

    /// The circumstances of a call whose handler cannot wait: reads no clock.
    ///
    /// # Safety
    ///
    /// The envelope is as `abi::PluginFunctions::call` describes it, and the result, unlike its
    /// clones, ends before the call does.
    #[inline]
    pub(crate) unsafe fn synchronous(envelope: &abi::Envelope<'_>) -> Self {
        let deadline = match envelope.remaining_nanos {
            abi::NO_DEADLINE => Deadline::None,
            nanos => Deadline::Remaining(nanos),
        };
        // SAFETY: only the lifetime changes, and the caller promises to keep to the true one.
        let envelope = unsafe {
            std::mem::transmute::<&abi::Envelope<'_>, &'static abi::Envelope<'static>>(envelope)
        };
        Self {
            source: Source::Call(CallEnvelope(envelope)),
            deadline,
        }
    }

    /// The circumstances of a call whose handler may wait.
    ///
    /// # Safety
    ///
    /// As [`synchronous`](Self::synchronous).
    #[inline]
    pub(crate) unsafe fn asynchronous(envelope: &abi::Envelope<'_>) -> Self {
        // SAFETY: the caller's promise.
        let mut info = unsafe { Self::synchronous(envelope) };
        if let Deadline::Remaining(nanos) = info.deadline {
            let at = Moment::after(Duration::from_nanos(nanos));
            info.deadline = at.map_or(Deadline::None, Deadline::At);
        }
        info
    }

    /// The circumstances of an event.
    ///
    /// # Safety
    ///
    /// The event is as `abi::PluginFunctions::deliver` describes it, and the result, unlike its
    /// clones, ends before the delivery does.
    pub(crate) unsafe fn event(event: &abi::Event<'_>) -> Self {
        // SAFETY: only the lifetime changes, and the caller promises to keep to the true one.
        let source = unsafe { std::mem::transmute::<RStr<'_>, RStr<'static>>(event.source) };
        Self {
            source: Source::Event {
                correlation: join(event.correlation_high, event.correlation_low),
                attempt: event.attempt,
                source,
            },
            deadline: Deadline::None,
        }
    }

    pub(crate) fn caller(&self) -> &str {
        match &self.source {
            Source::Nobody => "",
            Source::Call(CallEnvelope(envelope)) => envelope.caller.as_str(),
            Source::Event { source, .. } => source.as_str(),
            Source::Owned(owned) => &owned.caller,
        }
    }

    pub(crate) fn correlation(&self) -> u128 {
        match &self.source {
            Source::Nobody => 0,
            Source::Call(CallEnvelope(envelope)) => {
                join(envelope.correlation_high, envelope.correlation_low)
            }
            Source::Event { correlation, .. } => *correlation,
            Source::Owned(owned) => owned.correlation,
        }
    }

    pub(crate) fn attempt(&self) -> u32 {
        match &self.source {
            Source::Nobody => 0,
            Source::Call(CallEnvelope(envelope)) => envelope.attempt,
            Source::Event { attempt, .. } => *attempt,
            Source::Owned(owned) => owned.attempt,
        }
    }

    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        let key = match &self.source {
            Source::Call(CallEnvelope(envelope)) => envelope.idempotency_key.as_str(),
            Source::Owned(owned) => &owned.idempotency_key,
            Source::Nobody | Source::Event { .. } => "",
        };
        Some(key).filter(|key| !key.is_empty())
    }

    pub(crate) fn trace_context(&self) -> Option<&str> {
        let trace = match &self.source {
            Source::Call(CallEnvelope(envelope)) => envelope.trace.as_str(),
            Source::Owned(owned) => &owned.trace,
            Source::Nobody | Source::Event { .. } => "",
        };
        Some(trace).filter(|trace| !trace.is_empty())
    }

    /// The time left, if there is a deadline.
    pub(crate) fn remaining(&self) -> Option<Duration> {
        match self.deadline {
            Deadline::None => None,
            Deadline::Remaining(nanos) => Some(Duration::from_nanos(nanos)),
            Deadline::At(at) => Some(at.remaining()),
        }
    }

    /// The same circumstances with at most `limit` left.
    pub(crate) fn limited(&self, limit: Duration) -> Self {
        let left = self.remaining().map_or(limit, |left| left.min(limit));
        let at = Moment::after(left);
        Self {
            deadline: at.map_or(Deadline::None, Deadline::At),
            ..self.clone()
        }
    }

    /// The same circumstances with an idempotency key.
    pub(crate) fn with_idempotency_key(&self, key: &str) -> Self {
        self.changed(|owned| owned.next_idempotency_key = Some(key.to_owned()))
    }

    /// The same circumstances with a routing key.
    pub(crate) fn with_routing_key(&self, key: &str) -> Self {
        self.changed(|owned| owned.next_routing_key = key.to_owned())
    }

    /// The same circumstances, whose calls are not tried again.
    pub(crate) fn without_retries(&self) -> Self {
        self.changed(|owned| owned.next_flags |= call_flag::NO_RETRIES)
    }

    /// Refuses to call with an empty key, which would be none to the host: what was to be done once, would be done
    /// each time.
    pub(crate) fn check_keys(&self) -> Result<()> {
        match &self.source {
            Source::Owned(owned) if owned.next_idempotency_key.as_deref() == Some("") => Err(
                Error::new(ErrorKind::InvalidInput, "the idempotency key is empty")
                    .with_hint("leave it out where the call is not to be done once only"),
            ),
            _ => Ok(()),
        }
    }

    /// How the next calls are to be treated.
    pub(crate) fn call_flags(&self) -> u32 {
        match &self.source {
            Source::Owned(owned) => owned.next_flags,
            Source::Nobody | Source::Call(_) | Source::Event { .. } => 0,
        }
    }

    fn changed(&self, change: impl FnOnce(&mut Owned)) -> Self {
        let mut owned = self.own();
        change(&mut owned);
        Self {
            source: Source::Owned(Arc::new(owned)),
            deadline: self.deadline,
        }
    }

    fn own(&self) -> Owned {
        if let Source::Owned(owned) = &self.source {
            return Owned::clone(owned);
        }
        let envelope = self.envelope();
        Owned {
            correlation: self.correlation(),
            attempt: self.attempt(),
            caller: self.caller().to_owned(),
            chain: envelope.chain.as_str().to_owned(),
            trace: envelope.trace.as_str().to_owned(),
            idempotency_key: self.idempotency_key().unwrap_or_default().to_owned(),
            ..Owned::default()
        }
    }

    /// The envelope of what is asked while this is handled.
    pub(crate) fn envelope(&self) -> abi::Envelope<'_> {
        let remaining = self.remaining().map(|d| u64::try_from(d.as_nanos()));
        let remaining_nanos = remaining.map_or(abi::NO_DEADLINE, |r| r.unwrap_or(abi::NO_DEADLINE));
        let correlation = self.correlation();
        let nobodys = abi::Envelope {
            remaining_nanos,
            correlation_high: (correlation >> 64) as u64,
            correlation_low: correlation as u64,
            attempt: 0,
            content_type: abi::content_type::JSON,
            caller: self.caller().into(),
            chain: RStr::empty(),
            trace: RStr::empty(),
            routing_key: RStr::empty(),
            idempotency_key: RStr::empty(),
            headers: RSlice::EMPTY,
        };
        match &self.source {
            Source::Nobody | Source::Event { .. } => nobodys,
            Source::Call(CallEnvelope(envelope)) => abi::Envelope {
                chain: envelope.chain,
                trace: envelope.trace,
                ..nobodys
            },
            Source::Owned(owned) => abi::Envelope {
                chain: owned.chain.as_str().into(),
                trace: owned.trace.as_str().into(),
                routing_key: owned.next_routing_key.as_str().into(),
                idempotency_key: owned
                    .next_idempotency_key
                    .as_deref()
                    .unwrap_or_default()
                    .into(),
                ..nobodys
            },
        }
    }
}

impl Clone for CallInfo {
    fn clone(&self) -> Self {
        let source = match &self.source {
            Source::Nobody => Source::Nobody,
            Source::Owned(owned) => Source::Owned(owned.clone()),
            Source::Call(_) | Source::Event { .. } => Source::Owned(Arc::new(self.own())),
        };
        let deadline = match self.deadline {
            // It may be kept for long: its time runs from now on.
            Deadline::Remaining(nanos) => {
                Moment::after(Duration::from_nanos(nanos)).map_or(Deadline::None, Deadline::At)
            }
            running => running,
        };
        Self { source, deadline }
    }
}

fn join(high: u64, low: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(nobody: &CallInfo) -> abi::Envelope<'_> {
        abi::Envelope {
            chain: "00000001".into(),
            idempotency_key: "once".into(),
            routing_key: "lamp_1".into(),
            attempt: 2,
            ..nobody.envelope()
        }
    }

    #[test]
    fn a_clone_owns_what_the_envelope_said() {
        let copy = {
            let nobody = CallInfo::none();
            let envelope = envelope(&nobody);
            // SAFETY: dropped before the envelope is.
            let handled = unsafe { CallInfo::asynchronous(&envelope) };
            handled.clone()
        };
        assert_eq!((copy.idempotency_key(), copy.attempt()), (Some("once"), 2));
        assert_eq!(copy.envelope().chain.as_str(), "00000001");
        assert_eq!(copy.remaining(), None);
        let limited = copy.limited(Duration::from_secs(3));
        assert!(limited.remaining().expect("limited") <= Duration::from_secs(3));
    }

    #[test]
    fn the_next_call_has_keys_of_its_own() {
        let nobody = CallInfo::none();
        let envelope = envelope(&nobody);
        // SAFETY: dropped before the envelope is.
        let handled = unsafe { CallInfo::synchronous(&envelope) };
        let next = handled.envelope();
        assert!(next.idempotency_key.is_empty() && next.routing_key.is_empty());
        assert_eq!((next.attempt, next.chain.as_str()), (0, "00000001"));
        let keyed = handled.with_idempotency_key("twice");
        assert_eq!(keyed.envelope().idempotency_key.as_str(), "twice");
        keyed.check_keys().unwrap();
        handled.check_keys().unwrap();
        let refused = keyed.with_idempotency_key("").check_keys().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert_eq!((keyed.call_flags(), handled.call_flags()), (0, 0));
        let once = keyed.without_retries();
        assert_eq!(once.call_flags(), call_flag::NO_RETRIES);
        assert_eq!(once.envelope().idempotency_key.as_str(), "twice");
        assert_eq!(keyed.idempotency_key(), Some("once"));
    }
}
