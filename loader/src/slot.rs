//! Places for the work of plugins: where a future lies and the envelope it refers to. Blocks of
//! one size, kept by the thread that used them last.

use std::{alloc::Layout, cell::RefCell, fmt, mem::MaybeUninit, slice, str};

use octa_plugin_abi::{self as abi, RSlice, RStr};

use crate::envelope::{Envelope, Terms};

/// How large a future may be to need no allocation of its own, in bytes.
const FUTURE: usize = 1024;
/// How much text of an envelope needs no allocation of its own, in bytes.
const TEXT: usize = 320;
/// How many free places a thread keeps.
const KEPT: usize = 8;

#[repr(C, align(64))]
struct Block {
    envelope: MaybeUninit<abi::Envelope<'static>>,
    text: MaybeUninit<[u8; TEXT]>,
    future: Place,
    /// The texts that did not fit.
    long: Vec<Box<[u8]>>,
}

#[repr(C, align(64))]
struct Place(MaybeUninit<[u8; FUTURE]>);

/// A place for one piece of work, at an address that stays.
pub(crate) struct Slot(Box<Block>);

thread_local! {
    static FREE: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
}

impl Slot {
    /// Takes a place, a used one if this thread has one.
    #[inline(always)]
    pub(crate) fn take() -> Self {
        let kept = FREE.try_with(|free| free.borrow_mut().pop());
        kept.ok().flatten().unwrap_or_else(Self::new)
    }

    #[cold]
    fn new() -> Self {
        Self(Box::new(Block {
            envelope: MaybeUninit::uninit(),
            text: MaybeUninit::uninit(),
            future: Place(MaybeUninit::uninit()),
            long: Vec::new(),
        }))
    }

    /// Gives the place back to this thread.
    #[inline(always)]
    pub(crate) fn give_back(mut self) {
        if !self.0.long.is_empty() {
            self.0.long = Vec::new();
        }
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT {
                free.push(self);
            }
        });
    }

    /// The place for a future.
    #[inline(always)]
    pub(crate) fn as_abi(&mut self) -> abi::Slot {
        abi::Slot {
            data: self.0.future.0.as_mut_ptr().cast(),
            size: FUTURE,
            align: Layout::new::<Place>().align(),
        }
    }

    /// Copies an envelope and what it refers to, for as long as this slot is not given back.
    #[inline(always)]
    pub(crate) fn write_envelope(
        &mut self,
        envelope: &Envelope<'_>,
        terms: &Terms<'_>,
    ) -> *const abi::Envelope<'static> {
        let mut free = 0;
        let mut copied = abi::Envelope {
            remaining_nanos: terms.nanos(),
            correlation_high: (terms.correlation >> 64) as u64,
            correlation_low: terms.correlation as u64,
            attempt: envelope.attempt,
            content_type: abi::content_type::JSON,
            caller: self.copy_text(envelope.caller, &mut free),
            chain: self.copy_text(terms.chain, &mut free),
            trace: RStr::empty(),
            routing_key: RStr::empty(),
            idempotency_key: RStr::empty(),
            headers: RSlice::EMPTY,
        };
        if !envelope.is_plain() {
            copied.trace = self.copy_text(envelope.trace, &mut free);
            copied.routing_key = self.copy_text(envelope.routing_key, &mut free);
            copied.idempotency_key = self.copy_text(envelope.idempotency_key, &mut free);
            copied.headers = self.copy(envelope.headers, &mut free).into();
        }
        self.0.envelope.write(copied)
    }

    #[inline(always)]
    fn copy_text(&mut self, text: &str, free: &mut usize) -> RStr<'static> {
        let copy = self.copy(text.as_bytes(), free);
        // SAFETY: a copy of a str.
        unsafe { str::from_utf8_unchecked(copy) }.into()
    }

    /// Copies bytes behind those that lie there already, up to `free`.
    ///
    /// The lifetime is a promise of this file: the copy lies in a box that this slot holds until
    /// it is given back, and nothing of it is handed out but through `write_envelope`.
    #[inline(always)]
    fn copy(&mut self, bytes: &[u8], free: &mut usize) -> &'static [u8] {
        if bytes.is_empty() {
            return &[];
        }
        if bytes.len() > TEXT - *free {
            return self.copy_long(bytes);
        }
        // SAFETY: `free + bytes.len()` is at most the size of the text.
        let place = unsafe { self.0.text.as_mut_ptr().cast::<u8>().add(*free) };
        // SAFETY: the place has room, and nothing else lies behind `free`.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        *free += bytes.len();
        // SAFETY: written just now; see above for how long.
        unsafe { slice::from_raw_parts(place, bytes.len()) }
    }

    #[cold]
    fn copy_long(&mut self, bytes: &[u8]) -> &'static [u8] {
        self.0.long.push(bytes.into());
        let copy = self.0.long.last().map_or(&[][..], |long| long);
        // SAFETY: a box does not move its content; see `copy` for how long.
        unsafe { slice::from_raw_parts(copy.as_ptr(), copy.len()) }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_of_any_length_are_kept() {
        let mut slot = Slot::take();
        let key = "k".repeat(1000);
        let envelope = Envelope {
            caller: "lamps",
            idempotency_key: &key,
            headers: b"{}",
            ..Envelope::default()
        };
        let terms = Terms {
            remaining: std::time::Duration::from_millis(1),
            correlation: 7 << 64,
            chain: "00000001",
        };
        let written = slot.write_envelope(&envelope, &terms);
        // SAFETY: written just now, and the slot is there.
        let read = Envelope::from_abi(unsafe { &*written });
        assert_eq!(
            (read.remaining, read.correlation),
            (Some(terms.remaining), 7 << 64)
        );
        assert_eq!((read.caller, read.chain), ("lamps", "00000001"));
        assert_eq!((read.idempotency_key, read.headers), (&*key, &b"{}"[..]));
        slot.give_back();
    }
}
