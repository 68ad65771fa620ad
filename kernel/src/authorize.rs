//! The one place that decides what a plugin may reach; every handle that a plugin gets is made from
//! a [`Grant`].
//!
//! A plugin asks in its manifest and the configuration grants.
//! What is asked inside the plugin's own namespace needs no grant; what was not asked is refused
//! whatever is granted.

mod asking;
mod denied;

use std::fmt;

use octa_loader::{Manifest, NameKind, Pattern};

use crate::config::Allow;

pub use denied::{Denied, Why};

/// The first segment of names that are the kernel's own.
const KERNEL: &str = "kernel";

/// What a plugin wants to do; a target may be a pattern, and then everything that it matches is
/// wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish<'a> {
    /// To call a capability.
    Call(&'a str),
    /// To publish on a topic.
    Publish(&'a str),
    /// To receive the events of a pattern.
    Subscribe(&'a str),
    /// To use a storage namespace.
    Storage(&'a str),
    /// To use a state namespace.
    State(&'a str),
    /// To offer a capability.
    Provide(&'a str),
}

/// The kinds of wishes, named as the configuration names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Calling capabilities.
    Call,
    /// Publishing on topics.
    Publish,
    /// Receiving events.
    Subscribe,
    /// Using storage.
    Storage,
    /// Using state.
    State,
    /// Offering capabilities.
    Provide,
}

/// Proof that a wish was granted; only [`authorize`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    reach: Reach,
    target: Pattern,
}

impl Grant {
    /// What may be done.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The name or pattern that it may be done to.
    pub fn target(&self) -> &Pattern {
        &self.target
    }

    /// Whether a name is covered; a grant of one name covers that name alone.
    pub fn permits(&self, name: &str) -> bool {
        self.target.matches(name) && !is_reserved(self.reach, name)
    }
}

/// Decides a wish from what the plugin's manifest asks and the configuration allows.
///
/// A plugin may call what it may provide, without asking.
///
/// # Errors
///
/// Says whether the wish was not asked for, is not granted, or can never be.
pub fn authorize(manifest: &Manifest, allow: &Allow, wish: Wish<'_>) -> Result<Grant, Denied> {
    let (reach, text) = wish.parts();
    let denied =
        |why, missing: &[Pattern]| Denied::new(manifest, allow, reach, &[text], why, missing);
    let target: Pattern = text.parse().map_err(|error| {
        // What is not even a pattern is told as what it was meant to be.
        let error = reach.kind().check(text).err().unwrap_or(error);
        denied(Why::Malformed(Box::new(error)), &[])
    })?;
    if is_reserved(reach, text) {
        return Err(denied(Why::Reserved, &[]));
    }
    if reach == Reach::Call
        && offers(manifest, &target)
        && is_granted(manifest, allow, Reach::Provide, &target)
    {
        return Ok(Grant { reach, target });
    }
    let asked = reach
        .asked(manifest)
        .into_iter()
        .find(|asked| asked.covers(&target));
    let Some(asked) = asked else {
        return Err(denied(Why::NotAsked, &[]));
    };
    if is_granted(manifest, allow, reach, &target) {
        Ok(Grant { reach, target })
    } else {
        Err(denied(Why::NotGranted, &[asked]))
    }
}

/// Everything that the manifest asks for and would be refused, so that a plugin can be held before
/// it starts.
///
/// What is refused for one reason is told once for each kind of reach, with one line that grants
/// all of it.
pub fn review(manifest: &Manifest, allow: &Allow) -> Vec<Denied> {
    Reach::ALL
        .into_iter()
        .flat_map(|reach| review_reach(manifest, allow, reach))
        .collect()
}

fn review_reach(manifest: &Manifest, allow: &Allow, reach: Reach) -> Vec<Denied> {
    let mut refused: Vec<(Why, Vec<Pattern>)> = Vec::new();
    for asked in reach.asked(manifest) {
        let Err(Denied { why, .. }) = authorize(manifest, allow, reach.wish(asked.as_str())) else {
            continue;
        };
        match refused.iter_mut().find(|(known, _)| *known == why) {
            Some((_, targets)) if targets.contains(&asked) => {}
            Some((_, targets)) => targets.push(asked),
            None => refused.push((why, vec![asked])),
        }
    }
    let denied = |(why, missing): (Why, Vec<Pattern>)| {
        let targets: Vec<&str> = missing.iter().map(Pattern::as_str).collect();
        Denied::new(manifest, allow, reach, &targets, why, &missing)
    };
    refused.into_iter().map(denied).collect()
}

fn is_granted(manifest: &Manifest, allow: &Allow, reach: Reach, target: &Pattern) -> bool {
    is_inside(&manifest.name, target)
        || (reach == Reach::Subscribe && is_inside(KERNEL, target))
        || reach
            .allowed(allow)
            .iter()
            .any(|granted| granted.covers(target))
}

/// Whether everything that the target matches lies in a namespace: its name, and what is below it.
fn is_inside(namespace: &str, target: &Pattern) -> bool {
    target.segments().next() == Some(namespace)
}

fn is_reserved(reach: Reach, name: &str) -> bool {
    matches!(reach, Reach::Publish | Reach::Provide | Reach::Storage)
        && name.split('.').next() == Some(KERNEL)
}

fn offers(manifest: &Manifest, target: &Pattern) -> bool {
    manifest
        .capabilities
        .iter()
        .any(|capability| capability.name == target.as_str())
}

impl<'a> Wish<'a> {
    /// The kind of the wish and its target.
    pub fn parts(self) -> (Reach, &'a str) {
        match self {
            Wish::Call(target) => (Reach::Call, target),
            Wish::Publish(target) => (Reach::Publish, target),
            Wish::Subscribe(target) => (Reach::Subscribe, target),
            Wish::Storage(target) => (Reach::Storage, target),
            Wish::State(target) => (Reach::State, target),
            Wish::Provide(target) => (Reach::Provide, target),
        }
    }
}

impl fmt::Display for Wish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reach, target) = self.parts();
        f.write_str(&reach.wishes(&[target]))
    }
}

