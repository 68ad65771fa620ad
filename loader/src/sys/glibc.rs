//! Linux with the GNU C library: sees what plugins leave behind, and closes their libraries when
//! nothing is left that would return to them.

mod code;
mod interposed;
mod objects;
mod opening;
mod signals;
mod table;
mod thread;

pub(crate) use self::{code::Code, thread::after_plugin};
