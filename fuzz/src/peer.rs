//! The other end of a connection, and the memory between the two, in hands that keep to nothing.

use std::{
    fs::File,
    io::{self, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::fs::FileExt, unix::net::UnixStream},
};

use octa_loader::{ChildEnd, Link};

use crate::Script;

/// Bytes of the words of a ring, and between two of them.
const WORDS_BYTES: u64 = 512;
const STRIDE_BYTES: u64 = 128;
/// Where the data begin.
const DATA: u64 = 4096;

/// One end of a connection, and what it is made of.
#[derive(Debug)]
pub struct Peer {
    /// What does it as it is meant to be done.
    pub link: Link,
    socket: UnixStream,
    memory: Option<Scribbler>,
}

/// Writes into the memory of the rings, past the link.
#[derive(Debug)]
pub struct Scribbler(File);

impl Peer {
    /// Takes the end of a worker over.
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub fn new(end: ChildEnd) -> io::Result<Self> {
        let ChildEnd { socket, memory } = end;
        Ok(Self {
            socket: socket.try_clone()?.into(),
            memory: memory.as_ref().map(Scribbler::new).transpose()?,
            link: Link::inherited(socket, memory)?,
        })
    }

    /// Writes something into the socket, past the link.
    pub fn write(&self, bytes: &[u8]) {
        // It may be full, or closed.
        let _ = (&self.socket).write(bytes);
    }

    /// Writes something into the memory, if there is one.
    pub fn scribble(&self, script: &mut Script<'_>) {
        if let Some(memory) = &self.memory {
            memory.scribble(script);
        }
    }

    /// Closes the connection, past the link.
    pub fn close(&self, script: &mut Script<'_>) {
        let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both];
        // It may be closed.
        let _ = self.socket.shutdown(how[usize::from(script.below(3))]);
    }
}

impl Scribbler {
    /// Writes into this.
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub fn new(memory: &OwnedFd) -> io::Result<Self> {
        memory.try_clone().map(File::from).map(Self)
    }

    /// Writes something: into a word of a ring, or anywhere.
    pub fn scribble(&self, script: &mut Script<'_>) {
        let Self(memory) = self;
        let place = script.byte();
        let (ring, word) = (u64::from(place & 1), u64::from(place >> 1 & 3));
        // Also beyond its end: it is sealed.
        let _ = match place >> 3 {
            0..24 => {
                let at = ring * WORDS_BYTES + word * STRIDE_BYTES;
                let value = match script.flag() {
                    false => u64::from(script.short()) * 8,
                    true => script.number(),
                };
                memory.write_all_at(&value.to_ne_bytes(), at)
            }
            24.. => memory.write_all_at(script.bytes(), DATA + u64::from(script.short())),
        };
    }
}
