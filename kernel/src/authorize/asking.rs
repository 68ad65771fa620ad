//! What an author writes so that the plugin asks for a wish; granting it is the configuration's
//! job.

use octa_loader::{Manifest, Pattern};

use super::Reach;
use crate::nearest::nearest;

/// The name that was probably meant, if one is near, and how to ask for this one.
pub(super) fn remedy(manifest: &Manifest, reach: Reach, target: &str) -> String {
    let ask = format!(
        "ask for it in the plugin: `{}`",
        attribute(manifest, reach, target)
    );
    // Topics may be close to one another and both meant.
    let declared = match reach {
        Reach::Call => [reach.asked(manifest), Reach::Provide.asked(manifest)].concat(),
        Reach::Storage | Reach::State => reach.asked(manifest),
        Reach::Publish | Reach::Subscribe | Reach::Provide => Vec::new(),
    };
    let names = declared.iter().filter(|declared| declared.is_literal());
    match nearest(target, names.map(Pattern::as_str)) {
        Some(name) => format!("did you mean `{name}`? otherwise {ask}"),
        None => ask,
    }
}

/// `#[tentacle(publishes("lamp.**", "alert.fire"))]`: what is asked for already, and the target.
fn attribute(manifest: &Manifest, reach: Reach, target: &str) -> String {
    let asked = &manifest.permissions;
    let (setting, asked) = match reach {
        Reach::Call => ("calls", patterns(&asked.call)),
        Reach::Publish => ("publishes", patterns(&asked.publish)),
        Reach::Subscribe => ("subscribes", patterns(&asked.subscribe)),
        Reach::Storage => (
            "storage",
            asked.storage.iter().map(String::as_str).collect(),
        ),
        Reach::State => ("state", asked.state.iter().map(String::as_str).collect()),
        Reach::Provide => return format!("#[capability(\"{target}\")]"),
    };
    if asked.is_empty() {
        return format!("#[tentacle({setting} = \"{target}\")]");
    }
    format!(
        "#[tentacle({setting}(\"{}\", \"{target}\"))]",
        asked.join("\", \"")
    )
}

fn patterns(patterns: &[Pattern]) -> Vec<&str> {
    patterns.iter().map(Pattern::as_str).collect()
}
