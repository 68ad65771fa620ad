//! Answers what is asked of a storage, for the admin socket and for this program alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use octa_kernel::Kernel;
use octa_kernel::config::{StorageConfig, StorageKind};
use octa_kernel::storage::standby::{StandbyStatus, at_rest};
use octa_kernel::storage::{
    Entry, Invalid, MAX_PAGE_ENTRIES, Query, Quotas, Since, Sqlite, Storage, StorageError, Usage,
};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::request::Request;
use crate::answer::{ErrorBody, raw};
use crate::failure::{Explain, Failure};

/// An open storage, and how it is configured.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) storage: Storage,
    /// The kernel that has it open, if one does.
    pub(crate) kernel: Option<Kernel>,
    pub(crate) config: StorageConfig,
    /// The data directory.
    pub(crate) data: PathBuf,
}

impl Explain for StorageError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "conflict",
            Self::Quota(_) | Self::Invalid(Invalid::Size { .. }) => "too-large",
            Self::Invalid(_) => "invalid-input",
            _ => "unavailable",
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

/// An error with its causes in its message.
pub(crate) fn told(error: impl Explain) -> ErrorBody {
    Failure::from(error).body()
}

impl Desk {
    /// Answers one request.
    pub(crate) async fn answer(&self, request: &Request) -> Result<Box<RawValue>, ErrorBody> {
        match request {
            Request::Stats => raw(&self.stats().await?),
            Request::Get { namespace, key } => self.get(namespace, key).await,
            Request::List {
                namespace,
                prefix,
                after,
                limit,
            } => {
                let page = self.page(namespace, prefix, after.as_deref(), *limit);
                page.await
            }
            Request::Set {
                namespace,
                key,
                value,
                expect,
                force,
            } => {
                allow(namespace, *force)?;
                let value = value.as_bytes();
                let written = self.storage.compare_and_set(namespace, key, *expect, value);
                let version = written.await.map_err(told)?;
                raw(&json!({ "namespace": namespace, "key": key, "version": version }))
            }
            Request::Delete {
                namespace,
                key,
                expect,
                force,
            } => {
                allow(namespace, *force)?;
                let deleted = self.storage.compare_and_delete(namespace, key, *expect);
                let deleted = deleted.await.map_err(told)?;
                raw(&json!({ "namespace": namespace, "key": key, "deleted": deleted }))
            }
        }
    }

    async fn get(&self, namespace: &str, key: &str) -> Result<Box<RawValue>, ErrorBody> {
        let found = self.storage.get(namespace, key).await.map_err(told)?;
        let Some(record) = found else {
            return Err(self.absent(namespace, key).await);
        };
        raw(&Told::of(namespace, &Entry::new(key, record))?)
    }

    /// Nothing in the whole namespace: its name is likely misspelt.
    async fn absent(&self, namespace: &str, key: &str) -> ErrorBody {
        let usages = self.storage.usage().await.unwrap_or_default();
        let mut names = usages.iter().map(|(name, _)| &**name);
        let hint = match names.any(|name| name == namespace) {
            true => format!("`octa storage list {namespace}` shows those there are"),
            false => format!(
                "there is no record in `{namespace}`; `octa storage stats` shows the namespaces there are"
            ),
        };
        ErrorBody {
            kind: "not-found".to_owned(),
            message: format!("there is no record `{namespace}/{key}`"),
            hint: Some(hint),
            ..ErrorBody::default()
        }
    }

