//! Where the keys of a configuration are written, for who finds out later that what one of them
//! names is not there.

use std::collections::BTreeMap;

use super::document::Node;
use super::place::Place;

/// How deep below `[plugins]`, `[capabilities]` and `[pipelines]` keys are noted: an item of
/// `order` is the deepest that names something.
const DEPTH: usize = 3;

/// The places of keys, as a user would write these; none where no text was read.
#[derive(Debug, Clone, Default)]
pub struct Places(BTreeMap<String, Place>);

/// Where it is written makes no difference: a line more above it changes nothing.
impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Places {
    /// Where a key such as `plugins.lamp.limits` is written.
    pub fn of(&self, key: &str) -> Option<&Place> {
        self.0.get(key)
    }

    pub(super) fn note(&mut self, node: Option<Node<'_>>) {
        if let Some(node) = node {
            node.visit(DEPTH, &mut |key, place| drop(self.0.insert(key, place)));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn what_may_name_something_has_a_place() {
        let text = "[kernel]\nvet = true\n[plugins.a]\nenabled = true\n[plugins.b.config]\n\
                    x = { y = { z = 1 } }\n[capabilities.\"c.d\"]\norder = [\"a\", \"b\"]\n\
                    [pipelines]\n\"e.f\" = [\"c.d\"]\n";
        let config = Config::parse(text, "octa.toml").expect("a configuration");
        for (key, place) in [
            ("kernel.vet", None),
            ("plugins.a", Some("octa.toml:3:1")),
            ("plugins.b", Some("octa.toml:5:10")),
            ("plugins.b.config.x", Some("octa.toml:6:5")),
            ("plugins.b.config.x.y", None),
            ("capabilities.\"c.d\".order[1]", Some("octa.toml:8:15")),
            ("pipelines.\"e.f\"[0]", Some("octa.toml:10:10")),
        ] {
            let found = config.places.of(key).map(ToString::to_string);
            assert_eq!(found.as_deref(), place, "{key}");
        }
        let below = Config::parse(&format!("\n{text}"), "octa.toml").expect("a configuration");
        assert_eq!(below, config, "a line more above it");
    }
}
