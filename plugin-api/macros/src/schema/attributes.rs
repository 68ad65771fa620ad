//! Reads the attributes of serde and our own `#[schema(…)]`; what is not understood is an error
//! at the author's line, since a schema that is silently wrong is worse than none.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, Ident, LitStr, Result, Token, Type};

use super::case::Case;
use crate::docs;

/// What `#[schema(…)]` says of the JSON form.
#[derive(Default)]
pub(crate) enum Override {
    /// Nothing: the type says it.
    #[default]
    None,
    /// Anything goes.
    Any,
    /// As of another type.
    With(Box<Type>),
}

/// How the variants of an enum are told apart.
pub(crate) enum Tagging {
    External,
    Internal(String),
    Adjacent(String, String),
    Untagged,
}

/// The attributes of a type.
#[derive(Default)]
pub(crate) struct Container {
    pub(crate) docs: String,
    pub(crate) form: Override,
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) rename_all_fields: Option<Case>,
    pub(crate) default: bool,
    pub(crate) closed: bool,
    pub(crate) transparent: bool,
    tag: Option<LitStr>,
    content: Option<LitStr>,
    untagged: Option<Span>,
    /// Attributes that give the type the form of another one.
    converted: Option<Error>,
}

/// The attributes of a variant.
#[derive(Default)]
pub(crate) struct VariantAttributes {
    pub(crate) docs: String,
    pub(crate) form: Override,
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) aliases: Vec<String>,
    pub(crate) skip: bool,
    pub(crate) other: bool,
    pub(crate) untagged: bool,
}

/// The attributes of a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) docs: String,
    pub(crate) form: Override,
    pub(crate) rename: Option<String>,
    pub(crate) aliases: Vec<String>,
    /// Read as its default if absent.
    pub(crate) default: bool,
    pub(crate) skip: bool,
    /// Not always written, or not always read.
    pub(crate) one_way: Option<Span>,
    pub(crate) flatten: Option<Span>,
    /// Read by a function of the author, which is not asked about an absent field.
    pub(crate) custom: bool,
}

impl Container {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let form = form(attributes)?;
        let mut this = Self {
            docs: docs::text(attributes),
            form,
            ..Self::default()
        };
        each(attributes, "serde", |key, meta| {
            match key {
                "rename" => this.rename = Some(text(meta)?.value()),
                "rename_all" => this.rename_all = Some(Case::parse(&text(meta)?)?),
                "rename_all_fields" => this.rename_all_fields = Some(Case::parse(&text(meta)?)?),
                "default" => this.default = flag_or_value(meta)?,
                "deny_unknown_fields" => this.closed = true,
                "transparent" => this.transparent = true,
                "tag" => this.tag = Some(text(meta)?),
                "content" => this.content = Some(text(meta)?),
                "untagged" => this.untagged = Some(meta.path.span()),
                "from" | "try_from" | "into" | "remote" => {
                    this.converted = Some(needs_form(meta, key));
                    value(meta)?;
                }
                "bound" | "crate" | "expecting" => ignored(meta)?,
                _ => return Err(unknown(meta, key)),
            }
            Ok(())
        })?;
        match (&this.form, this.converted.take()) {
            (Override::None, Some(error)) => Err(error),
            _ => Ok(this),
        }
    }

    /// How an enum of these attributes is tagged.
    pub(crate) fn tagging(&self) -> Result<Tagging> {
        match (&self.tag, &self.content, self.untagged) {
            (None, None, None) => Ok(Tagging::External),
            (None, None, Some(_)) => Ok(Tagging::Untagged),
            (Some(tag), None, None) => Ok(Tagging::Internal(tag.value())),
            (Some(tag), Some(content), None) => Ok(Tagging::Adjacent(tag.value(), content.value())),
            (None, Some(content), None) => Err(Error::new_spanned(
                content,
                "`content` needs `tag` beside it",
            )),
            (_, _, Some(span)) => Err(Error::new(
                span,
                "`untagged` cannot stand beside `tag` or `content`",
            )),
        }
    }

    /// The field in which a struct writes its own name.
    pub(crate) fn struct_tag(&self) -> Result<Option<String>> {
        match self.tagging()? {
            Tagging::External => Ok(None),
            Tagging::Internal(tag) => Ok(Some(tag)),
            Tagging::Adjacent(..) | Tagging::Untagged => {
                let span = self.content.as_ref().map(LitStr::span).or(self.untagged);
                let message = "`content` and `untagged` are for enums";
                Err(Error::new(span.unwrap_or_else(Span::call_site), message))
            }
        }
    }
}

