//! One line per rule: a schema, a value, and what is said of it.

use serde_json::json;

use super::*;

/// The message, with its hint after `?`; empty if the value fits.
fn verdict(schema: &Value, value: &Value) -> String {
    match check_schema(schema, value, "x") {
        Ok(()) => String::new(),
        Err(mismatch) => match mismatch.hint() {
            Some(hint) => format!("{mismatch}; {hint}"),
            None => mismatch.to_string(),
        },
    }
}

#[test]
fn scalars() {
    let whole = json!({"type": "integer", "minimum": 1, "maximum": 9});
    let short = json!({"type": "string", "minLength": 2, "maxLength": 3});
    let colour = json!({"enum": ["red", "green", null]});
    let long = "é".repeat(50);
    for (schema, value, expect) in [
        (&whole, json!(5), ""),
        (&whole, json!(5.0), ""),
        (&whole, json!(5.5), "`x` is `5.5`, expected an integer"),
        (&whole, json!("5"), "`x` is `\"5\"`, expected an integer"),
        (&whole, json!(0), "`x` is `0`, expected at least `1`"),
        (&whole, json!(10), "`x` is `10`, expected at most `9`"),
        (&short, json!("éé"), ""),
        (
            &short,
            json!("é"),
            "`x` is `\"é\"`, expected at least 2 characters",
        ),
        (
            &short,
            json!("four"),
            "`x` is `\"four\"`, expected at most 3 characters",
        ),
        (
            &short,
            json!([1]),
            "`x` is a list of 1 item, expected a string",
        ),
        (&colour, json!(null), ""),
        (
            &colour,
            json!("gren"),
            "`x` is `\"gren\"`, expected `\"red\"`, `\"green\"` or `null`; did you mean `green`?",
        ),
        (&json!({"const": 3}), json!(4), "`x` is `4`, expected `3`"),
        (
            &json!({"type": ["string", "null"]}),
            json!(1),
            "`x` is `1`, expected a string or `null`",
        ),
        (&json!(false), json!(1), "`x` is `1`, expected nothing"),
        (
            &json!({"format": "email", "title": "t", "default": 1}),
            json!("no"),
            "",
        ),
    ] {
        assert_eq!(verdict(schema, &value), expect, "{schema} {value}");
    }
    assert!(
        verdict(&json!({"type": "null"}), &json!(long))
            .chars()
            .count()
            < 90
    );
}

#[test]
fn objects() {
    let lamp = json!({
        "type": "object",
        "properties": {"id": {"type": "string"}, "level": {"type": "integer"}},
        "required": ["id"],
        "additionalProperties": false,
    });
    for (value, expect) in [
        (json!({"id": "a", "level": 1}), ""),
        (json!({}), "`x.id` is missing, expected a string"),
        (json!({"id": 1}), "`x.id` is `1`, expected a string"),
        (
            json!({"id": "a", "levle": 1}),
            "`x.levle` is an unknown key, expected `id` or `level`; did you mean `level`?",
        ),
        (json!([]), "`x` is a list of 0 items, expected an object"),
    ] {
        assert_eq!(verdict(&lamp, &value), expect, "{value}");
    }
    let map = json!({"additionalProperties": {"type": "boolean"}});
    assert_eq!(
        verdict(&map, &json!({"a b": 1})),
        "`x.\"a b\"` is `1`, expected a boolean"
    );
}

#[test]
fn lists() {
    let list = json!({"items": {"type": "string"}, "minItems": 1, "maxItems": 2});
    let pair = json!({"prefixItems": [{"type": "string"}, {"type": "number"}], "items": false});
    for (schema, value, expect) in [
        (&list, json!(["a"]), ""),
        (
            &list,
            json!([]),
            "`x` is a list of 0 items, expected at least 1 items",
        ),
        (
            &list,
            json!(["a", "b", "c"]),
            "`x` is a list of 3 items, expected at most 2 items",
        ),
        (&list, json!(["a", 2]), "`x[1]` is `2`, expected a string"),
        (&pair, json!(["a", 1]), ""),
        (
            &pair,
            json!(["a", "b"]),
            "`x[1]` is `\"b\"`, expected a number",
        ),
        (&pair, json!(["a", 1, 2]), "`x[2]` is `2`, expected nothing"),
    ] {
        assert_eq!(verdict(schema, &value), expect, "{schema} {value}");
    }
}

