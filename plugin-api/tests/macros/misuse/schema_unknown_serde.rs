//! Attributes of serde that are not known, or not at this place.

use octa_plugin_api::Schema;

#[derive(Schema)]
#[serde(brand_new = "yes")]
struct One {
    name: String,
}

#[derive(Schema)]
struct Two {
    #[serde(rename_all = "camelCase")]
    name: String,
}

#[derive(Schema)]
#[serde(rename_all = "camel")]
struct Three {
    name: String,
}

#[derive(Schema)]
struct Four {
    #[serde(rename(serialize = "in", deserialize = "out"))]
    name: String,
}

fn main() {}
