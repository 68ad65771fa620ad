//! The nodes of structs, and of the fields of variants.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, Field, Fields, Result, Type};

use super::attributes::{Container, FieldAttributes, Override, plain};
use super::case::Case;
use super::described;
use crate::json;

/// The schema of a type, with errors at the place where the type is written.
pub(crate) fn schema_of(ty: &Type) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as ::octa_plugin_api::schema::Schema>::SCHEMA)
}

/// How the fields of a struct or variant are named and read.
pub(super) struct Rules {
    pub(super) rename_all: Option<Case>,
    pub(super) default: bool,
    pub(super) closed: bool,
    /// A field of fixed value before the others: its name, its value, whether it must be there.
    pub(super) tag: Option<TokenStream>,
}

/// The node of a struct.
pub(super) fn structure(
    input: &DeriveInput,
    fields: &Fields,
    container: &Container,
) -> Result<TokenStream> {
    if container.transparent {
        return transparent(input, fields);
    }
    let name = container
        .rename
        .clone()
        .unwrap_or_else(|| plain(&input.ident));
    let tag = container
        .struct_tag()?
        .map(|tag| tag_field(&tag, &[name], false));
    let rules = Rules {
        rename_all: container.rename_all,
        default: container.default,
        closed: container.closed,
        tag,
    };
    shape(fields, &rules)
}

/// The node of some fields: null, the one value, a tuple, or an object.
pub(super) fn shape(fields: &Fields, rules: &Rules) -> Result<TokenStream> {
    match fields {
        Fields::Unit => Ok(quote!(<() as ::octa_plugin_api::schema::Schema>::SCHEMA)),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            let inner = inner(&fields.unnamed[0])?;
            Ok(quote!(&::octa_plugin_api::schema::Node::Newtype { inner: #inner }))
        }
        Fields::Unnamed(_) => tuple(fields, rules),
        Fields::Named(_) => object(fields, rules),
    }
}

/// The node of the one field of a newtype.
pub(super) fn inner(field: &Field) -> Result<TokenStream> {
    let attributes = FieldAttributes::parse(&field.attrs)?;
    if attributes.skip || attributes.flatten.is_some() {
        let message = "the only field of a newtype can be neither skipped nor flattened";
        return Err(Error::new_spanned(field, message));
    }
    Ok(node(field, &attributes))
}

/// The node of an object with the fields.
pub(super) fn object(fields: &Fields, rules: &Rules) -> Result<TokenStream> {
    let mut own: Vec<TokenStream> = rules.tag.iter().cloned().collect();
    let mut flattened = Vec::new();
    for field in fields {
        let attributes = FieldAttributes::parse(&field.attrs)?;
        if attributes.skip {
            continue;
        }
        match attributes.flatten {
            Some(span) if rules.closed => {
                let message = "serde does not support `flatten` under `deny_unknown_fields`";
                return Err(Error::new(span, message));
            }
            Some(_) => flattened.push(node(field, &attributes)),
            None => own.push(member(field, &attributes, rules)),
        }
    }
    let closed = rules.closed;
    Ok(quote! {
        &::octa_plugin_api::schema::Node::Object {
            fields: &[#(#own),*],
            flattened: &[#(#flattened),*],
            closed: #closed,
        }
    })
}

/// A field that holds one of the names, which tell variants apart.
pub(super) fn tag_field(tag: &str, names: &[String], required: bool) -> TokenStream {
    let word = word(names);
    let presence = if required {
        quote!(Required)
    } else {
        quote!(Optional)
    };
    raw_field(tag, &quote!(#word), &presence)
}

/// A field with neither aliases nor an author's type.
pub(super) fn raw_field(name: &str, node: &TokenStream, presence: &TokenStream) -> TokenStream {
    quote! {
        ::octa_plugin_api::schema::Field {
            name: #name,
            aliases: &[],
            node: #node,
            presence: ::octa_plugin_api::schema::Presence::#presence,
        }
    }
}

/// The node of a string that is one of the names.
pub(super) fn word(names: &[String]) -> TokenStream {
    restricted_string(&format!(
        "\"type\":\"string\",\"enum\":{}",
        json::strings(names)
    ))
}

/// The node of a string that is none of the names.
pub(super) fn other_word(names: &[String]) -> TokenStream {
    let names = json::strings(names);
    restricted_string(&format!("\"type\":\"string\",\"not\":{{\"enum\":{names}}}"))
}

fn restricted_string(members: &str) -> TokenStream {
    quote! {
        &::octa_plugin_api::schema::Node::Scalar {
            kind: ::octa_plugin_api::schema::Scalar::Word,
            members: #members,
        }
    }
}

fn transparent(input: &DeriveInput, fields: &Fields) -> Result<TokenStream> {
    let mut inner = None;
    for field in fields {
        let attributes = FieldAttributes::parse(&field.attrs)?;
        let unseen = attributes.skip || attributes.default || is_phantom(&field.ty);
        if !unseen && inner.replace(node(field, &attributes)).is_some() {
            return Err(Error::new_spanned(
                field,
                "`transparent` is for structs of one field",
            ));
        }
    }
    inner.ok_or_else(|| Error::new_spanned(&input.ident, "`transparent` needs a field"))
}

fn is_phantom(ty: &Type) -> bool {
    let Type::Path(ty) = ty else { return false };
    ty.path
        .segments
        .last()
        .is_some_and(|segment| segment.ident == "PhantomData")
}

fn tuple(fields: &Fields, rules: &Rules) -> Result<TokenStream> {
    let mut items = Vec::new();
    let mut required = 0;
    for field in fields {
        let attributes = FieldAttributes::parse(&field.attrs)?;
        if let Some(span) = attributes.flatten {
            return Err(Error::new(span, "only fields with names can be flattened"));
        }
        if let Some(span) = attributes.one_way {
            let message = "an item of a tuple that is left out would move the others";
            return Err(Error::new(span, message));
        }
        if attributes.skip {
            continue;
        }
        items.push(node(field, &attributes));
        if !(attributes.default || rules.default) {
            required = items.len();
        }
    }
    Ok(quote! {
        &::octa_plugin_api::schema::Node::Tuple { items: &[#(#items),*], required: #required }
    })
}

fn member(field: &Field, attributes: &FieldAttributes, rules: &Rules) -> TokenStream {
    let plain = field.ident.as_ref().map(plain).unwrap_or_default();
    let name = match (&attributes.rename, rules.rename_all) {
        (Some(name), _) => name.clone(),
        (None, Some(case)) => case.field(&plain),
        (None, None) => plain,
    };
    let aliases = attributes.aliases.iter().filter(|alias| **alias != name);
    let node = node(field, attributes);
    let presence = if attributes.default || rules.default || attributes.one_way.is_some() {
        quote!(Optional)
    } else if attributes.custom {
        quote!(Required)
    } else {
        quote!(ByType)
    };
    quote! {
        ::octa_plugin_api::schema::Field {
            name: #name,
            aliases: &[#(#aliases),*],
            node: #node,
            presence: ::octa_plugin_api::schema::Presence::#presence,
        }
    }
}

fn node(field: &Field, attributes: &FieldAttributes) -> TokenStream {
    let node = match &attributes.form {
        Override::Any => quote!(&::octa_plugin_api::schema::Node::Any),
        Override::With(ty) => schema_of(ty),
        Override::None => schema_of(&field.ty),
    };
    described(&attributes.docs, node)
}
