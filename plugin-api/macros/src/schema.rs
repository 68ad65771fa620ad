//! The derive of `Schema`: from a type and its serde attributes to an expression of `Node`s.
//! What the nodes mean and how they become text is the job of `octa_plugin_api::schema`.

mod attributes;
mod case;
mod fields;
mod variants;

use std::hash::{DefaultHasher, Hash, Hasher};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Data, DeriveInput, Error, GenericParam, Ident, Result, parse_quote};

use self::attributes::{Container, Override};
use crate::json;

/// Implements `Schema` for the type.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let container = Container::parse(&input.attrs)?;
    let body = described(&container.docs, body(input, &container)?);
    if input.generics.params.is_empty() {
        Ok(named(input, &body))
    } else {
        Ok(inlined(input, &body))
    }
}

/// The node with the words about it, if there are any.
fn described(docs: &str, node: TokenStream) -> TokenStream {
    if docs.is_empty() {
        return node;
    }
    let docs = json::string(docs);
    quote! {
        &::octa_plugin_api::schema::Node::Described { text: #docs, inner: #node }
    }
}

fn body(input: &DeriveInput, container: &Container) -> Result<TokenStream> {
    match &container.form {
        Override::Any => return Ok(quote!(&::octa_plugin_api::schema::Node::Any)),
        Override::With(ty) => return Ok(fields::schema_of(ty)),
        Override::None => {}
    }
    match &input.data {
        Data::Struct(data) => fields::structure(input, &data.fields, container),
        Data::Enum(data) => variants::enumeration(data, container),
        Data::Union(data) => Err(Error::new_spanned(
            data.union_token,
            "a union has no JSON form, so it has no schema",
        )),
    }
}

/// A type that is defined once in each document and may refer to itself.
fn named(input: &DeriveInput, body: &TokenStream) -> TokenStream {
    let ident = &input.ident;
    let name = short_name(ident);
    // Types of one name in one module (within functions, or in two versions of one crate) differ
    // in place or content.
    let mut hasher = DefaultHasher::new();
    input.to_token_stream().to_string().hash(&mut hasher);
    let hash = hasher.finish();
    let suffix = format!("::{ident}");
    quote! {
        const _: () = {
            trait Body {
                const BODY: &'static ::octa_plugin_api::schema::Node;
            }
            impl Body for #ident {
                const BODY: &'static ::octa_plugin_api::schema::Node = #body;
            }
            static DEFINITION: ::octa_plugin_api::schema::Definition =
                ::octa_plugin_api::schema::Definition {
                    name: #name,
                    hash: #hash,
                    identity: ::core::concat!(
                        ::core::module_path!(), #suffix,
                        "@", ::core::line!(), ":", ::core::column!(),
                    ),
                    body: <#ident as Body>::BODY,
                };
            #[automatically_derived]
            impl ::octa_plugin_api::schema::Schema for #ident {
                const SCHEMA: &'static ::octa_plugin_api::schema::Node =
                    &::octa_plugin_api::schema::Node::Named {
                        definition: ::octa_plugin_api::schema::Lazy::new(&DEFINITION),
                    };
            }
            // What cannot be written is an error here, not where it is used.
            const _: () = ::octa_plugin_api::schema::check(&DEFINITION);
        };
    }
}

/// A generic type: there is no constant that all its instances could share.
fn inlined(input: &DeriveInput, body: &TokenStream) -> TokenStream {
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    for param in &mut generics.params {
        if let GenericParam::Type(param) = param {
            param
                .bounds
                .push(parse_quote!(::octa_plugin_api::schema::Schema));
        }
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics ::octa_plugin_api::schema::Schema for #ident #type_generics
        #where_clause
        {
            const SCHEMA: &'static ::octa_plugin_api::schema::Node = #body;
        }
    }
}

/// The name under `$defs`, of characters that need no escape in a reference.
fn short_name(ident: &Ident) -> String {
    let name = ident.to_string();
    let name = name.strip_prefix("r#").unwrap_or(&name);
    name.chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect()
}
