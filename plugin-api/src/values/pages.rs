//! Lists of values, page by page.

use serde::{Deserialize, de::DeserializeOwned};

use super::Values;
use crate::{Payload, error::Result};

/// How many values are asked for at once where all are wanted.
const PAGE: u32 = 1_000;

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry<T> {
    /// The key.
    pub key: String,
    /// The version of the value.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// One page of a list, in the order of the keys' bytes.
///
/// It may have fewer entries than asked for, where they are large; only `next` tells whether there is more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Page<T> {
    /// The entries.
    pub entries: Vec<Entry<T>>,
    /// The key after which the next page starts; `None` on the last one.
    pub next: Option<String>,
}

impl Values<'_> {
    pub(super) async fn list<T: DeserializeOwned>(
        self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<T>> {
        let after = Payload::copy_from_slice(after.unwrap_or_default().as_bytes());
        let ask = self.context.ask(self.operations.list);
        let ask = ask.target(self.namespace).key(prefix).number(limit.into());
        ask.payload(after).await.result?.parse()
    }

    pub(super) async fn list_all<T: DeserializeOwned>(self, prefix: &str) -> Result<Vec<Entry<T>>> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.list(prefix, after.as_deref(), PAGE).await?;
            all.extend(page.entries);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }
}
