//! Writes that are applied together, all or none.
use octa_plugin_api::Payload;

use super::check::{self, Invalid, MAX_BATCH_BYTES, MAX_BATCH_WRITES};
use super::record::{Address, Expect};

/// Checked writes that are applied in order, all or none.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    writes: Vec<Write>,
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
        self.push(Write::new(at, expect, Some(value)))
    }

    /// Adds the deletion of a record; a refused one leaves the batch as it was.
    pub fn delete(
        &mut self,
        namespace: &str,
        key: &str,
        expect: Expect,
    ) -> Result<&mut Self, Invalid> {
        let at = Address::new(namespace, key)?;
        self.push(Write::new(at, expect, None))
    }

    /// Returns the writes in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    fn push(&mut self, write: Write) -> Result<&mut Self, Invalid> {
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
    namespace: Box<str>,
    key: Box<str>,
    expect: Expect,
    value: Option<Payload>,
}

impl Write {
    fn new(at: Address<'_>, expect: Expect, value: Option<Payload>) -> Self {
        Self {
            namespace: at.namespace().into(),
            key: at.key().into(),
            expect,
            value,
        }
    }

    /// Returns where it writes.
    pub fn address(&self) -> Address<'_> {
        Address::checked(&self.namespace, &self.key)
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
}
