//! The text of some schemas, in full.

use octa_plugin_api::Schema;
use serde_json::{Value, json};

use super::{Document, document};

fn check(schema: Value, expected: Value) {
    assert_eq!(schema, expected, "{schema:#}");
}

/// A lamp.
#[derive(Schema)]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Lamp {
    /// Its name.
    name: String,
    #[serde(default)]
    twin: Option<Box<Lamp>>,
    other: other::Lamp,
}

mod other {
    use octa_plugin_api::Schema;

    #[derive(Schema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    pub(super) struct Lamp {
        pub(super) on: bool,
    }
}

#[test]
fn named_types_are_defined_once_and_namesakes_kept_apart() {
    check(
        document!((Lamp, Lamp)),
        json!({
            "type": "array",
            "prefixItems": [{ "$ref": "#/$defs/Lamp" }, { "$ref": "#/$defs/Lamp" }],
            "minItems": 2,
            "maxItems": 2,
            "$defs": {
                "Lamp": {
                    "description": "A lamp.",
                    "type": "object",
                    "properties": {
                        "name": { "description": "Its name.", "type": "string" },
                        "twin": { "anyOf": [{ "$ref": "#/$defs/Lamp" }, { "type": "null" }] },
                        "other": { "$ref": "#/$defs/Lamp-2" },
                    },
                    "required": ["name", "other"],
                },
                "Lamp-2": {
                    "type": "object",
                    "properties": { "on": { "type": "boolean" } },
                    "required": ["on"],
                    "additionalProperties": false,
                },
            },
        }),
    );
}

/// What to do.
///
/// With a second paragraph,
/// of two lines.
#[derive(Schema)]
#[expect(dead_code, reason = "only its schema is looked at")]
enum Order {
    /// Does nothing.
    Wait,
    Go,
    Stop,
    /// Goes there.
    To {
        x: u8,
    },
}

#[test]
fn words_about_types_and_variants_become_descriptions() {
    let go = json!({
        "type": "object",
        "properties": { "x": { "type": "integer", "minimum": 0, "maximum": 255 } },
        "required": ["x"],
    });
    check(
        document!(Order),
        json!({
            "$ref": "#/$defs/Order",
            "$defs": {
                "Order": {
                    "description": "What to do.\n\nWith a second paragraph,\nof two lines.",
                    "anyOf": [
                        { "type": "string", "enum": ["Go", "Stop"] },
                        { "description": "Does nothing.", "type": "string", "enum": ["Wait"] },
                        {
                            "description": "Goes there.",
                            "type": "object",
                            "properties": { "To": go },
                            "required": ["To"],
                            "additionalProperties": false,
                        },
                    ],
                },
            },
        }),
    );
}

#[derive(Schema)]
enum Never {}

#[test]
fn nothing_fits_an_enum_without_variants() {
    check(
        document!(Never),
        json!({ "$ref": "#/$defs/Never", "$defs": { "Never": { "not": {} } } }),
    );
}

#[derive(Schema)]
#[serde(tag = "kind", rename = "a label")]
#[expect(dead_code, reason = "only its schema is looked at")]
struct Label {
    text: String,
}

#[test]
fn the_tag_of_a_struct_is_its_name() {
    // serde reads any tag here, or none; but it writes this one.
    let label = json!({
        "type": "object",
        "properties": {
            "kind": { "type": "string", "enum": ["a label"] },
            "text": { "type": "string" },
        },
        "required": ["text"],
    });
    check(
        document!(Label),
        json!({ "$ref": "#/$defs/Label", "$defs": { "Label": label } }),
    );
}