impl Reach {
    /// Every kind.
    pub const ALL: [Reach; 6] = [
        Reach::Call,
        Reach::Publish,
        Reach::Subscribe,
        Reach::Storage,
        Reach::State,
        Reach::Provide,
    ];

    /// The key under `[plugins.X.allow]`.
    pub const fn key(self) -> &'static str {
        match self {
            Reach::Call => "call",
            Reach::Publish => "publish",
            Reach::Subscribe => "subscribe",
            Reach::Storage => "storage",
            Reach::State => "state",
            Reach::Provide => "provide",
        }
    }

    /// Wishes of this kind, in words.
    fn wishes(self, targets: &[&str]) -> String {
        let verb = match (self, targets) {
            (Reach::Call, _) => "call",
            (Reach::Publish, _) => "publish",
            (Reach::Subscribe, _) => "subscribe to",
            (Reach::Storage, [_]) => "use the storage namespace",
            (Reach::Storage, _) => "use the storage namespaces",
            (Reach::State, [_]) => "use the state namespace",
            (Reach::State, _) => "use the state namespaces",
            (Reach::Provide, _) => "provide",
        };
        let targets = targets.iter().map(|it| format!("`{}`", it.escape_debug()));
        format!("{verb} {}", targets.collect::<Vec<_>>().join(", "))
    }

    /// What its targets name.
    fn kind(self) -> NameKind {
        match self {
            Reach::Call | Reach::Provide => NameKind::Capability,
            Reach::Publish => NameKind::Topic,
            Reach::Subscribe => NameKind::Pattern,
            Reach::Storage | Reach::State => NameKind::Namespace,
        }
    }

    fn wish(self, target: &str) -> Wish<'_> {
        match self {
            Reach::Call => Wish::Call(target),
            Reach::Publish => Wish::Publish(target),
            Reach::Subscribe => Wish::Subscribe(target),
            Reach::Storage => Wish::Storage(target),
            Reach::State => Wish::State(target),
            Reach::Provide => Wish::Provide(target),
        }
    }

    fn allowed(self, allow: &Allow) -> &[Pattern] {
        match self {
            Reach::Call => &allow.call,
            Reach::Publish => &allow.publish,
            Reach::Subscribe => &allow.subscribe,
            Reach::Storage => &allow.storage,
            Reach::State => &allow.state,
            Reach::Provide => &allow.provide,
        }
    }

    /// What a manifest asks for.
    fn asked(self, manifest: &Manifest) -> Vec<Pattern> {
        let names = |names: &[String]| names.iter().filter_map(|name| name.parse().ok()).collect();
        match self {
            // Who names a fallback lets its callers call that.
            Reach::Call => {
                let capabilities = manifest.capabilities.iter();
                let fallbacks = capabilities.filter_map(|it| it.policy.fallback.as_ref());
                let fallbacks = fallbacks.filter_map(|name| name.parse().ok());
                let calls = manifest.permissions.call.iter().cloned();
                calls.chain(fallbacks).collect()
            }
            Reach::Publish => manifest.permissions.publish.clone(),
            Reach::Subscribe => {
                let handlers = manifest.subscriptions.iter().map(|it| it.pattern.clone());
                let others = manifest.permissions.subscribe.iter().cloned();
                handlers.chain(others).collect()
            }
            Reach::Storage => names(&manifest.permissions.storage),
            Reach::State => names(&manifest.permissions.state),
            Reach::Provide => manifest
                .capabilities
                .iter()
                .filter_map(|it| it.name.parse().ok())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