    async fn page(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Box<RawValue>, ErrorBody> {
        let query = Query::new(namespace, prefix).and_then(|query| query.after(after));
        let query = query.and_then(|query| query.limit(limit.unwrap_or(MAX_PAGE_ENTRIES)));
        let query = query.map_err(|error| told(StorageError::from(error)))?;
        let page = self.storage.list(query).await.map_err(told)?;
        let entries = page.entries.iter().map(|it| Told::of(namespace, it));
        raw(&Page {
            entries: entries.collect::<Result<_, _>>()?,
            next: page.next.as_deref(),
        })
    }

    async fn stats(&self) -> Result<Stats, ErrorBody> {
        let usage = self.storage.usage().await.map_err(told)?;
        let now = self.storage.changes(Since::all(None)).await.map_err(told)?;
        let quotas = self.storage.quotas();
        let of = |(name, usage): &(Arc<str>, Usage)| Namespace::of(name, *usage, quotas);
        let standby = match (&self.kernel, &self.config.standby) {
            (Some(kernel), _) => kernel.standby().await,
            (None, Some(standby)) => {
                let path = self.data.join(&self.config.path);
                Some(at_rest(&path, &self.data.join(standby)))
            }
            (None, None) => None,
        };
        let file = primary(&self.config, &self.data);
        let size = |suffix: &str| {
            let mut path = file.clone()?.into_os_string();
            path.push(suffix);
            std::fs::metadata(path).ok().map(|it| it.len())
        };
        Ok(Stats {
            adapter: self.config.adapter.name(),
            place: place(&self.config, &self.data),
            records: usage.iter().map(|(_, usage)| usage.records).sum(),
            bytes: usage.iter().map(|(_, usage)| usage.bytes).sum(),
            last_version: now.next,
            file_bytes: size(""),
            wal_bytes: size("-wal"),
            standby,
            namespaces: usage.iter().map(of).collect(),
        })
    }
}

/// The database file that a configuration names.
pub(crate) fn file(config: &StorageConfig, data: &Path) -> Option<PathBuf> {
    (config.adapter == StorageKind::Sqlite).then(|| data.join(&config.path))
}

/// The file beside it that follows it, if there is to be one.
pub(crate) fn standby(config: &StorageConfig, data: &Path) -> Option<PathBuf> {
    config.standby.as_ref().map(|standby| data.join(standby))
}

/// Which of the two is the database now: the standby is once it has taken over.
pub(crate) fn primary(config: &StorageConfig, data: &Path) -> Option<PathBuf> {
    let file = file(config, data)?;
    let Some(standby) = standby(config, data) else {
        return Some(file);
    };
    let rank = |path: &Path| {
        let header = Sqlite::header(path).ok().flatten();
        header.map(|header| (!header.following, header.epoch))
    };
    Some(if rank(&standby) > rank(&file) {
        standby
    } else {
        file
    })
}

/// Where a configured storage lies, in words.
pub(crate) fn place(config: &StorageConfig, data: &Path) -> Option<String> {
    let file = primary(config, data).map(|file| file.display().to_string());
    file.or_else(|| config.url.clone())
}

/// Refuses the kernel's own namespaces.
fn allow(namespace: &str, force: bool) -> Result<(), ErrorBody> {
    if force || !(namespace == "kernel" || namespace.starts_with("kernel.")) {
        return Ok(());
    }
    Err(ErrorBody {
        kind: "denied".to_owned(),
        message: format!(
            "namespace `{namespace}` is the kernel's own, and only the kernel writes there"
        ),
        hint: Some("`--force` does it all the same".to_owned()),
        ..ErrorBody::default()
    })
}

/// A record as it is told.
#[derive(Debug, Serialize)]
struct Told<'a> {
    namespace: &'a str,
    key: &'a str,
    version: u64,
    value: &'a RawValue,
}

impl<'a> Told<'a> {
    fn of(namespace: &'a str, entry: &'a Entry) -> Result<Self, ErrorBody> {
        let value = serde_json::from_slice(&entry.record.value);
        Ok(Self {
            namespace,
            key: &entry.key,
            version: entry.record.version,
            value: value.map_err(|error| ErrorBody {
                kind: "internal".to_owned(),
                message: format!(
                    "the value of `{namespace}/{}` is no JSON: {error}",
                    entry.key
                ),
                hint: Some("restore the storage from a backup".to_owned()),
                ..ErrorBody::default()
            })?,
        })
    }
}

/// Some records, and the key that the next come behind.
#[derive(Debug, Serialize)]
struct Page<'a> {
    entries: Vec<Told<'a>>,
    next: Option<&'a str>,
}

/// What a storage is and holds.
#[derive(Debug, Serialize)]
struct Stats {
    adapter: &'static str,
    place: Option<String>,
    records: u64,
    bytes: u64,
    last_version: u64,
    file_bytes: Option<u64>,
    wal_bytes: Option<u64>,
    standby: Option<StandbyStatus>,
    namespaces: Vec<Namespace>,
}

#[derive(Debug, Serialize)]
struct Namespace {
    name: String,
    records: u64,
    bytes: u64,
    quota: Option<u64>,
    share: Option<f64>,
}

