//! What comes back across the boundary, safe to keep.

use octa_plugin_abi::{self as abi, code};
use octa_plugin_api::{Error, Payload};

/// The outcome of a call, a delivery or an operation.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// A number, where there is one to give.
    pub number: u64,
    /// The result, or the error.
    pub result: Result<Payload, Error>,
    /// A JSON object, or empty.
    pub headers: Payload,
}

impl Outcome {
    /// Success with this number and payload.
    pub fn ok(number: u64, payload: Payload) -> Self {
        Self {
            number,
            result: Ok(payload),
            headers: Payload::empty(),
        }
    }
}

impl From<Result<Payload, Error>> for Outcome {
    fn from(result: Result<Payload, Error>) -> Self {
        Self {
            number: 0,
            result,
            headers: Payload::empty(),
        }
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Err(error).into()
    }
}

/// A reply for the other side to write into.
#[inline(always)]
pub(crate) fn empty_reply() -> abi::Reply {
    abi::Reply {
        code: code::OK,
        content_type: abi::content_type::JSON,
        number: 0,
        payload: Payload::empty().into_abi(),
        headers: Payload::empty().into_abi(),
    }
}

/// Takes over what `plugin` wrote.
#[inline(always)]
pub(crate) fn read_reply(reply: abi::Reply, plugin: &str) -> Outcome {
    // SAFETY: a reply hands its buffers over to who asked.
    let payload = unsafe { Payload::from_abi(reply.payload) };
    // SAFETY: as above.
    let headers = unsafe { Payload::from_abi(reply.headers) };
    let result = match reply.code {
        code::OK => Ok(payload),
        code => Err(Error::from_document(code, &payload).from_plugin(plugin)),
    };
    Outcome {
        number: reply.number,
        result,
        headers,
    }
}

/// Writes an outcome for a plugin.
pub(crate) fn write_reply(reply: &mut abi::Reply, outcome: Outcome) {
    reply.number = outcome.number;
    reply.headers = outcome.headers.into_abi();
    reply.payload = match outcome.result {
        Ok(payload) => payload.into_abi(),
        Err(error) => {
            reply.code = error.kind().code();
            error.to_document().into_abi()
        }
    };
}
