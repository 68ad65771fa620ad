//! The answer to a wish that is refused, and the line of configuration that would grant it.

use octa_loader::{Manifest, NameError, Pattern};

use super::{Reach, Wish};
use crate::config::Allow;

/// A refused wish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin `{plugin}` may not {wish}: {why}")]
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
    line: Option<String>,
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
    /// Refuses a wish; `missing` is what the configuration would have to grant.
    pub(super) fn new(
        manifest: &Manifest,
        allow: &Allow,
        wish: Wish<'_>,
        why: Why,
        missing: &[Pattern],
    ) -> Self {
        let (reach, _) = wish.parts();
        let line = (why == Why::NotGranted).then(|| line(reach, reach.allowed(allow), missing));
        Denied {
            plugin: manifest.name.clone(),
            wish: wish.to_string(),
            reach,
            why,
            line,
        }
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
        match &self.why {
            Why::NotGranted => {
                let (table, line) = self.grant()?;
                Some(format!(
                    "to grant it, write into the configuration under `{table}`: `{line}`"
                ))
            }
            Why::NotAsked => {
                let field = match self.reach {
                    Reach::Call => "permissions.call",
                    Reach::Publish => "permissions.publish",
                    Reach::Subscribe => "subscriptions",
                    Reach::Storage => "permissions.storage",
                    Reach::State => "permissions.state",
                    Reach::Provide => "capabilities",
                };
                Some(format!(
                    "the plugin's author must add it to `{field}` of the manifest"
                ))
            }
            Why::Reserved => Some(format!("choose a name under `{}`", self.plugin)),
            Why::Malformed(error) => error.hint(),
        }
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
