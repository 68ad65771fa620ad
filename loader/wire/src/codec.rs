//! Messages as bytes: which kind has which number, and which fields in which order. What a field
//! looks like is in `codec/field.rs`.

mod error;
mod field;

#[cfg(test)]
mod tests;

pub use error::DecodeError;

use field::{Field, Reader};

use crate::{ToKernel, ToWorker};

/// The most bytes that a frame may have, those of its length aside.
pub const FRAME_BYTES_MAX: usize = (64 << 20) + (64 << 10);

/// The four bytes before each frame.
#[derive(Debug)]
pub enum Length {}

impl Length {
    /// How many bytes follow.
    ///
    /// # Errors
    ///
    /// None do, or more than [`FRAME_BYTES_MAX`]: no frame of ours begins like this.
    #[inline]
    pub fn read(bytes: &[u8; 4]) -> Result<usize, DecodeError> {
        let found = u32::from_le_bytes(*bytes);
        match usize::try_from(found) {
            Ok(0) => Err(DecodeError::Empty),
            Ok(length) if length <= FRAME_BYTES_MAX => Ok(length),
            _ => Err(DecodeError::TooLong { found }),
        }
    }
}

/// Writes down the kinds of one direction: number, name, fields in order.
///
/// A kind keeps its number and its fields for as long as the protocol keeps its major version:
/// what is new gets a new number.
macro_rules! kinds {
    ($messages:ident: $($kind:literal $name:ident { $($field:ident $(as $member:tt)?),* })*) => {
        impl<'a> $messages<'a> {
            /// Appends the message as a whole frame, its length first.
            ///
            /// A frame of more than [`FRAME_BYTES_MAX`] is not to be sent: no receiver takes it.
            #[inline]
            pub fn encode(&self, into: &mut Vec<u8>) {
                let begin = into.len();
                into.extend_from_slice(&[0; 4]);
                match self {
                    $(Self::$name { $($($member:)? $field),* } => {
                        into.push($kind);
                        $($field.put(into);)*
                    })*
                }
                let length = into.len() - begin - 4;
                into[begin..begin + 4].copy_from_slice(&field::length(length));
            }

            /// Reads a frame, given without its length.
            ///
            /// # Errors
            ///
            /// The frame is of no kind known here, or its fields do not fill it exactly.
            #[inline]
            pub fn decode(frame: &'a [u8]) -> Result<Self, DecodeError> {
                let (&kind, fields) = frame.split_first().ok_or(DecodeError::Empty)?;
                match kind {
                    $($kind => {
                        let reader = &mut Reader::new(stringify!($name), fields);
                        $(let $field = Field::take(reader, stringify!($field))?;)*
                        reader.finish()?;
                        Ok(Self::$name { $($($member:)? $field),* })
                    })*
                    kind => Err(DecodeError::UnknownKind {
                        expected: stringify!($messages),
                        found: kind,
                    }),
                }
            }

            /// Number, name, and names and forms of the fields, as the documentation has them.
            #[cfg(test)]
            fn described(&self) -> tests::Described {
                match self {
                    $(Self::$name { $($($member:)? $field),* } => (
                        $kind,
                        stringify!($name),
                        vec![$((stringify!($field), field::form($field))),*],
                    ),)*
                }
            }
        }
    };
}

kinds! { ToWorker:
    0x01 Hello { document as 0 }
    0x02 Open { id, generation, path, hash, manifest }
    0x03 Close { id, generation }
    0x04 Create { id, instance, generation, log_level, config }
    0x05 Destroy { id, instance }
    0x06 Call { id, instance, handler, envelope, payload }
    0x07 Deliver { id, instance, handler, events }
    0x08 Cut { id }
    0x09 Control { id, instance, what, number, payload }
    0x0a Cancel { id }
    0x0b Reply { instance, operation, answer }
    0x0c StartTask { instance, task }
    0x0d CancelTask { instance, task }
    0x0e Ping { number }
    0x0f Goodbye {}
}

kinds! { ToKernel:
    0x81 Welcome { document as 0 }
    0x82 Answer { id, answer }
    0x83 Handled { id }
    0x84 Submit {
        instance, number, operation, flags, argument, target, key, envelope, payload
    }
    0x85 CancelOperation { instance, number }
    0x86 Spawned { instance, task }
    0x87 TaskEnded { instance, task, answer }
    0x88 Log { instance, level, line, target, message, file }
    0x89 Pong { number }
}
