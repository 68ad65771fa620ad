//! The protocol between the kernel and the processes that carry plugins: messages and their form
//! as bytes.
//!
//! How the bytes travel is the business of a transport, and what they make happen that of the two
//! sides. `docs/protocol.md` describes the same for other languages.

#![forbid(unsafe_code)]

mod codec;
mod hello;
mod message;

pub use codec::{DecodeError, FRAME_BYTES_MAX, Length};
pub use hello::{
    AbiVersion, Confinement, Hello, Limits, PROTOCOL, ProtocolVersion, Sandbox, Welcome,
};
pub use message::{Answer, Envelope, Event, NO_DEADLINE, ToKernel, ToWorker, control};
