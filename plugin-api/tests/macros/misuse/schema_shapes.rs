//! Things that serde cannot do either.

use octa_plugin_api::Schema;

#[derive(Schema)]
union Bits {
    one: u8,
}

#[derive(Schema)]
#[serde(tag = "type")]
enum Tagged {
    Pair(u8, u8),
}

#[derive(Schema)]
#[serde(deny_unknown_fields)]
struct Closed {
    #[serde(flatten)]
    inner: Inner,
}

#[derive(Schema)]
struct Inner {
    #[schema(anything)]
    inner: u8,
}

fn main() {}
