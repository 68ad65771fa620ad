//! A frame that is being received, in memory that only this process can change.

use octa_wire::Length;

use super::{Violation, ring::padded};

/// The bytes before each frame, which are its length.
const LENGTH_BYTES: usize = 4;
/// What is kept of a large frame's memory for the next one.
const KEPT_BYTES: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Assembly {
    /// As long as it ever was, so that it is not filled with zeros for each frame.
    bytes: Vec<u8>,
    /// How many of the bytes are of this frame.
    filled: usize,
    /// How many it has with those of its length, once that is known.
    whole: Option<usize>,
}

impl Assembly {
    /// How many bytes are missing, as far as is known; 0 if the frame is complete.
    #[inline]
    pub(super) fn missing(&self) -> usize {
        self.whole
            .unwrap_or(LENGTH_BYTES)
            .saturating_sub(self.filled)
    }

    /// Room for bytes that are missing, and for those that a ring fills them up with.
    #[inline]
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.filled + bytes;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.filled..end]
    }

    /// So many bytes were written to the [`room`](Self::room).
    ///
    /// # Errors
    ///
    /// They begin with a length that no frame has.
    #[inline]
    pub(super) fn fill(&mut self, bytes: usize) -> Result<(), Violation> {
        self.filled += bytes;
        if self.whole.is_none()
            && self.filled >= LENGTH_BYTES
            && let Some(prefix) = self.bytes.first_chunk()
        {
            let length =
                Length::read(prefix).map_err(|_| Violation::Length(u32::from_le_bytes(*prefix)))?;
            let whole = LENGTH_BYTES + length;
            // Memory is set aside for all of it, and touched as it arrives.
            self.bytes
                .reserve(padded(whole).saturating_sub(self.bytes.len()));
            self.whole = Some(whole);
        }
        Ok(())
    }

    /// The complete frame, its length aside.
    #[inline]
    pub(super) fn frame(&self) -> &[u8] {
        &self.bytes[LENGTH_BYTES..self.whole.unwrap_or(LENGTH_BYTES)]
    }

    /// Makes room for the next frame if this one is complete.
    #[inline]
    pub(super) fn recycle(&mut self) {
        if self.whole.is_some() && self.missing() == 0 {
            self.clear();
        }
    }

    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets what has arrived.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.filled = 0;
        self.whole = None;
        if self.bytes.len() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
    }
}
