//! Writes constant trees as JSON text, in constant functions.

use super::definitions::Definitions;
use super::facts::{flattened_map, key_kind, must_be_there};
use super::text::Text;
use super::{Definition, Field, Node, Scalar};

/// A part of a constant JSON text.
#[derive(Debug, Clone, Copy)]
pub enum Piece {
    /// JSON text, written as it is.
    Text(&'static str),
    /// A string, written with its quotes and escapes.
    String(&'static str),
    /// A whole number.
    Number(u64),
    /// A schema, written as a document of its own, with all that it refers to.
    Schema(&'static Node),
}

/// How many bytes [`write()`] needs for the pieces.
///
/// # Panics
/// As [`write()`].
pub const fn length(pieces: &[Piece]) -> usize {
    let mut writer = Writer::<0>::new();
    writer.pieces(pieces);
    writer.out.length()
}

/// Writes the pieces one after the other.
///
/// # Panics
/// If `N` is not [`length`] of the pieces, or a schema cannot be written: in a constant, a compile
/// error that says why.
pub const fn write<const N: usize>(pieces: &[Piece]) -> [u8; N] {
    let mut writer = Writer::<N>::new();
    writer.pieces(pieces);
    assert!(
        writer.out.length() == N,
        "the length is not that of the pieces"
    );
    writer.out.bytes()
}

/// Checks that a definition can be written; the others that it refers to are checked where they
/// are defined.
///
/// # Panics
/// If it cannot: in a constant, a compile error that says why.
pub const fn check(definition: &'static Definition) {
    Writer::<0>::new().schema(definition.body, PLAIN);
}

/// How many flattened types may stand in one another; more is taken for a type within itself.
const MAX_FLATTENED: usize = 32;

struct Writer<const N: usize> {
    out: Text<N>,
    /// The named types that the present document refers to, in the order they were met.
    definitions: Definitions,
    /// How many flattened types we are inside of.
    depth: usize,
}

/// How the members of a schema are written.
#[derive(Clone, Copy)]
struct Manner {
    /// Other fields stand beside: only objects fit here, and none may be closed.
    open: bool,
    /// A description was written already, which outranks that of the type.
    described: bool,
}

const PLAIN: Manner = Manner {
    open: false,
    described: false,
};
const OPEN: Manner = Manner {
    open: true,
    described: false,
};

impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self {
            out: Text::new(),
            definitions: Definitions::new(),
            depth: 0,
        }
    }

    const fn pieces(&mut self, pieces: &[Piece]) {
        let mut index = 0;
        while index < pieces.len() {
            match pieces[index] {
                Piece::Text(text) => self.out.raw(text),
                Piece::String(text) => self.out.string(text),
                Piece::Number(number) => self.out.number(number),
                Piece::Schema(node) => self.document(node),
            }
            index += 1;
        }
    }

    const fn document(&mut self, root: &'static Node) {
        self.definitions.clear();
        self.out.raw("{");
        self.members(root, PLAIN);
        if self.definitions.count() > 0 {
            self.out.key("$defs");
            self.out.raw("{");
            let mut index = 0;
            // Writing one may add to the list.
            while index < self.definitions.count() {
                self.out.separate();
                self.out.raw("\"");
                let definition = self.name(index);
                self.out.raw("\":");
                self.schema(definition.body, PLAIN);
                index += 1;
            }
            self.out.raw("}");
        }
        self.out.raw("}");
    }

    const fn schema(&mut self, node: &'static Node, manner: Manner) {
        self.out.raw("{");
        self.members(node, manner);
        self.out.raw("}");
    }

    const fn members(&mut self, node: &'static Node, manner: Manner) {
        match *node {
            Node::Any
            | Node::Scalar {
                kind: Scalar::Null, ..
            } if manner.open => {}
            Node::Any => {}
            Node::Nullable { inner } => self.nullable(inner, manner),
            Node::Map { .. } if manner.open => {}
            Node::Map { keys, values } => self.map(keys, values),
            Node::Object {
                fields,
                flattened,
                closed,
            } => {
                self.object(fields, flattened, closed, manner);
            }
            Node::Choice { variants } => self.choice(variants, manner),
            Node::Newtype { inner } => self.members(inner, manner),
            Node::Described { text, inner } => self.described(text, inner, manner),
            Node::Named { definition } if manner.open => {
                self.depth += 1;
                assert!(
                    self.depth <= MAX_FLATTENED,
                    "a flattened type contains itself"
                );
                self.members(definition.definition().body, manner);
                self.depth -= 1;
            }
            Node::Named { definition } => self.reference(definition.definition()),
            Node::Scalar { .. } | Node::List { .. } | Node::Tuple { .. } if manner.open => {
                panic!(
                    "only what is always a JSON object can be flattened, or be in a newtype variant of an internally tagged enum"
                )
            }
            Node::Scalar { members, .. } => {
                self.out.separate();
                self.out.raw(members);
            }
            Node::List { items, length } => self.list(items, length),
            Node::Tuple { items, required } => self.tuple(items, required),
        }
    }

    const fn described(&mut self, text: &'static str, inner: &'static Node, manner: Manner) {
        if !manner.described {
            self.out.key("description");
            self.out.raw(text);
        }
        self.members(
            inner,
            Manner {
                described: true,
                ..manner
            },
        );
    }

    const fn nullable(&mut self, inner: &'static Node, manner: Manner) {
        self.out.key("anyOf");
        self.out.raw("[");
        self.schema(
            inner,
            Manner {
                described: false,
                ..manner
            },
        );
        // Beside other fields, nothing is there for `None`.
        self.out.raw(if manner.open {
            ",{}]"
        } else {
            ",{\"type\":\"null\"}]"
        });
    }

    const fn list(&mut self, items: &'static Node, length: Option<usize>) {
        self.out.kind("array");
        self.out.key("items");
        self.schema(items, PLAIN);
        if let Some(length) = length {
            self.bounds(length, length);
        }
    }

    const fn tuple(&mut self, items: &'static [&'static Node], required: usize) {
        self.out.kind("array");
        if !items.is_empty() {
            self.out.key("prefixItems");
            self.schemas(items, PLAIN);
        }
        self.bounds(required, items.len());
    }

