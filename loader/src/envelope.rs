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

/// What is settled of a call only when its provider is chosen; it counts instead of what the
/// envelope says. Apart from the envelope, because copying that costs more than the call.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The time left.
    pub remaining: Duration,
    /// What ties together everything that one first call or event led to; 0 for none.
    pub correlation: u128,
    /// Whose handlers wait for this call.
    pub chain: &'a str,
}

impl Terms<'_> {
    /// The time left as it crosses the boundary.
    #[inline]
    pub(crate) fn nanos(&self) -> u64 {
        let seconds = self.remaining.as_secs().saturating_mul(1_000_000_000);
        seconds.saturating_add(u64::from(self.remaining.subsec_nanos()))
    }
}

impl<'a> Envelope<'a> {
    /// An envelope that says nothing but who calls.
    pub const fn of(caller: &'a str) -> Self {
        Self {
            remaining: None,
            correlation: 0,
            attempt: 0,
            caller,
            chain: "",
            trace: "",
            routing_key: "",
            idempotency_key: "",
            headers: &[],
        }
    }

    /// Whether it says anything that few calls say.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.trace.len() + self.routing_key.len() + self.idempotency_key.len() + self.headers.len()
            == 0
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
