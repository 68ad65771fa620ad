//! JSON Schemas as compile-time constants: the [`Schema`] trait and the constant tree it is made of.
//! The derive lives in the macros crate; turning a tree into JSON is the job of `writer`.
//!
//! A schema describes the JSON that serde reads and writes, in the 2020-12 dialect. Where the two
//! differ (a field that may be left out of one of them), it accepts both. It may accept a little
//! more than serde does (the second of two aliases, say), never less of what serde writes.

mod definitions;
mod facts;
mod impls;
mod json;
mod text;
mod writer;

pub use self::json::Json;
pub use self::writer::{Piece, check, length, write};
pub use octa_plugin_macros::Schema;

/// A type whose JSON form is known when it is compiled.
///
/// Derive it beside serde's traits; the derive follows serde's attributes. What it cannot follow
/// is a compile error, and can be said by hand: `#[schema(any)]` for free-form JSON,
/// `#[schema(with = Type)]` for a field that looks like another type.
///
/// A named type without type or lifetime parameters is written once, under `$defs`, and may refer
/// to itself; a generic one is written out at each place of use, and may not.
#[diagnostic::on_unimplemented(
    message = "the JSON Schema of `{Self}` is not known",
    label = "does not implement `octa_plugin_api::Schema`",
    note = "for a type of your own: `#[derive(octa_plugin_api::Schema)]`",
    note = "for free-form JSON: the type `octa_plugin_api::Json`, or `#[schema(any)]` on a field",
    note = "for a type of another crate: `#[schema(with = Type)]` on the field, naming a type of the same JSON form"
)]
pub trait Schema {
    /// The constant tree from which the JSON text is written.
    const SCHEMA: &'static Node;
}

/// One part of a schema.
#[derive(Debug, Clone, Copy)]
pub enum Node {
    /// Any JSON value.
    Any,
    /// A value without parts.
    Scalar {
        /// What kind of value.
        kind: Scalar,
        /// The finished members of its schema, without the braces: `"type":"boolean"`.
        members: &'static str,
    },
    /// The inner value, or null; as the field of an object it may be absent.
    Nullable {
        /// The schema of what is there when it is not null.
        inner: &'static Node,
    },
    /// Any number of equal items, or exactly `length`.
    List {
        /// The schema of each item.
        items: &'static Node,
        /// How many there are, if that is fixed.
        length: Option<usize>,
    },
    /// Items each with its own schema.
    Tuple {
        /// The schemas in order.
        items: &'static [&'static Node],
        /// How many of them must be there.
        required: usize,
    },
    /// An object with free names and equal values.
    Map {
        /// The schema of the names: of a string, an integer or a boolean, which JSON quotes.
        keys: &'static Node,
        /// The schema of each value.
        values: &'static Node,
    },
    /// An object with known fields.
    Object {
        /// The fields.
        fields: &'static [Field],
        /// Objects whose fields stand beside the own ones.
        flattened: &'static [&'static Node],
        /// Whether no other fields may be there. Not together with `flattened`.
        closed: bool,
    },
    /// One of several; of none, if empty.
    Choice {
        /// The schemas to choose from.
        variants: &'static [&'static Node],
    },
    /// The JSON of the inner value under another type: unlike a bare `Option` it is never absent.
    Newtype {
        /// The schema of the inner value.
        inner: &'static Node,
    },
    /// The inner value with words about it.
    Described {
        /// The words as a JSON string, with quotes and escapes.
        text: &'static str,
        /// What they are about.
        inner: &'static Node,
    },
    /// A reference to a named type.
    Named {
        /// Its definition.
        definition: Lazy,
    },
}

/// What kind of value a [`Node::Scalar`] is; decides whether it can be the name in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Null, as of `()`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A string without restrictions.
    Text,
    /// A string of which the members say more than its type.
    Word,
}

/// A field of a [`Node::Object`].
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in JSON, unescaped.
    pub name: &'static str,
    /// Other names under which it may come.
    pub aliases: &'static [&'static str],
    /// The schema of its value.
    pub node: &'static Node,
    /// When it must be there.
    pub presence: Presence,
}

/// Whether a [`Field`] must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It may be absent.
    Optional,
    /// It may be absent if its type is an `Option`.
    ByType,
}

/// The definition of a named type.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// The short name, of ASCII letters, digits and `_`.
    pub name: &'static str,
    /// A number that types of different content hardly share, so that most are told apart by it.
    pub hash: u64,
    /// What tells two types of one short name apart.
    pub identity: &'static str,
    /// The schema.
    pub body: &'static Node,
}

/// A reference to a definition that evaluating a constant does not follow, so that types may refer
/// to themselves and each other without a cycle of constants.
#[derive(Debug, Clone, Copy)]
pub struct Lazy(*const Definition);

impl Lazy {
    /// Refers to a definition.
    pub const fn new(definition: &'static Definition) -> Self {
        // A reference would be followed when the constant that holds it is validated.
        Self(definition)
    }

    /// The definition.
    pub const fn definition(self) -> &'static Definition {
        // SAFETY: the only constructor takes a `&'static Definition`, so the pointer is aligned,
        // not null, and points to a valid value that is never freed nor mutated.
        unsafe { &*self.0 }
    }
}

// SAFETY: it stands for a `&'static Definition`, and `Definition` is `Sync`: it holds nothing but
// shared references to constants.
unsafe impl Sync for Lazy {}

// SAFETY: as for `Sync`: a shared reference to a `Sync` value may go to another thread.
unsafe impl Send for Lazy {}
