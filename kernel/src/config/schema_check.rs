//! Checks a JSON value against the part of JSON Schema that manifests use.
//!
//! Keywords outside that part (`format`, `pattern`, annotations) say nothing here, as the standard
//! allows.
//! Defaults are the plugin's business: nothing is filled in.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::path::Path;
use super::schema_words::{found, is_of_type, join, meant, quoted, type_words, wanted};
use crate::nearest::nearest;

/// Levels of value and schema together; a schema that refers to itself ends here.
const MAX_DEPTH: u32 = 256;
/// Schemas that one check may visit; alternatives of alternatives end here.
const MAX_STEPS: u32 = 200_000;

/// Says where a value differs from its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is {found}, expected {expected}")]
#[non_exhaustive]
pub struct Mismatch {
    /// Where, as in `plugins.automation.config.rules[2].topic`.
    pub path: String,
    /// What stands there; a secret shows as `<secret>`.
    pub found: String,
    /// What the schema allows there.
    pub expected: String,
    hint: Option<String>,
}

impl Mismatch {
    pub(super) fn new(
        path: impl ToString,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Mismatch {
            path: path.to_string(),
            found: found.into(),
            expected: expected.into(),
            hint: None,
        }
    }

    pub(super) fn suggesting(mut self, name: Option<&str>) -> Self {
        self.hint = name.map(|name| format!("did you mean `{name}`?"));
        self
    }

    pub(super) fn advising(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names what was probably meant, or what to do instead.
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// Checks `value` against `schema`; `root` is what the value is called in errors.
///
/// # Errors
///
/// The first difference in the order of the schema.
pub fn check_schema(schema: &Value, value: &Value, root: &str) -> Result<(), Mismatch> {
    check_hiding(schema, value, root, &BTreeSet::new())
}

/// The same, never telling what stands at the `hidden` paths.
pub(super) fn check_hiding(
    schema: &Value,
    value: &Value,
    root: &str,
    hidden: &BTreeSet<String>,
) -> Result<(), Mismatch> {
    let checker = Checker {
        document: schema,
        hidden,
        steps: Cell::new(0),
    };
    checker.check(
        schema,
        At {
            value,
            path: Path::Root(root),
            depth: 0,
        },
    )
}

/// A value and where it stands.
#[derive(Clone, Copy)]
struct At<'a> {
    value: &'a Value,
    path: Path<'a>,
    depth: u32,
}

impl<'a> At<'a> {
    fn inside(&'a self, value: &'a Value, path: Path<'a>) -> At<'a> {
        At {
            value,
            path,
            depth: self.depth,
        }
    }
}

struct Checker<'a> {
    document: &'a Value,
    hidden: &'a BTreeSet<String>,
    steps: Cell<u32>,
}

impl Checker<'_> {
    fn check(&self, schema: &Value, mut at: At<'_>) -> Result<(), Mismatch> {
        at.depth += 1;
        self.steps.set(self.steps.get() + 1);
        if at.depth > MAX_DEPTH || self.steps.get() > MAX_STEPS {
            return Err(self.broken(
                at,
                "described by a schema without end",
                "a schema that ends",
            ));
        }
        match schema {
            Value::Bool(true) => Ok(()),
            Value::Object(schema) => self.check_keywords(schema, at),
            _ => Err(self.mismatch(at, "nothing".into())),
        }
    }

    fn check_keywords(&self, schema: &Map<String, Value>, at: At<'_>) -> Result<(), Mismatch> {
        if let Some(Value::String(reference)) = schema.get("$ref") {
            self.check_reference(reference, at)?;
        }
        self.check_type(schema, at)?;
        self.check_choice(schema, at)?;
        match at.value {
            Value::Number(_) => self.check_number(schema, at)?,
            Value::String(text) => self.check_length(schema, at, text.chars().count(), LENGTH)?,
            Value::Array(items) => self.check_items(schema, at, items)?,
            Value::Object(object) => self.check_object(schema, at, object)?,
            Value::Null | Value::Bool(_) => {}
        }
        self.check_combined(schema, at)
    }

