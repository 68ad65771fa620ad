//! What is in a frame: numbers, texts, bytes, and the groups of these that several kinds have in
//! common. Nothing is copied out of a frame, and only a list of events is allocated for.

use super::DecodeError;
use crate::{Answer, Envelope, Event};

/// A field of a message.
pub(super) trait Field<'a>: Sized {
    /// How the documentation of the protocol calls it.
    #[cfg(test)]
    const FORM: &'static str;
    /// The fewest bytes that it can have.
    const BYTES_MIN: usize;

    /// Appends it.
    fn put(&self, into: &mut Vec<u8>);

    /// Reads it; `name` is for the error.
    fn take(reader: &mut Reader<'a>, name: &'static str) -> Result<Self, DecodeError>;
}

#[cfg(test)]
pub(super) fn form<'a, T: Field<'a>>(_: &T) -> &'static str {
    T::FORM
}

/// What is left of a frame.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    kind: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(kind: &'static str, fields: &'a [u8]) -> Self {
        Self { kind, rest: fields }
    }

    /// After the last field.
    #[inline]
    pub(super) fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            found => Err(DecodeError::Trailing {
                kind: self.kind,
                found,
            }),
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.truncated(field, N))?;
        self.rest = rest;
        Ok(*bytes)
    }

    #[inline]
    fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.count(field)?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.truncated(field, length))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A number of bytes or elements that follow.
    #[inline]
    fn count(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        let count = u32::from_le_bytes(self.fixed(field)?);
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    #[cold]
    fn truncated(&self, field: &'static str, expected: usize) -> DecodeError {
        DecodeError::Truncated {
            kind: self.kind,
            field,
            expected,
            found: self.rest.len(),
        }
    }
}

/// A number of bytes or elements. One that does not fit is written as the largest, which no
/// receiver takes for the length of a frame, and so no frame around it either.
#[inline]
pub(super) fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

macro_rules! numbers {
    ($($number:ident)*) => {
        $(impl Field<'_> for $number {
            #[cfg(test)]
            const FORM: &'static str = stringify!($number);
            const BYTES_MIN: usize = size_of::<Self>();

            #[inline]
            fn put(&self, into: &mut Vec<u8>) {
                into.extend_from_slice(&self.to_le_bytes());
            }

            #[inline]
            fn take(reader: &mut Reader<'_>, name: &'static str) -> Result<Self, DecodeError> {
                reader.fixed(name).map(Self::from_le_bytes)
            }
        })*
    };
}

numbers! { u32 u64 u128 }

impl<'a> Field<'a> for &'a [u8] {
    #[cfg(test)]
    const FORM: &'static str = "bytes";
    const BYTES_MIN: usize = 4;

    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&length(self.len()));
        into.extend_from_slice(self);
    }

    #[inline]
    fn take(reader: &mut Reader<'a>, name: &'static str) -> Result<Self, DecodeError> {
        reader.bytes(name)
    }
}

impl<'a> Field<'a> for &'a str {
    #[cfg(test)]
    const FORM: &'static str = "text";
    const BYTES_MIN: usize = 4;

    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        self.as_bytes().put(into);
    }

    #[inline]
    fn take(reader: &mut Reader<'a>, name: &'static str) -> Result<Self, DecodeError> {
        let bytes = reader.bytes(name)?;
        str::from_utf8(bytes).map_err(|error| DecodeError::NotText {
            kind: reader.kind,
            field: name,
            found: error.valid_up_to(),
        })
    }
}

impl<'a> Field<'a> for Vec<Event<'a>> {
    #[cfg(test)]
    const FORM: &'static str = "events";
    const BYTES_MIN: usize = 4;

    #[inline]
    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&length(self.len()));
        for event in self {
            event.put(into);
        }
    }

    fn take(reader: &mut Reader<'a>, name: &'static str) -> Result<Self, DecodeError> {
        let count = reader.count(name)?;
        let fitting = reader.rest.len() / Event::BYTES_MIN;
        if count > fitting {
            return Err(DecodeError::TooMany {
                kind: reader.kind,
                field: name,
                expected: fitting,
                found: count,
            });
        }
        let mut events = Self::with_capacity(count);
        for _ in 0..count {
            events.push(Event::take(reader, name)?);
        }
        Ok(events)
    }
}

/// A group of fields, in this order. An error names the field within.
macro_rules! group {
    ($group:ident $form:literal { $($field:ident: $type:ty),* $(,)? }) => {
        #[cfg(test)]
        impl<'a> $group<'a> {
            /// Names and forms of the fields, as the documentation has them.
            pub(super) const FIELDS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($field), <$type as Field<'a>>::FORM)),*];
        }

        impl<'a> Field<'a> for $group<'a> {
            #[cfg(test)]
            const FORM: &'static str = $form;
            const BYTES_MIN: usize = 0 $(+ <$type as Field<'a>>::BYTES_MIN)*;

            #[inline]
            fn put(&self, into: &mut Vec<u8>) {
                $(self.$field.put(into);)*
            }

            #[inline]
            fn take(reader: &mut Reader<'a>, _name: &'static str) -> Result<Self, DecodeError> {
                Ok(Self { $($field: Field::take(reader, stringify!($field))?),* })
            }
        }
    };
}

group! { Envelope "envelope" {
    remaining_nanos: u64,
    correlation: u128,
    attempt: u32,
    caller: &'a str,
    chain: &'a str,
    trace: &'a str,
    routing_key: &'a str,
    idempotency_key: &'a str,
    headers: &'a [u8],
} }

group! { Event "event" {
    id: u64,
    sequence: u64,
    time: u64,
    correlation: u128,
    attempt: u32,
    content_type: u32,
    topic: &'a str,
    source: &'a str,
    payload: &'a [u8],
} }

group! { Answer "answer" {
    code: u32,
    number: u64,
    payload: &'a [u8],
    headers: &'a [u8],
} }
