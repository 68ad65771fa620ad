//! Bytes that cross the boundary: reference-counted, in memory that belongs to the host.
//!
//! Which functions allocate them is decided by [`host`]; this file only handles them.

mod host;

use std::{fmt, io, mem::ManuallyDrop, ops::Deref, ptr::NonNull, slice};

use octa_plugin_abi as abi;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, ErrorKind, Result};

use host::buffer;
#[doc(hidden)]
pub use host::host_buffer;
pub(crate) use host::use_buffers_of;

/// Immutable bytes, shared by counting references.
///
/// Cloning costs one atomic addition. The memory belongs to the kernel, so a payload may
/// outlive the plugin that wrote it. At most 4 GiB.
pub struct Payload(abi::Buffer);

// SAFETY: a block behind more than one handle is immutable, and its functions may be called
// from any thread (`abi::BufferFunctions`).
unsafe impl Send for Payload {}
// SAFETY: as for `Send`: only reads happen through a shared handle.
unsafe impl Sync for Payload {}

impl Payload {
    /// The payload of no bytes; allocates nothing.
    #[inline]
    pub const fn empty() -> Self {
        Self(abi::Buffer {
            data: NonNull::dangling().as_ptr(),
            length: 0,
            owner: std::ptr::null(),
        })
    }

    /// Copies `bytes` into a new payload.
    ///
    /// # Panics
    ///
    /// If there are more than 4 GiB.
    #[inline]
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        let mut buffer = buffer(bytes.len());
        assert!(!buffer.owner.is_null(), "a payload has at most 4 GiB");
        // SAFETY: the host's functions made room for `bytes`, and gave the only handle on it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.data, bytes.len()) };
        buffer.length = bytes.len();
        Self(buffer)
    }

    /// Serialises `value` as JSON, straight into a new payload.
    ///
    /// # Errors
    ///
    /// If `value` refuses to be serialised, or is too large.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let mut writer = PayloadWriter::with_capacity(256);
        serde_json::to_writer(&mut writer, value).map_err(|e| {
            Error::new(
                ErrorKind::InvalidOutput,
                format!("cannot be written as JSON: {e}"),
            )
        })?;
        Ok(writer.finish())
    }

    /// The same bytes in a block that has room for little more: copies them where theirs is larger.
    ///
    /// For who keeps many small payloads: [`json`](Self::json) begins with room for 256 bytes.
    #[must_use]
    pub fn fitted(self) -> Self {
        let length = self.0.length;
        // SAFETY: this handle keeps its block alive.
        match unsafe { self.0.owner.as_ref() } {
            Some(owner) if owner.capacity > length + length / 4 + 16 => {
                Self::copy_from_slice(&self)
            }
            _ => self,
        }
    }

    /// Reads the payload as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] that says what was expected, and where.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        parse(self)
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `data` points at `length` initialised bytes that stay as they are while this
        // handle exists; dangling only with length 0.
        unsafe { slice::from_raw_parts(self.0.data, self.0.length) }
    }

    #[doc(hidden)]
    #[inline]
    pub fn as_abi(&self) -> abi::Bytes<'_> {
        abi::Bytes {
            bytes: self.as_slice().into(),
            owner: self.0.owner,
        }
    }

    #[doc(hidden)]
    #[inline]
    pub fn into_abi(self) -> abi::Buffer {
        let this = ManuallyDrop::new(self);
        abi::Buffer {
            data: this.0.data,
            length: this.0.length,
            owner: this.0.owner,
        }
    }

    /// Takes over a handle that came across the boundary.
    ///
    /// # Safety
    ///
    /// `buffer` is a handle as `abi::Buffer` describes it, and its reference is the caller's
    /// to give.
    #[doc(hidden)]
    #[inline]
    pub unsafe fn from_abi(buffer: abi::Buffer) -> Self {
        Self(buffer)
    }

    /// Keeps borrowed bytes: adds a reference where they lie in a block, copies otherwise.
    ///
    /// # Safety
    ///
    /// `bytes` is as `abi::Bytes` describes it.
    #[doc(hidden)]
    pub unsafe fn keep(bytes: &abi::Bytes<'_>) -> Self {
        // SAFETY: the caller's promise: null, or a block that is alive now.
        let Some(owner) = (unsafe { bytes.owner.as_ref() }) else {
            return Self::copy_from_slice(bytes.bytes.as_slice());
        };
        owner.functions.retain()(owner);
        Self(abi::Buffer {
            data: bytes.bytes.as_ptr().cast_mut(),
            length: bytes.bytes.len(),
            owner,
        })
    }
}

