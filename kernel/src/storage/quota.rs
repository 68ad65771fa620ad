//! How much a namespace may hold, and who says so.

use std::collections::BTreeMap;

use super::record::Address;

/// The most that a namespace may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The bytes of its keys and values.
    pub bytes: u64,
}

/// A namespace would hold more than it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{namespace}/{key}` would bring namespace `{namespace}` to {found} bytes, its quota is {quota}"
)]
#[non_exhaustive]
pub struct QuotaSpent {
    /// The namespace.
    pub namespace: String,
    /// The key whose value is too much.
    pub key: String,
    /// The bytes that the namespace would hold.
    pub found: u64,
    /// The bytes that it may hold.
    pub quota: u64,
}

impl QuotaSpent {
    pub(crate) fn new(at: Address<'_>, found: u64, quota: Quota) -> Self {
        Self {
            namespace: at.namespace().to_owned(),
            key: at.key().to_owned(),
            found,
            quota: quota.bytes,
        }
    }

    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = "delete what is no longer needed there, or raise the quota in the configuration";
        Some(hint.to_owned())
    }
}

/// The quotas of all namespaces.
///
/// The journal of a namespace has the same quota as the namespace, beside it, and so have its
/// events that wait to be published.
/// Other namespaces of the kernel's own (`kernel.**`) have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// What holds where nothing else is said.
    pub each: Option<Quota>,
    /// What holds for single namespaces.
    pub of: BTreeMap<String, Quota>,
}

impl Quotas {
    /// Returns the quota of a namespace, if it has one.
    pub fn of(&self, namespace: &str) -> Option<Quota> {
        let namespace = match namespace.strip_prefix("kernel.") {
            Some(own) => {
                let journal = own.strip_prefix("journal.");
                journal.or_else(|| own.strip_prefix("outbox."))?
            }
            None => namespace,
        };
        self.of.get(namespace).copied().or(self.each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_one_comes_first() {
        let quotas = Quotas {
            each: Some(Quota { bytes: 1 }),
            of: BTreeMap::from([("history".to_owned(), Quota { bytes: 2 })]),
        };
        let check = |namespace, expect: Option<u64>| {
            let found = quotas.of(namespace).map(|quota| quota.bytes);
            assert_eq!(found, expect, "the quota of `{namespace}`");
        };
        check("lamps", Some(1));
        check("history", Some(2));
        check("kernel.journal.lamps", Some(1));
        check("kernel.journal.history", Some(2));
        check("kernel.outbox.lamps", Some(1));
        check("kernel.outbox.history", Some(2));
        check("kernel.outbox", None);
        check("kernel", Some(1));
        assert_eq!(Quotas::default().of("lamps"), None);
    }
}
