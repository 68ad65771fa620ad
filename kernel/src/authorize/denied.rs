//! The answer to wishes that are refused, and the line of configuration that would grant them.

use octa_loader::{Manifest, NameError, Pattern};

use super::{Reach, asking};
use crate::config::Allow;

/// A refused wish, or several of one kind that are refused for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin `{plugin}` may not {wish}: {}", reason(why, *are_several))]
#[non_exhaustive]
pub struct Denied {
    /// Whose wish it was.
    pub plugin: String,
    /// What was wished for, in words.
    pub wish: String,
    /// The kind of the wish.
    pub reach: Reach,
    /// Why it is refused.
    pub why: Why,
    are_several: bool,
    line: Option<String>,
    hint: Option<String>,
}

/// Why a wish is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The manifest does not ask for it.
    #[error("its manifest does not ask for it")]
    NotAsked,
    /// It lies outside the plugin's own namespace and the configuration does not grant it.
    #[error("it lies outside the plugin's own namespace and is not granted")]
    NotGranted,
    /// It is the kernel's alone.
    #[error("`kernel` is the kernel's own namespace")]
    Reserved,
    /// The target is neither a name nor a pattern.
    #[error("{0}")]
    Malformed(Box<NameError>),
}

impl Denied {
    /// Refuses to do something to each target; `missing` is what the configuration would have to
    /// grant.
    pub(super) fn new(
        manifest: &Manifest,
        allow: &Allow,
        reach: Reach,
        targets: &[&str],
        why: Why,
        missing: &[Pattern],
    ) -> Self {
        let mut denied = Denied {
            plugin: manifest.name.clone(),
            wish: reach.wishes(targets),
            reach,
            line: (why == Why::NotGranted).then(|| line(reach, reach.allowed(allow), missing)),
            why,
            are_several: targets.len() > 1,
            hint: None,
        };
        denied.hint = denied.remedy(manifest, targets);
        denied
    }

    /// The table of the configuration and the line in it that would grant the wish, with what is
    /// granted already.
    pub fn grant(&self) -> Option<(String, &str)> {
        Some((
            format!("[plugins.{}.allow]", self.plugin),
            self.line.as_deref()?,
        ))
    }

    /// Says what to do about it.
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn remedy(&self, manifest: &Manifest, targets: &[&str]) -> Option<String> {
        match &self.why {
            Why::NotGranted => {
                let (table, line) = self.grant()?;
                let them = if self.are_several { "them" } else { "it" };
                Some(format!(
                    "to grant {them}, write into the configuration under `{table}`: `{line}`"
                ))
            }
            Why::NotAsked => Some(asking::remedy(manifest, self.reach, targets.first()?)),
            Why::Reserved => Some(format!("choose a name under `{}`", self.plugin)),
            Why::Malformed(error) => error.hint(),
        }
    }
}

fn reason(why: &Why, are_several: bool) -> String {
    match why {
        Why::NotGranted if are_several => {
            "they lie outside the plugin's own namespace and are not granted".to_owned()
        }
        why => why.to_string(),
    }
}

/// `publish = ["alert.**", "device.**"]`
fn line(reach: Reach, allowed: &[Pattern], missing: &[Pattern]) -> String {
    let mut patterns: Vec<String> = Vec::new();
    for pattern in allowed.iter().chain(missing) {
        let quoted = format!("\"{pattern}\"");
        if !patterns.contains(&quoted) {
            patterns.push(quoted);
        }
    }
    format!("{} = [{}]", reach.key(), patterns.join(", "))
}