impl VariantAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let form = form(attributes)?;
        let mut this = Self {
            docs: docs::text(attributes),
            form,
            ..Self::default()
        };
        each(attributes, "serde", |key, meta| {
            match key {
                "rename" => this.rename = Some(text(meta)?.value()),
                "rename_all" => this.rename_all = Some(Case::parse(&text(meta)?)?),
                "alias" => this.aliases.push(text(meta)?.value()),
                "skip" => this.skip = true,
                "other" => this.other = true,
                "untagged" => this.untagged = true,
                // What goes one way only is still part of the form.
                "skip_serializing" | "skip_deserializing" => {}
                "with" | "serialize_with" | "deserialize_with" => {
                    value(meta)?;
                    if matches!(this.form, Override::None) {
                        return Err(needs_form(meta, key));
                    }
                }
                "bound" | "borrow" => ignored(meta)?,
                _ => return Err(unknown(meta, key)),
            }
            Ok(())
        })?;
        Ok(this)
    }
}

impl FieldAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let form = form(attributes)?;
        let mut this = Self {
            docs: docs::text(attributes),
            form,
            ..Self::default()
        };
        each(attributes, "serde", |key, meta| {
            match key {
                "rename" => this.rename = Some(text(meta)?.value()),
                "alias" => this.aliases.push(text(meta)?.value()),
                "default" => this.default = flag_or_value(meta)?,
                "skip" => this.skip = true,
                "skip_serializing" | "skip_deserializing" => {
                    this.one_way = Some(meta.path.span());
                }
                "skip_serializing_if" => {
                    value(meta)?;
                    this.one_way = Some(meta.path.span());
                }
                "flatten" => this.flatten = Some(meta.path.span()),
                "with" | "serialize_with" | "deserialize_with" | "getter" => {
                    value(meta)?;
                    if matches!(this.form, Override::None) {
                        return Err(needs_form(meta, key));
                    }
                    this.custom |= key != "serialize_with" && key != "getter";
                }
                "bound" | "borrow" => ignored(meta)?,
                _ => return Err(unknown(meta, key)),
            }
            Ok(())
        })?;
        Ok(this)
    }
}

/// The name as serde sees it.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

fn form(attributes: &[Attribute]) -> Result<Override> {
    let mut form = Override::None;
    each(attributes, "schema", |key, meta| {
        form = match key {
            "any" => Override::Any,
            "with" => Override::With(Box::new(meta.value()?.parse()?)),
            _ => {
                let message = format!(
                    "unknown attribute `schema({key})`, expected `schema(any)` or `schema(with = Type)`"
                );
                return Err(meta.error(message));
            }
        };
        Ok(())
    })?;
    Ok(form)
}

fn each(
    attributes: &[Attribute],
    name: &str,
    mut take: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident(name))
    {
        attribute.parse_nested_meta(|meta| {
            let key = meta
                .path
                .get_ident()
                .map(Ident::to_string)
                .unwrap_or_default();
            take(&key, &meta)
        })?;
    }
    Ok(())
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    if meta.input.peek(syn::token::Paren) {
        let message =
            "a schema has one name for reading and writing; give one, as in `rename = \"…\"`";
        return Err(meta.error(message));
    }
    meta.value()?.parse()
}

fn value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    meta.value()?.parse::<Expr>().map(drop)
}

fn flag_or_value(meta: &ParseNestedMeta<'_>) -> Result<bool> {
    ignored(meta).map(|()| true)
}

fn ignored(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        value(meta)?;
    } else if meta.input.peek(syn::token::Paren) {
        let content;
        syn::parenthesized!(content in meta.input);
        content.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}

fn needs_form(meta: &ParseNestedMeta<'_>, key: &str) -> Error {
    let message = format!(
        "`serde({key})` gives this a JSON form that its type does not tell; say it with `#[schema(with = Type)]`, or `#[schema(any)]` for free-form JSON"
    );
    Error::new(meta.path.span(), message)
}

fn unknown(meta: &ParseNestedMeta<'_>, key: &str) -> Error {
    let message = format!(
        "`Schema` does not know what `serde({key})` does to the JSON form here; remove it, or say the form with `#[schema(with = Type)]` or `#[schema(any)]` on what it belongs to"
    );
    Error::new(meta.path.span(), message)
}