    const fn bounds(&mut self, min: usize, max: usize) {
        self.out.key("minItems");
        self.out.number(min as u64);
        self.out.key("maxItems");
        self.out.number(max as u64);
    }

    const fn choice(&mut self, variants: &'static [&'static Node], manner: Manner) {
        if variants.is_empty() {
            self.out.key("not");
            self.out.raw("{}");
        } else {
            self.out.key("anyOf");
            self.schemas(
                variants,
                Manner {
                    described: false,
                    ..manner
                },
            );
        }
    }

    const fn schemas(&mut self, nodes: &'static [&'static Node], manner: Manner) {
        self.out.raw("[");
        let mut index = 0;
        while index < nodes.len() {
            self.out.separate();
            self.schema(nodes[index], manner);
            index += 1;
        }
        self.out.raw("]");
    }

    const fn map(&mut self, keys: &'static Node, values: &'static Node) {
        self.out.kind("object");
        match key_kind(keys) {
            Some(Scalar::Text) => {}
            Some(Scalar::Word) => {
                self.out.key("propertyNames");
                self.schema(keys, PLAIN);
            }
            Some(Scalar::Integer) => {
                self.out.key("propertyNames");
                self.out.raw("{\"pattern\":\"^-?[0-9]+$\"}");
            }
            Some(Scalar::Boolean) => {
                self.out.key("propertyNames");
                self.out.raw("{\"enum\":[\"true\",\"false\"]}");
            }
            _ => panic!("the keys of a map must be strings, integers, booleans or unit variants"),
        }
        self.out.key("additionalProperties");
        self.schema(values, PLAIN);
    }

    const fn object(
        &mut self,
        fields: &'static [Field],
        flattened: &'static [&'static Node],
        closed: bool,
        manner: Manner,
    ) {
        self.out.kind("object");
        if !fields.is_empty() {
            self.out.key("properties");
            self.properties(fields);
        }
        self.required(fields);
        self.all_of(fields, flattened);
        if manner.open {
            return;
        }
        if closed {
            self.out.key("additionalProperties");
            self.out.raw("false");
        } else if let Some(values) = flattened_map(flattened) {
            // Unlike `additionalProperties`, this knows the fields of flattened objects.
            self.out.key("unevaluatedProperties");
            self.schema(values, PLAIN);
        }
    }

    const fn properties(&mut self, fields: &'static [Field]) {
        self.out.raw("{");
        let mut index = 0;
        while index < fields.len() {
            let field = &fields[index];
            self.out.name(field.name);
            self.schema(field.node, PLAIN);
            let mut alias = 0;
            while alias < field.aliases.len() {
                self.out.name(field.aliases[alias]);
                self.schema(field.node, PLAIN);
                alias += 1;
            }
            index += 1;
        }
        self.out.raw("}");
    }

    const fn required(&mut self, fields: &'static [Field]) {
        let mut any = false;
        let mut index = 0;
        while index < fields.len() {
            let field = &fields[index];
            if must_be_there(field) && field.aliases.is_empty() {
                if !any {
                    self.out.key("required");
                    self.out.raw("[");
                    any = true;
                }
                self.out.item(field.name);
            }
            index += 1;
        }
        if any {
            self.out.raw("]");
        }
    }

    const fn all_of(&mut self, fields: &'static [Field], flattened: &'static [&'static Node]) {
        let mut any = false;
        let mut index = 0;
        while index < fields.len() + flattened.len() {
            let aliased = index < fields.len();
            if !aliased || must_be_there(&fields[index]) && !fields[index].aliases.is_empty() {
                if !any {
                    self.out.key("allOf");
                    self.out.raw("[");
                    any = true;
                }
                self.out.separate();
                if aliased {
                    self.under_any_name(&fields[index]);
                } else {
                    self.schema(flattened[index - fields.len()], OPEN);
                }
            }
            index += 1;
        }
        if any {
            self.out.raw("]");
        }
    }

    const fn under_any_name(&mut self, field: &Field) {
        self.out.raw("{\"anyOf\":[{\"required\":[");
        self.out.string(field.name);
        let mut alias = 0;
        while alias < field.aliases.len() {
            self.out.raw("]},{\"required\":[");
            self.out.string(field.aliases[alias]);
            alias += 1;
        }
        self.out.raw("]}]}");
    }

    const fn reference(&mut self, definition: &'static Definition) {
        let index = self.definitions.enter(definition);
        self.out.key("$ref");
        self.out.raw("\"#/$defs/");
        self.name(index);
        self.out.raw("\"");
    }

    /// Writes the name of a definition: the short one, and its number if others had it first.
    const fn name(&mut self, index: usize) -> &'static Definition {
        let (definition, number) = self.definitions.get(index);
        self.out.raw(definition.name);
        if number > 1 {
            // No name contains a dash.
            self.out.raw("-");
            self.out.number(number);
        }
        definition
    }
}
