//! Writes that are applied together, all or none.

use std::sync::Arc;

use octa_plugin_api::Payload;

use super::check::{self, Invalid, MAX_BATCH_BYTES, MAX_BATCH_WRITES, MAX_KEY_BYTES};
use super::quota::Quota;
use super::record::{Address, Expect};

/// The digits of a version at the end of an appended key.
const DIGITS: usize = 20;

/// Checked writes that are applied in order, all or none.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    writes: Vec<Write>,
    quotas: Vec<(Arc<str>, Quota)>,
    bytes: usize,
}

impl Batch {
    /// Makes an empty batch, which changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the writing of a value; a refused one leaves the batch as it was.
    pub fn put(
        &mut self,
        namespace: &str,
        key: &str,
        expect: Expect,
        value: impl Into<Payload>,
    ) -> Result<&mut Self, Invalid> {
        let at = Address::new(namespace, key)?;
        let value = value.into();
        check::value(at, &value)?;
        self.push(at, false, expect, Some(value))
    }

    /// Adds the writing of a value under a new key: `prefix` and behind it the version of this write, in
    /// 20 digits, so that such keys sort in the order in which they were committed.
    ///
    /// A refused one leaves the batch as it was.
    pub fn append(
        &mut self,
        namespace: &str,
        prefix: &str,
        value: impl Into<Payload>,
    ) -> Result<&mut Self, Invalid> {
        let at = Address::new(namespace, prefix)?;
        let value = value.into();
        check::value(at, &value)?;
        let bytes = prefix.len() + DIGITS;
        if bytes > MAX_KEY_BYTES {
            let what = format!("a key appended to `{at}`");
            return Err(check::too_large(what, bytes, "bytes", MAX_KEY_BYTES));
        }
        self.push(at, true, Expect::Any, Some(value))
    }

    /// Adds the deletion of a record; a refused one leaves the batch as it was.
    pub fn delete(
        &mut self,
        namespace: &str,
        key: &str,
        expect: Expect,
    ) -> Result<&mut Self, Invalid> {
        let at = Address::new(namespace, key)?;
        self.push(at, false, expect, None)
    }

    /// Refuses the batch if it makes a namespace grow beyond `quota`; the last one said of a namespace holds.
    pub fn bound(&mut self, namespace: impl Into<Arc<str>>, quota: Quota) -> &mut Self {
        let namespace = namespace.into();
        match self.quotas.iter_mut().find(|(of, _)| *of == namespace) {
            Some((_, bound)) => *bound = quota,
            None => self.quotas.push((namespace, quota)),
        }
        self
    }

    /// Returns the writes in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Returns the bytes of its namespaces, keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns what the namespaces may grow to.
    pub fn quotas(&self) -> &[(Arc<str>, Quota)] {
        &self.quotas
    }

    /// Returns the quota that bounds a namespace.
    pub fn quota(&self, namespace: &str) -> Option<Quota> {
        let mut quotas = self.quotas.iter();
        quotas
            .find(|(of, _)| **of == *namespace)
            .map(|(_, quota)| *quota)
    }

    fn push(
        &mut self,
        at: Address<'_>,
        is_appended: bool,
        expect: Expect,
        value: Option<Payload>,
    ) -> Result<&mut Self, Invalid> {
        // Writes to one namespace, which is nearly always so, share its name.
        let namespace = match self.writes.last() {
            Some(last) if *last.namespace == *at.namespace() => last.namespace.clone(),
            _ => at.namespace().into(),
        };
        let write = Write {
            namespace,
            key: at.key().into(),
            is_appended,
            expect,
            value,
        };
        let writes = self.writes.len() + 1;
        let bytes = self.bytes + write.bytes();
        let what = || "a batch".to_owned();
        if writes > MAX_BATCH_WRITES {
            return Err(check::too_large(what(), writes, "writes", MAX_BATCH_WRITES));
        }
        if bytes > MAX_BATCH_BYTES {
            return Err(check::too_large(what(), bytes, "bytes", MAX_BATCH_BYTES));
        }
        self.bytes = bytes;
        self.writes.push(write);
        Ok(self)
    }
}

/// One write of a batch.
#[derive(Clone, Debug)]
pub struct Write {
    namespace: Arc<str>,
    key: Arc<str>,
    is_appended: bool,
    expect: Expect,
    value: Option<Payload>,
}

impl Write {
    /// Returns the namespace that it writes to.
    pub fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    /// Returns the key that it writes to if it takes this version; only an appended key depends on it.
    pub fn key(&self, version: u64) -> Arc<str> {
        match self.is_appended {
            true => appended(&self.key, version).into(),
            false => self.key.clone(),
        }
    }

    /// Returns the prefix of an appended key, for an adapter that asks what is there before it knows versions.
    pub fn appended_to(&self) -> Option<&Arc<str>> {
        self.is_appended.then_some(&self.key)
    }

    /// Returns what it expects to find.
    pub fn expect(&self) -> Expect {
        self.expect
    }

    /// Returns the new value, or nothing for a deletion.
    pub fn value(&self) -> Option<&Payload> {
        self.value.as_ref()
    }

    fn bytes(&self) -> usize {
        self.namespace.len() + self.key.len() + self.value.as_ref().map_or(0, |value| value.len())
    }
}

/// Returns the key of what was appended to `prefix` with a version.
pub fn appended(prefix: &str, version: u64) -> String {
    format!("{prefix}{version:0DIGITS$}")
}

/// What became of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The value is stored.
    Put {
        /// Its version.
        version: u64,
    },
    /// The record is gone.
    Deleted {
        /// The version that the deletion took, above that of the record.
        version: u64,
    },
    /// There was nothing to delete; no version was taken.
    Absent,
}

impl Outcome {
    /// Returns the version that the write took, if it changed anything.
    pub fn version(&self) -> Option<u64> {
        match self {
            Self::Put { version } | Self::Deleted { version } => Some(*version),
            Self::Absent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_writes_and_bytes() {
        let mut batch = Batch::new();
        for i in 0..MAX_BATCH_WRITES {
            batch
                .delete("a", &i.to_string(), Expect::Any)
                .expect("fits");
        }
        let refused = batch
            .delete("a", "more", Expect::Any)
            .expect_err("one too many");
        assert_eq!(
            refused.to_string(),
            "a batch has 1001 writes, expected 1 to 1000"
        );
        assert_eq!(batch.writes().len(), MAX_BATCH_WRITES);

        let mut batch = Batch::new();
        let value = Payload::from(vec![b'1'; check::MAX_VALUE_BYTES - 2]);
        for _ in 0..16 {
            batch
                .put("a", "k", Expect::Any, value.clone())
                .expect("fits");
        }
        let refused = batch
            .put("a", "k", Expect::Any, value)
            .expect_err("too much");
        assert_eq!(
            refused.to_string(),
            "a batch has 17825792 bytes, expected 1 to 16777216"
        );
    }

    #[test]
    fn an_appended_key_has_room_for_its_version() {
        let mut batch = Batch::new();
        let longest = "k".repeat(MAX_KEY_BYTES - DIGITS);
        let value = || Payload::from(&b"1"[..]);
        batch.append("a", &longest, value()).expect("fits");
        assert_eq!(batch.writes()[0].key(u64::MAX).len(), MAX_KEY_BYTES);
        let refused = batch
            .append("a", &format!("{longest}k"), value())
            .expect_err("one too many");
        assert!(
            refused
                .to_string()
                .ends_with("has 513 bytes, expected 1 to 512"),
            "{refused}"
        );
        assert_eq!(appended("log/", 7), "log/00000000000000000007");
    }
}
