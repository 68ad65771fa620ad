//! Types without a schema.

use octa_plugin_api::Schema;

struct Foreign;

#[derive(Schema)]
struct Free {
    value: serde_json::Value,
    list: Vec<Foreign>,
}

fn main() {}
