//! Says in words what a value is and what a schema wants; the checking itself is `schema_check`'s.

use serde_json::Value;

/// Longer texts are cut in messages.
const MAX_SHOWN: usize = 40;

/// Describes a value that was found.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Array(items) if items.len() == 1 => "a list of 1 item".into(),
        Value::Array(items) => format!("a list of {} items", items.len()),
        Value::Object(_) => "an object".into(),
        Value::String(text) if text.chars().count() > MAX_SHOWN => {
            let start: String = text.chars().take(MAX_SHOWN).collect();
            format!("`{start:?}…`")
        }
        scalar => quoted(scalar),
    }
}

/// A value as JSON in backticks.
pub(super) fn quoted(value: &Value) -> String {
    format!("`{value}`")
}

/// Describes what a schema wants, in a few words.
pub(super) fn wanted(document: &Value, schema: &Value) -> String {
    let schema = resolve(document, schema);
    if let Some(only) = schema.get("const") {
        return quoted(only);
    }
    if let Some(Value::Array(allowed)) = schema.get("enum") {
        return join(allowed.iter().map(quoted));
    }
    let required = schema.get("required").and_then(Value::as_array);
    match (schema.get("type"), required.and_then(|keys| keys.first())) {
        (Some(Value::String(kind)), Some(key)) if kind == "object" => tagged(schema, key),
        (Some(types), _) => type_words(types),
        (None, _) => "another value".into(),
    }
}

/// An object by its first required key, which is the tag of a tagged enum.
fn tagged(schema: &Value, key: &Value) -> String {
    let key = key.as_str().unwrap_or_default();
    match schema
        .get("properties")
        .and_then(|all| all.get(key)?.get("const"))
    {
        Some(tag) => format!("an object with `{key}` {}", quoted(tag)),
        None => format!("an object with `{key}`"),
    }
}

/// Whether a value that fits none of several schemas was evidently meant for this one.
pub(super) fn meant(document: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolve(document, schema);
    let types = schema.get("type");
    if types.is_some_and(|types| !is_of_type(types, value)) {
        return false;
    }
    let Value::Object(object) = value else {
        return types.is_some();
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let tags = properties
        .into_iter()
        .flatten()
        .filter_map(|(key, it)| Some((key, it.get("const")?)));
    let tags: Vec<(&String, &Value)> = tags.collect();
    match schema
        .get("required")
        .and_then(|keys| keys.get(0)?.as_str())
    {
        _ if !tags.is_empty() => tags.iter().all(|(key, tag)| object.get(*key) == Some(*tag)),
        Some(key) => object.contains_key(key),
        None => types.is_some(),
    }
}

/// Follows references, but not for ever.
fn resolve<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..16 {
        let reference = schema.get("$ref").and_then(Value::as_str);
        match reference.and_then(|it| document.pointer(it.strip_prefix('#')?)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// Whether the value has the type, or one of the types, that `type` names.
pub(super) fn is_of_type(types: &Value, value: &Value) -> bool {
    match types {
        Value::Array(types) => types.iter().any(|kind| is_of_type(kind, value)),
        Value::String(kind) => match kind.as_str() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "number" => value.is_number(),
            "integer" => is_integer(value),
            _ => false,
        },
        _ => false,
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

/// The value of `type` in words.
pub(super) fn type_words(types: &Value) -> String {
    match types {
        Value::Array(types) => join(types.iter().map(type_words)),
        Value::String(kind) => match kind.as_str() {
            "null" => "`null`".into(),
            "boolean" => "a boolean".into(),
            "string" => "a string".into(),
            "array" => "a list".into(),
            "object" => "an object".into(),
            "number" => "a number".into(),
            "integer" => "an integer".into(),
            other => format!("a `{other}`, which is no type of JSON Schema"),
        },
        other => format!("a type, but its schema says {}", quoted(other)),
    }
}

/// `a`, `b` or `c`.
pub(super) fn join(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    match words.split_last() {
        None => "nothing".into(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}
