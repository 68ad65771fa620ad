//! Doc comments as text: the macros make descriptions of them.

use syn::{Attribute, Expr, ExprLit, Lit};

/// The lines of the doc comments as one text, empty if there are none.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for comment in attributes.iter().filter_map(comment) {
        // `/** … */` holds several lines in one.
        for line in comment.split('\n') {
            text.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
            text.push('\n');
        }
    }
    text.trim().to_owned()
}

fn comment(attribute: &Attribute) -> Option<String> {
    let meta = attribute.meta.require_name_value().ok()?;
    if !meta.path.is_ident("doc") {
        return None;
    }
    match &meta.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        // `#[doc = include_str!("…")]`: its text is not known here.
        _ => None,
    }
}
