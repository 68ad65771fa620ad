//! Reads a namespace page by page, as who lists it does.

use std::sync::Arc;

use super::super::{Entry, Query, Storage};

/// All keys with a prefix, read in pages of `limit`.
pub(super) async fn keys(
    storage: &Storage,
    namespace: &str,
    prefix: &str,
    limit: usize,
) -> Vec<String> {
    let entries = entries(storage, namespace, prefix, limit).await;
    let keys = entries.iter().map(|entry| entry.key.to_string());
    keys.collect()
}

/// All entries with a prefix, read in pages of `limit`.
pub(super) async fn entries(
    storage: &Storage,
    namespace: &str,
    prefix: &str,
    limit: usize,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut after: Option<Arc<str>> = None;
    loop {
        let query = Query::new(namespace, prefix).expect("a valid query");
        let query = query
            .after(after.as_deref())
            .and_then(|query| query.limit(limit));
        let page = storage
            .list(query.expect("a valid query"))
            .await
            .expect("a page");
        assert!(
            page.entries.len() <= limit,
            "a page is longer than its limit {limit}"
        );
        entries.extend(page.entries);
        assert!(
            page.next.is_none() || page.next > after,
            "the next page starts no further on"
        );
        after = page.next;
        if after.is_none() {
            return entries;
        }
    }
}