impl Namespace {
    fn of(name: &str, usage: Usage, quotas: &Quotas) -> Self {
        let quota = quotas.of(name).map(|quota| quota.bytes);
        let share = |quota| usage.bytes as f64 / quota as f64;
        Self {
            name: name.to_owned(),
            records: usage.records,
            bytes: usage.bytes,
            quota,
            share: quota.map(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use octa_kernel::storage::{Expect, Memory, Quota};

    use super::*;

    fn desk() -> Desk {
        let quotas = Quotas {
            each: Some(Quota { bytes: 20 }),
            ..Quotas::default()
        };
        Desk {
            storage: Storage::new(Memory::new()).with_quotas(quotas),
            kernel: None,
            config: StorageConfig {
                adapter: StorageKind::Memory,
                ..StorageConfig::default()
            },
            data: "/data".into(),
        }
    }

    async fn ask(desk: &Desk, request: Request) -> Result<String, String> {
        let answer = desk.answer(&request).await;
        let told = |ErrorBody { kind, message, .. }| format!("{kind}: {message}");
        answer.map(|data| data.get().to_owned()).map_err(told)
    }

    fn set(namespace: &str, key: &str, value: &str, expect: Expect, force: bool) -> Request {
        Request::Set {
            namespace: namespace.into(),
            key: key.into(),
            value: value.into(),
            expect,
            force,
        }
    }

    #[tokio::test]
    async fn values_pass_through_as_they_are() {
        let desk = desk();
        let value = "1234567890123.50";
        let written = ask(&desk, set("a", "k/1", value, Expect::Absent, false)).await;
        let expect = r#"{"key":"k/1","namespace":"a","version":1}"#;
        assert_eq!(written, Ok(expect.to_owned()));
        let get = Request::Get {
            namespace: "a".into(),
            key: "k/1".into(),
        };
        let record = r#"{"namespace":"a","key":"k/1","version":1,"value":1234567890123.50}"#;
        assert_eq!(ask(&desk, get).await, Ok(record.to_owned()));
        let list = Request::List {
            namespace: "a".into(),
            prefix: "k".into(),
            after: None,
            limit: Some(1),
        };
        let page = format!(r#"{{"entries":[{record}],"next":null}}"#);
        assert_eq!(ask(&desk, list).await, Ok(page));
        let stats = r#"{"adapter":"memory","place":null,"records":1,"bytes":19,"last_version":1,"file_bytes":null,"wal_bytes":null,"standby":null,"namespaces":[{"name":"a","records":1,"bytes":19,"quota":20,"share":0.95}]}"#;
        assert_eq!(ask(&desk, Request::Stats).await, Ok(stats.to_owned()));
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_by_its_kind() {
        let desk = desk();
        for (request, expect) in [
            (
                set("a", "", "1", Expect::Any, false),
                "invalid-input: a key in namespace `a` is empty, expected 1 to 512 bytes",
            ),
            (
                set("a", "k", "trux", Expect::Any, false),
                "invalid-input: the value for `a/k` is not JSON: expected ident at line 1 column 4",
            ),
            (
                set("a", "k", "1", Expect::Version(7), false),
                "conflict: `a/k` has no record, expected version 7",
            ),
            (
                set("a", "k", &"1".repeat(20), Expect::Any, false),
                "too-large: `a/k` would bring namespace `a` to 21 bytes, its quota is 20",
            ),
            (
                set("kernel.outbox", "k", "1", Expect::Any, false),
                "denied: namespace `kernel.outbox` is the kernel's own, and only the kernel \
                 writes there",
            ),
            (
                Request::Get {
                    namespace: "a".into(),
                    key: "k".into(),
                },
                "not-found: there is no record `a/k`",
            ),
            (
                Request::List {
                    namespace: "a".into(),
                    prefix: String::new(),
                    after: None,
                    limit: Some(1_001),
                },
                "too-large: the limit of a page has 1001 entries, expected 1 to 1000",
            ),
        ] {
            assert_eq!(ask(&desk, request).await, Err(expect.to_owned()));
        }
        let forced = set("kernel.outbox", "k", "1", Expect::Any, true);
        assert!(ask(&desk, forced).await.is_ok());
    }

    #[tokio::test]
    async fn a_deletion_tells_whether_there_was_one() {
        let desk = desk();
        let delete = || Request::Delete {
            namespace: "a".into(),
            key: "k".into(),
            expect: Expect::Any,
            force: false,
        };
        let told = |deleted| {
            Ok(format!(
                r#"{{"deleted":{deleted},"key":"k","namespace":"a"}}"#
            ))
        };
        assert_eq!(ask(&desk, delete()).await, told(false));
        let set = set("a", "k", "1", Expect::Any, false);
        assert!(ask(&desk, set).await.is_ok());
        assert_eq!(ask(&desk, delete()).await, told(true));
    }
}
