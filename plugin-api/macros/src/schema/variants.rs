//! The nodes of enums in each of serde's four taggings.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, Error, Fields, Result, Variant};

use super::attributes::{Container, Override, Tagging, VariantAttributes, plain};
use super::described;
use super::fields::{self, Rules, raw_field, tag_field, word};

/// The node of an enum.
pub(super) fn enumeration(data: &DataEnum, container: &Container) -> Result<TokenStream> {
    let tagging = container.tagging()?;
    // Unit variants without words of their own share one list.
    let mut units = Vec::new();
    let mut variants = Vec::new();
    let branches = data
        .variants
        .iter()
        .map(|variant| Branch::of(variant, container));
    let branches = branches.collect::<Result<Vec<_>>>()?;
    for variant in &branches {
        let attributes = &variant.attributes;
        if attributes.skip {
            continue;
        }
        if attributes.other {
            variants.push(described(
                &attributes.docs,
                variant.other(&tagging, &branches)?,
            ));
        } else if attributes.untagged {
            variants.push(described(&attributes.docs, variant.content()?));
        } else if matches!(tagging, Tagging::External)
            && variant.is_unit()
            && attributes.docs.is_empty()
        {
            units.extend(variant.names());
        } else {
            variants.push(described(&attributes.docs, variant.tagged(&tagging)?));
        }
    }
    if !units.is_empty() {
        variants.insert(0, word(&units));
    }
    match variants.as_slice() {
        [only] => Ok(only.clone()),
        _ => Ok(quote!(&::octa_plugin_api::schema::Node::Choice { variants: &[#(#variants),*] })),
    }
}

/// A variant with what the enum says of it.
struct Branch<'a> {
    variant: &'a Variant,
    container: &'a Container,
    attributes: VariantAttributes,
}

impl<'a> Branch<'a> {
    fn of(variant: &'a Variant, container: &'a Container) -> Result<Self> {
        let attributes = VariantAttributes::parse(&variant.attrs)?;
        Ok(Self {
            variant,
            container,
            attributes,
        })
    }

    fn tagged(&self, tagging: &Tagging) -> Result<TokenStream> {
        match tagging {
            Tagging::External => self.external(),
            Tagging::Internal(tag) => self.internal(tag),
            Tagging::Adjacent(tag, content) => self.adjacent(tag, content),
            Tagging::Untagged => self.content(),
        }
    }

    /// `"Name"`, or `{"Name": content}`.
    fn external(&self) -> Result<TokenStream> {
        let names = self.names();
        if self.is_unit() {
            return Ok(word(&names));
        }
        let content = self.content()?;
        let mut branches = names.iter().map(|name| {
            let field = raw_field(name, &content, &quote!(Required));
            object(&[field], true)
        });
        match (branches.next(), branches.next()) {
            (Some(only), None) => Ok(only),
            (first, second) => {
                let all = first.into_iter().chain(second).chain(branches);
                Ok(quote!(&::octa_plugin_api::schema::Node::Choice { variants: &[#(#all),*] }))
            }
        }
    }

    /// An object with any tag that no other variant has.
    fn other(&self, tagging: &Tagging, branches: &[Self]) -> Result<TokenStream> {
        let (Tagging::Internal(tag) | Tagging::Adjacent(tag, _), true) = (tagging, self.is_unit())
        else {
            let message = "serde supports `other` on unit variants of an enum with a `tag`";
            return Err(Error::new_spanned(self.variant, message));
        };
        let seen = |branch: &&Self| !branch.attributes.other && !branch.attributes.skip;
        let names: Vec<String> = branches.iter().filter(seen).flat_map(Self::names).collect();
        let tag = raw_field(tag, &fields::other_word(&names), &quote!(Required));
        Ok(object(&[tag], false))
    }

    /// The content's fields with the tag among them.
    fn internal(&self, tag: &str) -> Result<TokenStream> {
        let tag = tag_field(tag, &self.names(), true);
        let content = match (&self.attributes.form, &self.variant.fields) {
            (Override::None, Fields::Unit) => return Ok(object(&[tag], false)),
            (Override::None, Fields::Named(_)) => {
                return fields::object(&self.variant.fields, &self.rules(Some(tag)));
            }
            (Override::None, Fields::Unnamed(fields)) if fields.unnamed.len() != 1 => {
                let message = "serde does not support tuple variants in an internally tagged enum";
                return Err(Error::new_spanned(self.variant, message));
            }
            _ => self.content()?,
        };
        Ok(quote! {
            &::octa_plugin_api::schema::Node::Object {
                fields: &[#tag],
                flattened: &[#content],
                closed: false,
            }
        })
    }

    /// The tag and the content side by side.
    fn adjacent(&self, tag: &str, content: &str) -> Result<TokenStream> {
        let tag = tag_field(tag, &self.names(), true);
        let presence = match (&self.attributes.form, &self.variant.fields) {
            (Override::None, Fields::Unit) => quote!(Optional),
            (Override::None, _) => quote!(ByType),
            _ => quote!(Required),
        };
        let content = raw_field(content, &self.adjacent_content()?, &presence);
        Ok(object(&[tag, content], self.container.closed))
    }

    /// A newtype's `Option` may be absent here, so it is left bare.
    fn adjacent_content(&self) -> Result<TokenStream> {
        match (&self.attributes.form, &self.variant.fields) {
            (Override::None, Fields::Unnamed(fields)) if fields.unnamed.len() == 1 => {
                fields::inner(&fields.unnamed[0])
            }
            _ => self.content(),
        }
    }

    /// What the variant holds.
    fn content(&self) -> Result<TokenStream> {
        match &self.attributes.form {
            Override::Any => Ok(quote!(&::octa_plugin_api::schema::Node::Any)),
            Override::With(ty) => Ok(fields::schema_of(ty)),
            Override::None => fields::shape(&self.variant.fields, &self.rules(None)),
        }
    }

    fn rules(&self, tag: Option<TokenStream>) -> Rules {
        Rules {
            rename_all: self
                .attributes
                .rename_all
                .or(self.container.rename_all_fields),
            default: false,
            closed: self.container.closed,
            tag,
        }
    }

    fn is_unit(&self) -> bool {
        matches!(self.attributes.form, Override::None)
            && matches!(self.variant.fields, Fields::Unit)
    }

    /// The names under which the variant comes.
    fn names(&self) -> Vec<String> {
        let attributes = &self.attributes;
        let plain = plain(&self.variant.ident);
        let name = match (&attributes.rename, self.container.rename_all) {
            (Some(name), _) => name.clone(),
            (None, Some(case)) => case.variant(&plain),
            (None, None) => plain,
        };
        let mut names = vec![name];
        for alias in &attributes.aliases {
            if !names.contains(alias) {
                names.push(alias.clone());
            }
        }
        names
    }
}

fn object(fields: &[TokenStream], closed: bool) -> TokenStream {
    quote! {
        &::octa_plugin_api::schema::Node::Object {
            fields: &[#(#fields),*],
            flattened: &[],
            closed: #closed,
        }
    }
}
