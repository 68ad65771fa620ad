//! What handlers take and return: JSON through serde, or raw bytes as [`Payload`].

use std::any::TypeId;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Payload,
    error::{Error, ErrorKind, Result},
    payload::parse,
};

/// What can be read from a payload: everything that serde reads, `()` from anything, and
/// [`Payload`] itself.
pub trait Input: Sized {
    /// Reads it from `bytes`; `keep` makes a payload of the same bytes without copying them,
    /// where that is possible.
    ///
    /// # Errors
    ///
    /// Says what was expected, and where it was something else.
    fn decode(bytes: &[u8], keep: &dyn Fn() -> Payload) -> Result<Self>;
}

impl<T: DeserializeOwned + 'static> Input for T {
    fn decode(bytes: &[u8], _keep: &dyn Fn() -> Payload) -> Result<Self> {
        let nothing = bytes.is_empty() || TypeId::of::<T>() == TypeId::of::<()>();
        parse(if nothing { b"null" } else { bytes })
    }
}

/// Reads a payload.
///
/// # Errors
///
/// Says what was expected, and where it was something else.
pub fn decode<T: Input>(payload: &Payload) -> Result<T> {
    T::decode(payload, &|| payload.clone())
}

/// Reads what a capability answered.
///
/// # Errors
///
/// Says what was expected, and where it was something else: a mismatch that is no fault of who
/// gave the input, of kind [`InvalidOutput`](ErrorKind::InvalidOutput).
pub fn decode_answer<T: Input>(capability: &str, answer: &Payload) -> Result<T> {
    decode(answer).map_err(|error: Error| {
        let message = format!("the answer of `{capability}`: {error}");
        Error::new(ErrorKind::InvalidOutput, message)
    })
}

impl Input for Payload {
    fn decode(_bytes: &[u8], keep: &dyn Fn() -> Payload) -> Result<Self> {
        Ok(keep())
    }
}

/// What can be written into a payload: everything that serde writes, and [`Payload`] itself.
pub trait Output {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// If it refuses to be serialised.
    fn encode(&self) -> Result<Payload>;

    /// Writes what is not needed any more; a payload is handed on as it is.
    ///
    /// # Errors
    ///
    /// If it refuses to be serialised.
    fn into_payload(self) -> Result<Payload>
    where
        Self: Sized,
    {
        self.encode()
    }
}

impl<T: Serialize + ?Sized> Output for T {
    fn encode(&self) -> Result<Payload> {
        Payload::json(self)
    }
}

impl Output for Payload {
    fn encode(&self) -> Result<Payload> {
        Ok(self.clone())
    }

    fn into_payload(self) -> Result<Payload> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_no_fault_of_who_asked() {
        let answer = Payload::json(&"on").expect("JSON");
        let error = decode_answer::<u64>("lamps.count", &answer).expect_err("no number");
        assert_eq!(error.kind(), ErrorKind::InvalidOutput);
        let message = error.message();
        assert!(
            message.starts_with("the answer of `lamps.count`: "),
            "{message}"
        );
        let input = decode::<u64>(&answer).expect_err("no number");
        assert_eq!(input.kind(), ErrorKind::InvalidInput);
    }
}
