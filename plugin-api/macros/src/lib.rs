//! The macros of `octa-plugin-api`, which re-exports and documents them: here are only their
//! entry points.

mod docs;
mod json;
mod schema;
mod tentacle;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, ItemImpl, parse_macro_input};

/// Makes a plugin of an impl block: its handlers, its manifest and what its library exports.
#[proc_macro_attribute]
pub fn tentacle(settings: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemImpl);
    tentacle::expand(settings.into(), item).into()
}

/// Derives `octa_plugin_api::Schema`: the JSON Schema of the form that serde gives the type.
#[proc_macro_derive(Schema, attributes(schema, serde))]
pub fn schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    schema::derive(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}
