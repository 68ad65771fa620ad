//! The circumstances of a call, on the host's side.

use std::time::Duration;

use octa_plugin_abi as abi;

/// The circumstances of a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Envelope<'a> {
    /// The time left; `None` without a deadline.
    pub remaining: Option<Duration>,
    /// What ties together everything that one first call or event led to; 0 for none.
    pub correlation: u128,
    /// 0 for the first attempt.
    pub attempt: u32,
    /// Who calls.
    pub caller: &'a str,
    /// Whose handlers wait for this call, in the kernel's own notation; plugins hand it back
    /// unchanged.
    pub chain: &'a str,
    /// The W3C `traceparent`, or empty.
    pub trace: &'a str,
    /// What a provider is chosen by, or empty.
    pub routing_key: &'a str,
    /// What makes repeated calls one, or empty.
    pub idempotency_key: &'a str,
    /// A JSON object, or empty.
    pub headers: &'a [u8],
}

impl<'a> Envelope<'a> {
    #[inline]
    pub(crate) fn as_abi(&self) -> abi::Envelope<'a> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(abi::NO_DEADLINE);
        abi::Envelope {
            remaining_nanos: self.remaining.map_or(abi::NO_DEADLINE, nanos),
            correlation_high: (self.correlation >> 64) as u64,
            correlation_low: self.correlation as u64,
            attempt: self.attempt,
            content_type: abi::content_type::JSON,
            caller: self.caller.into(),
            chain: self.chain.into(),
            trace: self.trace.into(),
            routing_key: self.routing_key.into(),
            idempotency_key: self.idempotency_key.into(),
            headers: self.headers.into(),
        }
    }

    pub(crate) fn from_abi(envelope: &'a abi::Envelope<'a>) -> Self {
        let nanos = envelope.remaining_nanos;
        Self {
            remaining: (nanos != abi::NO_DEADLINE).then(|| Duration::from_nanos(nanos)),
            correlation: (u128::from(envelope.correlation_high) << 64)
                | u128::from(envelope.correlation_low),
            attempt: envelope.attempt,
            caller: envelope.caller.as_str(),
            chain: envelope.chain.as_str(),
            trace: envelope.trace.as_str(),
            routing_key: envelope.routing_key.as_str(),
            idempotency_key: envelope.idempotency_key.as_str(),
            headers: envelope.headers.as_slice(),
        }
    }
}
