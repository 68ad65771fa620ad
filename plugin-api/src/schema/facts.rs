//! What `writer` asks about nodes before it writes them.

use super::{Field, Node, Presence, Scalar};

/// Whether an object must have the field.
pub(super) const fn must_be_there(field: &Field) -> bool {
    match field.presence {
        Presence::Required => true,
        Presence::Optional => false,
        Presence::ByType => !is_nullable(field.node),
    }
}

const fn is_nullable(node: &'static Node) -> bool {
    match *node {
        Node::Nullable { .. } => true,
        Node::Described { inner, .. } => is_nullable(inner),
        Node::Named { definition } => is_nullable(definition.definition().body),
        _ => false,
    }
}

/// The kind of a map's keys, if they can be such.
pub(super) const fn key_kind(node: &'static Node) -> Option<Scalar> {
    match *node {
        Node::Scalar { kind, .. } => Some(kind),
        Node::Newtype { inner } | Node::Described { inner, .. } => key_kind(inner),
        Node::Named { definition } => key_kind(definition.definition().body),
        Node::Choice { variants } => {
            let mut index = 0;
            while index < variants.len() {
                if !matches!(key_kind(variants[index]), Some(Scalar::Word)) {
                    return None;
                }
                index += 1;
            }
            Some(Scalar::Word)
        }
        _ => None,
    }
}

/// The values of the map that takes what no field takes, if one is flattened.
pub(super) const fn flattened_map(flattened: &'static [&'static Node]) -> Option<&'static Node> {
    let mut index = 0;
    while index < flattened.len() {
        if let Some(values) = map_values(flattened[index]) {
            return Some(values);
        }
        index += 1;
    }
    None
}

const fn map_values(node: &'static Node) -> Option<&'static Node> {
    match *node {
        Node::Map { values, .. } if !matches!(*values, Node::Any) => Some(values),
        Node::Nullable { inner } | Node::Newtype { inner } | Node::Described { inner, .. } => {
            map_values(inner)
        }
        Node::Named { definition } => map_values(definition.definition().body),
        _ => None,
    }
}