impl Clone for Payload {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: this handle keeps its block alive.
        if let Some(owner) = unsafe { self.0.owner.as_ref() } {
            owner.functions.retain()(owner);
        }
        Self(abi::Buffer {
            data: self.0.data,
            length: self.0.length,
            owner: self.0.owner,
        })
    }
}

impl Drop for Payload {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this handle keeps its block alive until `release`.
        if let Some(owner) = unsafe { self.0.owner.as_ref() } {
            owner.functions.release()(owner);
        }
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::empty()
    }
}

impl Deref for Payload {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self::copy_from_slice(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::copy_from_slice(&bytes)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(self) {
            Ok(text) if text.len() <= 256 => write!(f, "Payload({text:?})"),
            _ => write!(f, "Payload({} bytes)", self.len()),
        }
    }
}

/// Reads bytes as JSON.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        Error::new(
            ErrorKind::InvalidInput,
            format!("not the JSON expected: {e}"),
        )
    })
}

/// Writes a [`Payload`] piece by piece.
#[derive(Debug)]
pub struct PayloadWriter(Payload);

impl PayloadWriter {
    /// Starts a payload with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        // SAFETY: the host's functions return a handle whose reference is ours.
        Self(unsafe { Payload::from_abi(buffer(capacity)) })
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    ///
    /// If the payload would be larger than 4 GiB, or memory is exhausted.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        assert!(self.reserve(bytes.len()), "a payload has at most 4 GiB");
        let buffer = &mut self.0.0;
        // SAFETY: `reserve` made room for `bytes` behind the first `length` bytes.
        let end = unsafe { buffer.data.add(buffer.length) };
        // SAFETY: as above, and no other handle on the block exists, so nothing else reads or
        // writes there; `bytes` cannot lie there, since that part is not initialised.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len()) };
        buffer.length += bytes.len();
    }

    /// Ends writing.
    pub fn finish(self) -> Payload {
        self.0
    }

    #[inline]
    fn reserve(&mut self, additional: usize) -> bool {
        let buffer = &mut self.0.0;
        // SAFETY: this handle keeps its block alive.
        match unsafe { buffer.owner.as_ref() } {
            Some(owner) if owner.capacity - buffer.length >= additional => true,
            Some(owner) => owner.functions.reserve()(buffer, additional) == abi::code::OK,
            None => {
                *self = Self::with_capacity(additional);
                !self.0.0.owner.is_null()
            }
        }
    }
}

impl io::Write for PayloadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_written() {
        let text = "x".repeat(10_000);
        let payload = Payload::json(&text).expect("a string is JSON");
        assert_eq!(payload.parse::<String>().expect("it was JSON"), text);
        assert_eq!(payload.clone(), payload);
    }

    #[test]
    fn empty_needs_no_block() {
        assert!(Payload::empty().is_empty());
        assert!(Payload::copy_from_slice(b"").is_empty());
    }

    #[test]
    fn what_is_kept_takes_no_more_room_than_it_needs() {
        let small = Payload::json(&true).expect("a value is JSON");
        let before = small.as_ptr();
        let fitted = small.fitted();
        assert_eq!(&*fitted, b"true");
        assert_ne!(fitted.as_ptr(), before, "it has a block of its own size");
        let again = fitted.as_ptr();
        assert_eq!(fitted.fitted().as_ptr(), again, "which it keeps");
        let large = Payload::json(&"x".repeat(240)).expect("a string is JSON");
        let before = large.as_ptr();
        assert_eq!(large.fitted().as_ptr(), before, "its block fits");
        assert!(Payload::empty().fitted().is_empty());
    }

    #[test]
    fn borrowed_bytes_are_kept() {
        let payload = Payload::copy_from_slice(b"lamp");
        let kept = {
            let borrowed = payload.as_abi();
            // SAFETY: borrowed from a living payload.
            unsafe { Payload::keep(&borrowed) }
        };
        drop(payload);
        assert_eq!(&*kept, b"lamp");
    }
}
