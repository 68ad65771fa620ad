//! A socket that nothing is sent through: that is what the rings are for.

use std::time::Instant;

use rustix::io::{Errno, Result};

pub(super) struct Socket;

pub(super) fn send(_socket: &Socket, _bytes: &[u8]) -> Result<usize> {
    Err(Errno::PIPE)
}

pub(super) fn receive(_socket: &Socket, _into: &mut [u8]) -> Result<usize> {
    Err(Errno::PIPE)
}

pub(super) fn wait_to_read(_socket: &Socket, _until: Option<Instant>) -> bool {
    true
}
