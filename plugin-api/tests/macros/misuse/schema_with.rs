//! A field written by functions, whose form no one knows.

use std::time::Duration;

use octa_plugin_api::Schema;

#[derive(Schema)]
struct Timer {
    #[serde(with = "seconds")]
    after: Duration,
}

fn main() {}
