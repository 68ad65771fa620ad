//! Reads lists of settings, as in `#[tentacle(name = "lamps", publishes("a", "b"), optional)]`.
//! What each setting means is the job of whoever takes it.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, Lit, LitInt, LitStr, Result, Token, parenthesized};

use super::names;

/// One setting as the author wrote it.
pub(crate) struct Setting {
    key: Ident,
    value: Value,
}

enum Value {
    Flag,
    Literal(Lit),
    Texts(Vec<LitStr>),
    Nested(Settings),
}

/// A setting that may have settings of its own.
pub(crate) enum Switch {
    /// It is given alone.
    Usual,
    /// It is given with these.
    Settings(Settings),
}

/// The settings of one attribute, each to be taken once.
pub(crate) struct Settings(Vec<Setting>);

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key: Ident = input.parse()?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Literal(input.parse()?)
        } else if input.peek(syn::token::Paren) {
            let content;
            parenthesized!(content in input);
            if content.peek(LitStr) {
                let texts = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
                Value::Texts(texts.into_iter().collect())
            } else {
                Value::Nested(content.parse()?)
            }
        } else {
            Value::Flag
        };
        Ok(Self { key, value })
    }
}

impl Parse for Settings {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let settings = Punctuated::<Setting, Token![,]>::parse_terminated(input)?;
        Ok(Self(settings.into_iter().collect()))
    }
}

impl Settings {
    /// Checks that `owner` knows each key, and that only `repeatable` come twice.
    pub(crate) fn check(&self, owner: &str, known: &[&str], repeatable: &[&str]) -> Result<()> {
        let mut seen = Vec::new();
        for Setting { key, .. } in &self.0 {
            let name = key.to_string();
            if !known.contains(&name.as_str()) {
                let hint = nearest(&name, known);
                let message = format!("`{owner}` has no setting `{name}`{hint}");
                return Err(Error::new(key.span(), message));
            }
            if seen.contains(&name) && !repeatable.contains(&name.as_str()) {
                return Err(Error::new(key.span(), format!("`{name}` is given twice")));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// Takes a setting that is there or not.
    pub(crate) fn flag(&mut self, key: &str) -> Result<bool> {
        match self.take(key) {
            None => Ok(false),
            Some(Setting {
                value: Value::Flag, ..
            }) => Ok(true),
            Some(setting) => Err(setting.error("takes no value: give it, or leave it out")),
        }
    }

    /// Takes `key = "text"`.
    pub(crate) fn text(&mut self, key: &str) -> Result<Option<LitStr>> {
        match self.take(key) {
            None => Ok(None),
            Some(Setting {
                value: Value::Literal(Lit::Str(text)),
                ..
            }) => Ok(Some(text)),
            Some(setting) => Err(setting.error(&format!("takes one text: `{key} = \"…\"`"))),
        }
    }

    /// Takes `key = "text"` or `key("one", "two")`.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Vec<LitStr>> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Setting {
                value: Value::Literal(Lit::Str(text)),
                ..
            }) => Ok(vec![text]),
            Some(Setting {
                value: Value::Texts(texts),
                ..
            }) => Ok(texts),
            Some(setting) => {
                let message = format!("takes texts: `{key} = \"…\"` or `{key}(\"…\", \"…\")`");
                Err(setting.error(&message))
            }
        }
    }

    /// Takes `key = 7`, at least `least`.
    pub(crate) fn number(&mut self, key: &str, least: u32) -> Result<Option<u32>> {
        match self.take(key) {
            None => Ok(None),
            Some(Setting {
                value: Value::Literal(Lit::Int(number)),
                ..
            }) => at_least(key, &number, least).map(Some),
            Some(setting) => Err(setting.error(&format!("takes a number: `{key} = 7`"))),
        }
    }

    /// Takes `key = 0.5`, above 0 and at most 1.
    pub(crate) fn share(&mut self, key: &str) -> Result<Option<f64>> {
        let Some(setting) = self.take(key) else {
            return Ok(None);
        };
        let (written, span) = match &setting.value {
            Value::Literal(Lit::Float(number)) => (number.base10_digits(), number.span()),
            Value::Literal(Lit::Int(number)) => (number.base10_digits(), number.span()),
            _ => return Err(setting.error(&format!("takes a share: `{key} = 0.5`"))),
        };
        let share = written.parse().ok();
        let share = share.filter(|share| *share > 0.0 && *share <= 1.0);
        let message = format!("`{key}` is {written}, expected a share above 0 and at most 1");
        share.ok_or_else(|| Error::new(span, message)).map(Some)
    }

    /// Takes `key = "5s"`, in milliseconds.
    pub(crate) fn milliseconds(&mut self, key: &str) -> Result<Option<u64>> {
        let text = self.text(key)?;
        text.as_ref().map(names::milliseconds).transpose()
    }

    /// Takes `key = "word"`, one of `words`.
    pub(crate) fn word(&mut self, key: &str, words: &[&str]) -> Result<Option<String>> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let word = text.value();
        if words.contains(&word.as_str()) {
            return Ok(Some(word));
        }
        let message = format!("`{key}` has no choice `{word}`{}", nearest(&word, words));
        Err(Error::new(text.span(), message))
    }

    /// Takes the next `key(…)` with settings of its own, and where it stands.
    pub(crate) fn nested(&mut self, key: &str) -> Result<Option<(Span, Self)>> {
        match self.take(key) {
            None => Ok(None),
            Some(Setting {
                key,
                value: Value::Nested(settings),
            }) => Ok(Some((key.span(), settings))),
            Some(setting) => Err(setting.error(&format!("takes settings: `{key}(… = \"…\")`"))),
        }
    }

    /// Takes `key` alone or `key(…)` with settings of its own, and where it stands.
    pub(crate) fn switch(&mut self, key: &str) -> Result<Option<(Span, Switch)>> {
        let Some(Setting { key, value }) = self.take(key) else {
            return Ok(None);
        };
        let span = key.span();
        match value {
            Value::Flag => Ok(Some((span, Switch::Usual))),
            Value::Nested(settings) => Ok(Some((span, Switch::Settings(settings)))),
            value => {
                let message = format!("stands alone or with settings: `{key}(… = …)`");
                Err(Setting { key, value }.error(&message))
            }
        }
    }

    fn take(&mut self, key: &str) -> Option<Setting> {
        let index = self.0.iter().position(|setting| setting.key == key)?;
        Some(self.0.remove(index))
    }
}

impl Setting {
    fn error(&self, message: &str) -> Error {
        Error::new(self.key.span(), format!("`{}` {message}", self.key))
    }
}

fn at_least(key: &str, number: &LitInt, least: u32) -> Result<u32> {
    let value = number.base10_parse().ok();
    value.filter(|value| *value >= least).ok_or_else(|| {
        let message = format!(
            "`{key}` is {number}, expected a whole number of {least} to {}",
            u32::MAX
        );
        Error::new(number.span(), message)
    })
}

/// A hint at what was meant, or at all there is.
fn nearest(name: &str, known: &[&str]) -> String {
    let similar = |known: &&&str| strsim::jaro_winkler(name, known);
    let best = known
        .iter()
        .max_by(|one, other| similar(one).total_cmp(&similar(other)));
    match best {
        Some(best) if similar(&best) > 0.75 => format!("; did you mean `{best}`?"),
        _ => {
            let all: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("; there are {}", all.join(", "))
        }
    }
}
