//! Bytes that wait for room, first in, first out.

use std::collections::VecDeque;

/// What the first of many small frames allocates for those after it.
const CHUNK_BYTES: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Queue {
    chunks: VecDeque<Vec<u8>>,
    /// Of the first chunk.
    gone: usize,
    bytes: usize,
}

impl Queue {
    /// The bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends bytes and zeros, which make up `whole` bytes.
    pub(super) fn push(&mut self, bytes: &[u8], whole: usize) {
        if self
            .chunks
            .back()
            .is_none_or(|last| last.capacity() - last.len() < whole)
        {
            self.chunks
                .push_back(Vec::with_capacity(whole.max(CHUNK_BYTES)));
        }
        if let Some(last) = self.chunks.back_mut() {
            let end = last.len() + whole;
            last.extend_from_slice(bytes);
            last.resize(end, 0);
            self.bytes += whole;
        }
    }

    /// Some of the bytes that are next.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.chunks.front().map(|first| &first[self.gone..])
    }

    /// Lets go of the first bytes of [`front`](Self::front).
    pub(super) fn advance(&mut self, bytes: usize) {
        self.gone += bytes;
        self.bytes -= bytes;
        if self.front().is_some_and(<[u8]>::is_empty) {
            self.chunks.pop_front();
            self.gone = 0;
        }
    }
}
