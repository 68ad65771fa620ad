//! Makes the standby of a storage its primary; no kernel may run on either.

use std::path::Path;

use octa_kernel::config::StorageKind;
use octa_kernel::storage::standby::{Former, Lost, Takeover, TakeoverError, take_over};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::local;
use super::open::Configured;
use crate::answer::{Answer, raw};
use crate::failure::{Explain, Failure};
use crate::show;

/// The storage is none that has a standby.
#[derive(Debug, Error)]
#[error("the storage is kept by `{adapter}`, expected `sqlite`, which alone has a standby")]
struct AdapterError {
    adapter: &'static str,
}

impl Explain for AdapterError {
    fn kind(&self) -> &'static str {
        "unsupported"
    }

    fn hint(&self) -> Option<String> {
        Some(
            "name the configuration that has the standby with `--config`; a PostgreSQL server has standbys of its own"
                .to_owned(),
        )
    }
}

impl Explain for TakeoverError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Lives { .. } => "already-running",
            Self::NoStandby { .. } => "not-found",
            Self::NotConfigured { .. } => "invalid-input",
            Self::NotWhole { .. } | Self::Old { .. } => "rejected",
            _ => "unavailable",
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

/// What became of a takeover.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// The primary from now on.
    primary: String,
    version: u64,
    was_primary: bool,
    /// How many changes are lost, where that is known.
    lost: Option<u64>,
    /// How many were missing when the former primary was last seen, where that is all that is known.
    seen: Option<Seen>,
    former: Option<Place>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    missing: u64,
    /// In nanoseconds since 1970.
    at: u64,
}

/// Where a former primary was, and is or why it is still there.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    from: String,
    to: Option<String>,
    problem: Option<String>,
}

impl Told {
    fn of(done: &Takeover) -> Self {
        let (lost, seen) = match done.lost {
            Lost::Changes(lost) => (Some(lost), None),
            Lost::Unknown { seen } => (None, seen),
            _ => (None, None),
        };
        let text = |path: &Path| path.display().to_string();
        Self {
            primary: text(&done.primary),
            version: done.version,
            was_primary: done.was_primary,
            lost,
            seen: seen.map(|(missing, at)| Seen {
                missing,
                at: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
            }),
            former: match &done.former {
                Former::SetAside { from, to } => Some(Place {
                    from: text(from),
                    to: Some(text(to)),
                    problem: None,
                }),
                Former::Stays { path, problem } => Some(Place {
                    from: text(path),
                    to: None,
                    problem: Some(problem.clone()),
                }),
                _ => None,
            },
        }
    }
}

/// Takes over.
pub(super) async fn takeover(configured: Configured) -> Result<Answer, Failure> {
    let Configured { config, data, .. } = configured;
    if config.adapter != StorageKind::Sqlite {
        let adapter = config.adapter.name();
        return Err(AdapterError { adapter }.into());
    }
    let standby = config.standby.map(|standby| data.join(standby));
    let done = take_over(&data.join(config.path), standby.as_deref()).await?;
    Ok(local(raw(&Told::of(&done))))
}

/// What it did, as people read it.
pub(super) fn text(data: &str) -> Result<String, serde_json::Error> {
    let told: Told = serde_json::from_str(data)?;
    let (primary, version) = (&told.primary, told.version);
    let mut text = match told.was_primary {
        true => format!("`{primary}` is the primary already, up to version {version}"),
        false => format!("`{primary}` is the primary now, up to version {version}"),
    };
    if !told.was_primary {
        text += &lost(told.lost, told.seen);
    }
    if let Some(Place { from, to, problem }) = told.former {
        text += &match (to, problem) {
            (Some(to), _) => format!("\nthe former primary `{from}` is kept as `{to}`"),
            (None, problem) => format!(
                "\nthe former primary stays at `{from}` until a kernel can set it aside: {}",
                problem.unwrap_or_default()
            ),
        };
    }
    Ok(
        text + "\n`octa run` goes on with it, and makes a new standby in the place of the former primary"
    )
}

fn lost(lost: Option<u64>, seen: Option<Seen>) -> String {
    let changes = |number| show::count(usize::try_from(number).unwrap_or(usize::MAX), "change");
    match (lost, seen) {
        (Some(0), _) => {
            "\nnothing is lost: it has everything that the former primary has".to_owned()
        }
        (Some(lost), _) => format!(
            "\nthe last {} of the former primary {} not in it",
            changes(lost),
            if lost == 1 { "is" } else { "are" }
        ),
        (None, Some(Seen { missing: 0, at })) => format!(
            "\nit had everything at {}; what was written later is lost",
            show::moment(at)
        ),
        (None, Some(Seen { missing, at })) => format!(
            "\n{} were missing at {}; they are lost, and what was written later",
            changes(missing),
            show::moment(at)
        ),
        (None, None) => {
            "\nthe former primary cannot be asked: what it had written last may be lost".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expect: &str) {
        let end = "\n`octa run` goes on with it, and makes a new standby in the place of the former primary";
        assert_eq!(text(answer).expect("an answer"), format!("{expect}{end}"));
    }

    #[test]
    fn what_is_lost_is_said() {
        check(
            r#"{"primary":"/b","version":7,"was_primary":false,"lost":0,"seen":null,
                "former":{"from":"/a","to":"/a.former-0","problem":null}}"#,
            "`/b` is the primary now, up to version 7\n\
             nothing is lost: it has everything that the former primary has\n\
             the former primary `/a` is kept as `/a.former-0`",
        );
        check(
            r#"{"primary":"/b","version":7,"was_primary":false,"lost":1,"seen":null,
                "former":{"from":"/a","to":null,"problem":"on strike"}}"#,
            "`/b` is the primary now, up to version 7\n\
             the last 1 change of the former primary is not in it\n\
             the former primary stays at `/a` until a kernel can set it aside: on strike",
        );
        check(
            r#"{"primary":"/b","version":7,"was_primary":false,"lost":null,"seen":null,"former":null}"#,
            "`/b` is the primary now, up to version 7\n\
             the former primary cannot be asked: what it had written last may be lost",
        );
        check(
            r#"{"primary":"/b","version":7,"was_primary":true,"lost":0,"seen":null,"former":null}"#,
            "`/b` is the primary already, up to version 7",
        );
    }
}