    fn check_reference(&self, reference: &str, at: At<'_>) -> Result<(), Mismatch> {
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.document.pointer(pointer));
        match target {
            Some(target) => self.check(target, at),
            None => {
                let found = format!("described by `{reference}`");
                Err(self.broken(at, &found, "a definition that its schema has"))
            }
        }
    }

    fn check_type(&self, schema: &Map<String, Value>, at: At<'_>) -> Result<(), Mismatch> {
        match schema.get("type") {
            Some(types) if !is_of_type(types, at.value) => {
                Err(self.mismatch(at, type_words(types)))
            }
            _ => Ok(()),
        }
    }

    fn check_choice(&self, schema: &Map<String, Value>, at: At<'_>) -> Result<(), Mismatch> {
        if let Some(only) = schema.get("const").filter(|only| *only != at.value) {
            return Err(self.mismatch(at, quoted(only)));
        }
        let Some(Value::Array(allowed)) = schema.get("enum") else {
            return Ok(());
        };
        if allowed.contains(at.value) {
            return Ok(());
        }
        let word = at.value.as_str().filter(|_| !self.hides(at.path));
        let suggestion =
            word.and_then(|word| nearest(word, allowed.iter().filter_map(Value::as_str)));
        Err(self
            .mismatch(at, join(allowed.iter().map(quoted)))
            .suggesting(suggestion))
    }

    fn check_number(&self, schema: &Map<String, Value>, at: At<'_>) -> Result<(), Mismatch> {
        let number = at.value.as_f64();
        let limit = |keyword| Some((schema.get(keyword)?.as_f64()?, &schema[keyword]));
        if let Some((_, least)) = limit("minimum").filter(|(least, _)| number < Some(*least)) {
            return Err(self.mismatch(at, format!("at least `{least}`")));
        }
        if let Some((_, most)) = limit("maximum").filter(|(most, _)| number > Some(*most)) {
            return Err(self.mismatch(at, format!("at most `{most}`")));
        }
        Ok(())
    }

    fn check_length(
        &self,
        schema: &Map<String, Value>,
        at: At<'_>,
        length: usize,
        [least, most, things]: [&str; 3],
    ) -> Result<(), Mismatch> {
        let limit = |keyword| schema.get(keyword).and_then(Value::as_u64);
        let length = length as u64;
        if let Some(least) = limit(least).filter(|least| length < *least) {
            return Err(self.mismatch(at, format!("at least {least} {things}")));
        }
        if let Some(most) = limit(most).filter(|most| length > *most) {
            return Err(self.mismatch(at, format!("at most {most} {things}")));
        }
        Ok(())
    }

    fn check_items(
        &self,
        schema: &Map<String, Value>,
        at: At<'_>,
        items: &[Value],
    ) -> Result<(), Mismatch> {
        self.check_length(schema, at, items.len(), ITEMS)?;
        let prefix = schema
            .get("prefixItems")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let rest = schema.get("items");
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = prefix.get(index).or(rest) {
                self.check(schema, at.inside(item, at.path.index(index)))?;
            }
        }
        Ok(())
    }

    fn check_object(
        &self,
        schema: &Map<String, Value>,
        at: At<'_>,
        object: &Map<String, Value>,
    ) -> Result<(), Mismatch> {
        let none = Map::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&none);
        let other = schema.get("additionalProperties");
        // Unknown keys come before missing ones: a mistyped key is both, and this one has the hint.
        for (key, value) in object {
            let inner = at.inside(value, at.path.key(key));
            match (properties.get(key), other) {
                (None, Some(Value::Bool(false))) => {
                    return Err(self.unknown(inner, key, properties));
                }
                (Some(schema), _) | (None, Some(schema)) => self.check(schema, inner)?,
                (None, None) => {}
            }
        }
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        match required
            .filter_map(Value::as_str)
            .find(|key| !object.contains_key(*key))
        {
            Some(key) => {
                let expected = properties
                    .get(key)
                    .map_or("a value".into(), |it| wanted(self.document, it));
                Err(self.broken(
                    at.inside(&Value::Null, at.path.key(key)),
                    "missing",
                    &expected,
                ))
            }
            None => Ok(()),
        }
    }

    fn check_combined(&self, schema: &Map<String, Value>, at: At<'_>) -> Result<(), Mismatch> {
        let branches = |keyword| schema.get(keyword).and_then(Value::as_array);
        for branch in branches("allOf").into_iter().flatten() {
            self.check(branch, at)?;
        }
        if let Some(any) = branches("anyOf")
            && !any.iter().any(|branch| self.check(branch, at).is_ok())
        {
            return Err(self.no_branch(any, at));
        }
        let Some(one) = branches("oneOf") else {
            return Ok(());
        };
        match one
            .iter()
            .filter(|branch| self.check(branch, at).is_ok())
            .count()
        {
            0 => Err(self.no_branch(one, at)),
            1 => Ok(()),
            _ => Err(self.mismatch(at, format!("only one of {}", self.branches(one)))),
        }
    }

    /// If one branch was evidently meant, its mismatch says more than the list of all.
    fn no_branch(&self, branches: &[Value], at: At<'_>) -> Mismatch {
        let mut likely = branches
            .iter()
            .filter(|branch| meant(self.document, branch, at.value));
        match (likely.next(), likely.next()) {
            (Some(only), None) => self.check(only, at).err(),
            _ => None,
        }
        .unwrap_or_else(|| self.mismatch(at, self.branches(branches)))
    }

    fn branches(&self, branches: &[Value]) -> String {
        join(branches.iter().map(|branch| wanted(self.document, branch)))
    }

    fn unknown(&self, at: At<'_>, key: &str, properties: &Map<String, Value>) -> Mismatch {
        let known = properties.keys().map(|key| format!("`{key}`"));
        let expected = if properties.is_empty() {
            "no keys".into()
        } else {
            join(known)
        };
        let suggestion = nearest(key, properties.keys().map(String::as_str));
        self.broken(at, "an unknown key", &expected)
            .suggesting(suggestion)
    }

    fn mismatch(&self, at: At<'_>, expected: String) -> Mismatch {
        let found = if self.hides(at.path) {
            "`<secret>`".into()
        } else {
            found(at.value)
        };
        self.broken(at, &found, &expected)
    }

    fn broken(&self, at: At<'_>, found: &str, expected: &str) -> Mismatch {
        Mismatch::new(at.path, found, expected)
    }

    fn hides(&self, path: Path<'_>) -> bool {
        !self.hidden.is_empty() && self.hidden.contains(&path.to_string())
    }
}

const LENGTH: [&str; 3] = ["minLength", "maxLength", "characters"];
const ITEMS: [&str; 3] = ["minItems", "maxItems", "items"];

#[cfg(test)]
mod tests;
