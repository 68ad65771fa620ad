//! Saves what can still be read of a damaged database file, and tells what cannot.

use std::fmt::Write as _;
use std::path::PathBuf;

use octa_kernel::storage::{self, OpenError, SalvageError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::copies::unless_interrupted;
use super::open::Found;
use super::progress::Bar;
use super::{desk, local};
use crate::answer::{Answer, raw};
use crate::args;
use crate::failure::{Explain, Failure};
use crate::show;

/// How much of what was lost is shown; with `--json` all of it.
const SHOWN: usize = 20;

/// What was saved, for an answer.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    path: String,
    records: u64,
    bytes: u64,
    last_version: u64,
    digest: String,
    lost: Vec<String>,
    lost_more: u64,
    unread_bytes: u64,
    /// Nothing if it cannot be told.
    missing: Option<Vec<Missing>>,
    is_version_known: bool,
    aside: Option<PathBuf>,
}

/// A namespace that was not saved whole.
#[derive(Debug, Serialize, Deserialize)]
struct Missing {
    namespace: String,
    saved: u64,
    saved_bytes: u64,
    of: u64,
    of_bytes: u64,
}

/// The configured storage is no file.
#[derive(Debug, Error)]
#[error("the storage is in no SQLite file, expected the name of one")]
struct NoFileError;

impl Explain for NoFileError {
    fn kind(&self) -> &'static str {
        "invalid-input"
    }

    fn hint(&self) -> Option<String> {
        Some("name the damaged file: `octa storage salvage FILE --to NEW`".to_owned())
    }
}

impl Explain for SalvageError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Same { .. } => "invalid-input",
            Self::File(error) => error.kind(),
            Self::Unreadable {
                source: OpenError::InUse { .. },
                ..
            } => "already-running",
            Self::Unreadable { .. } | Self::Nothing { .. } => "rejected",
            _ => "unavailable",
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

pub(super) async fn salvage(
    typed: &args::Salvage,
    find: impl FnOnce() -> Result<Found, Failure>,
) -> Result<Answer, Failure> {
    let file = match &typed.file {
        Some(file) => file.clone(),
        None => find()?.idle()?.file().ok_or(NoFileError)?,
    };
    let mut bar = Bar::new();
    let saved = storage::salvage(&file, &typed.to, typed.force, |at| {
        bar.show(&at.into());
    });
    let saved = unless_interrupted(saved).await?;
    drop(bar);
    let told = saved.map_err(desk::told).and_then(|saved| {
        raw(&Saved {
            path: typed.to.display().to_string(),
            records: saved.contents.records,
            bytes: saved.contents.bytes,
            last_version: saved.contents.last_version,
            digest: saved.contents.digest,
            lost: saved.lost.iter().map(ToString::to_string).collect(),
            lost_more: saved.lost_more,
            unread_bytes: saved.unread,
            missing: saved
                .missing
                .map(|all| all.iter().map(Missing::from).collect()),
            is_version_known: saved.is_version_known,
            aside: saved.aside,
        })
    });
    Ok(local(told))
}

impl From<&storage::Missing> for Missing {
    fn from(missing: &storage::Missing) -> Self {
        Self {
            namespace: missing.namespace.to_string(),
            saved: missing.saved.records,
            saved_bytes: missing.saved.bytes,
            of: missing.of.records,
            of_bytes: missing.of.bytes,
        }
    }
}

pub(super) fn text(data: &str) -> Result<String, serde_json::Error> {
    let saved: Saved = serde_json::from_str(data)?;
    let (path, records, size) = (
        &saved.path,
        show::records(saved.records),
        show::size(saved.bytes),
    );
    let version = saved.last_version;
    let mut text = format!("saved into `{path}`: {records}, {size}, up to version {version}");
    if saved.unread_bytes > 0 {
        let size = show::size(saved.unread_bytes);
        _ = write!(text, "\n{size} of the file could not be read from its disk");
    }
    for lost in saved.lost.iter().take(SHOWN) {
        _ = write!(text, "\nlost: {lost}");
    }
    let more = saved.lost.len().saturating_sub(SHOWN) as u64 + saved.lost_more;
    if more > 0 {
        _ = write!(text, "\n... and {more} places more (`--json` shows 10,000)");
    }
    for missing in saved.missing.iter().flatten() {
        let Missing {
            namespace,
            saved,
            saved_bytes,
            of,
            of_bytes,
        } = missing;
        _ = match saved == of {
            true => write!(
                text,
                "\n`{namespace}`: {saved_bytes} of {of_bytes} bytes: some records are as they were before"
            ),
            false => write!(text, "\n`{namespace}`: {saved} of {of} records"),
        };
    }
    match &saved.missing {
        None => text.push_str("\nhow much there was cannot be told"),
        Some(missing) if missing.is_empty() && saved.lost.is_empty() => {
            text.push_str("\nnothing is lost");
        }
        Some(_) => {}
    }
    if !saved.is_version_known {
        text.push_str(
            "\nversions above the last one may have been given: the next writes take them again",
        );
    }
    if let Some(aside) = &saved.aside {
        _ = write!(
            text,
            "\nwhat was there before is kept as `{}`",
            aside.display()
        );
    }
    _ = write!(
        text,
        "\nto go on with it: `octa storage restore {path} --force`, with the `--data` and `--config` of the storage; \
         the damaged file is kept"
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_and_lost_is_told() {
        let whole = r#"{"path": "/s.db", "records": 2, "bytes": 10, "last_version": 7,
            "digest": "d", "lost": [], "lost_more": 0, "unread_bytes": 0, "missing": [],
            "is_version_known": true, "aside": null}"#;
        let expect = "saved into `/s.db`: 2 records, 10 bytes, up to version 7\nnothing is lost\n\
            to go on with it: `octa storage restore /s.db --force`, with the `--data` and `--config` \
            of the storage; the damaged file is kept";
        assert_eq!(text(whole).expect("an answer"), expect);
        let lost = whole.replace(r#""lost": []"#, r#""lost": ["record `a/k`: no"]"#);
        let missing = r#""missing": [{"namespace": "a", "saved": 2, "saved_bytes": 9, "of": 3, "of_bytes": 10},
            {"namespace": "b", "saved": 2, "saved_bytes": 9, "of": 2, "of_bytes": 10}]"#;
        let lost = lost.replace(r#""missing": []"#, missing);
        let found = text(&lost).expect("an answer");
        assert!(
            found.contains(
                "\nlost: record `a/k`: no\n`a`: 2 of 3 records\n`b`: 9 of 10 bytes: some"
            ),
            "{found}"
        );
    }
}