/// A recursive tagged enum, as a derive writes it.
fn rule() -> Value {
    json!({
        "$ref": "#/$defs/Rule",
        "$defs": {"Rule": {"oneOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": "topic"}, "topic": {"type": "string"}},
                "required": ["kind", "topic"],
            },
            {
                "type": "object",
                "properties": {"kind": {"const": "all"}, "of": {"items": {"$ref": "#/$defs/Rule"}}},
                "required": ["kind", "of"],
            },
            {"const": "never"},
        ]}},
    })
}

#[test]
fn alternatives_blame_the_one_that_was_meant() {
    let topic = json!({"kind": "topic", "topic": "a.b"});
    for (value, expect) in [
        (json!({"kind": "all", "of": [topic, "never"]}), ""),
        (
            json!({"kind": "all", "of": [{"kind": "topic", "topic": 1}]}),
            "`x.of[0].topic` is `1`, expected a string",
        ),
        (
            json!({"kind": "topic"}),
            "`x.topic` is missing, expected a string",
        ),
        (
            json!({"kind": "any"}),
            "`x` is an object, expected an object with `kind` `\"topic\"`, \
             an object with `kind` `\"all\"` or `\"never\"`",
        ),
    ] {
        assert_eq!(verdict(&rule(), &value), expect, "{value}");
    }
    let optional = json!({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]});
    assert_eq!(verdict(&optional, &json!(null)), "");
    assert_eq!(
        verdict(&optional, &json!(0)),
        "`x` is `0`, expected at least `1`"
    );
    assert_eq!(
        verdict(&optional, &json!("a")),
        "`x` is `\"a\"`, expected an integer or `null`"
    );
    let both = json!({"allOf": [{"required": ["a"]}, {"required": ["b"]}]});
    assert_eq!(
        verdict(&both, &json!({"a": 1})),
        "`x.b` is missing, expected a value"
    );
    let twice = json!({"oneOf": [{"type": "integer"}, {"type": "number"}]});
    assert_eq!(
        verdict(&twice, &json!(1)),
        "`x` is `1`, expected only one of an integer or a number"
    );
}

#[test]
fn a_broken_schema_is_an_error_and_not_a_hang() {
    let missing = json!({"$ref": "#/$defs/A"});
    assert_eq!(
        verdict(&missing, &json!(1)),
        "`x` is described by `#/$defs/A`, expected a definition that its schema has"
    );
    let endless = json!({"$ref": "#"});
    assert!(verdict(&endless, &json!(1)).contains("a schema without end"));
    let exponential = json!({
        "$ref": "#/$defs/A",
        "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}},
    });
    assert!(!verdict(&exponential, &json!(1)).is_empty());
    assert!(verdict(&json!({"type": "strnig"}), &json!("a")).contains("no type of JSON Schema"));
    assert!(!verdict(&json!(7), &json!("a")).is_empty());
}

#[test]
fn a_secret_is_never_told() {
    let hidden = BTreeSet::from(["x.token".to_owned()]);
    let value = json!({"token": "hunter2"});
    for schema in [
        json!({"type": "integer"}),
        json!({"enum": ["hunter3"]}),
        json!({"const": "a"}),
        json!({"minLength": 20}),
        json!({"maxLength": 2}),
        json!({"anyOf": [{"type": "string", "maxLength": 2}, {"type": "null"}]}),
        json!({"$ref": "#/nowhere"}),
        json!(false),
    ] {
        let schema = json!({"properties": {"token": schema}});
        let mismatch = check_hiding(&schema, &value, "x", &hidden).unwrap_err();
        let told = format!("{mismatch} {mismatch:?} {:?}", mismatch.hint());
        assert!(!told.contains("hunter2"), "{told}");
        assert_eq!(mismatch.hint(), None, "a hint tells how close a guess is");
    }
}
