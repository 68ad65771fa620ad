//! What is told of a storage, as people read it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::show;

/// A record.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    key: String,
    version: u64,
    value: Box<RawValue>,
}

/// Some records, and where the next come behind.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) entries: Vec<Box<RawValue>>,
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Written {
    namespace: String,
    key: String,
    version: u64,
}

#[derive(Debug, Deserialize)]
struct Deleted {
    namespace: String,
    key: String,
    deleted: bool,
}

#[derive(Debug, Deserialize)]
struct Copied {
    path: String,
    records: u64,
    bytes: u64,
    last_version: u64,
    #[serde(default)]
    aside: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Stats {
    adapter: String,
    place: Option<String>,
    records: u64,
    bytes: u64,
    last_version: u64,
    file_bytes: Option<u64>,
    wal_bytes: Option<u64>,
    namespaces: Vec<Namespace>,
    standby: Option<Standby>,
}

#[derive(Debug, Deserialize)]
struct Standby {
    path: String,
    state: String,
    since: u64,
    version: Option<u64>,
    behind: Option<u64>,
    behind_ms: Option<u64>,
    copied: Option<Part>,
    problem: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Part {
    done: u64,
    of: u64,
}

#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
    hint: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Namespace {
    name: String,
    records: u64,
    bytes: u64,
    quota: Option<u64>,
    share: Option<f64>,
}

type Text = Result<String, serde_json::Error>;

/// What is said of a list in which nothing is.
pub(super) fn none(namespace: &str, prefix: &str) -> String {
    match prefix {
        "" => format!(
            "there is no record in `{namespace}`; `octa storage stats` shows the namespaces there are"
        ),
        _ => format!("no record of `{namespace}` has a key that starts with `{prefix}`"),
    }
}

/// A value, and its version if that is asked for.
pub(super) fn value(data: &str, with_version: bool) -> Text {
    let Record { version, value, .. } = serde_json::from_str(data)?;
    Ok(match with_version {
        true => format!(r#"{{"version":{version},"value":{value}}}"#),
        false => value.get().to_owned(),
    })
}

/// A line of a list.
pub(super) fn line(record: &str, width: Option<usize>) -> Text {
    let record: Record = serde_json::from_str(record)?;
    let Record {
        key,
        version,
        value,
    } = record;
    let text = format!("{key}  {version}  {value}");
    Ok(show::fit(&show::one_line(&text), width).into_owned())
}

pub(super) fn written(data: &str) -> Text {
    let Written {
        namespace,
        key,
        version,
    } = serde_json::from_str(data)?;
    Ok(format!("`{namespace}/{key}` has version {version}"))
}

pub(super) fn deleted(data: &str) -> Text {
    let Deleted {
        namespace,
        key,
        deleted,
    } = serde_json::from_str(data)?;
    Ok(match deleted {
        true => format!("`{namespace}/{key}` is deleted"),
        false => format!("there was no `{namespace}/{key}`"),
    })
}

/// What was copied; `what` says where from or to.
pub(super) fn copied(data: &str, what: &str) -> Text {
    let Copied {
        path,
        records,
        bytes,
        last_version,
        aside,
    } = serde_json::from_str(data)?;
    let (records, bytes) = (show::records(records), show::size(bytes));
    let aside = aside.iter();
    let aside = aside.map(|aside| format!("\nwhat was there before is kept as `{aside}`"));
    Ok(format!(
        "{what} `{path}`: {records}, {bytes}, up to version {last_version}; compared{}",
        aside.collect::<String>()
    ))
}

pub(super) fn stats(data: &str, width: Option<usize>) -> Text {
    let stats: Stats = serde_json::from_str(data)?;
    let place = stats.place.map(|place| format!(" at `{place}`"));
    let mut text = format!(
        "{}{}\n{}, {}, last version {}",
        stats.adapter,
        place.unwrap_or_default(),
        show::records(stats.records),
        show::size(stats.bytes),
        stats.last_version
    );
    if let Some(file) = stats.file_bytes {
        let log = show::size(stats.wal_bytes.unwrap_or(0));
        text += &format!("\nfile {}, log {log}", show::size(file));
    }
    if let Some(standby) = stats.standby {
        text += &format!("\n{}", self::standby(&standby));
    }
    let row = |it: &Namespace| {
        let share = it.share.map(|share| format!("{:.1} %", share * 100.0));
        [
            it.name.clone(),
            it.records.to_string(),
            show::size(it.bytes),
            it.quota.map_or("-".to_owned(), show::size),
            share.unwrap_or("-".to_owned()),
        ]
    };
    let rows: Vec<_> = stats.namespaces.iter().map(row).collect();
    if !rows.is_empty() {
        let heading = ["NAMESPACE", "RECORDS", "SIZE", "QUOTA", "USED"];
        text += &format!("\n\n{}", show::table(heading, &rows, width));
    }
    Ok(text)
}

/// How a standby is, and how far behind.
fn standby(standby: &Standby) -> String {
    let mut text = format!("standby `{}` ", standby.path);
    let since = show::moment(standby.since);
    text += &match (&standby.problem, &standby.copied) {
        (Some(problem), _) if standby.state == "idle" => format!("rests: {}", problem.message),
        (None, _) if standby.state == "idle" => "rests, as no kernel runs".to_owned(),
        (Some(problem), _) => format!("fails since {since}: {}", problem.message),
        (None, Some(Part { done, of })) => format!("is copied, {done} of {}", show::records(*of)),
        (None, None) if standby.state == "following" => "follows".to_owned(),
        (None, None) => "is looked at".to_owned(),
    };
    text += &match (standby.version, standby.behind, standby.behind_ms) {
        (None, ..) if standby.state == "idle" => String::new(),
        (None, ..) => "; it is not whole yet".to_owned(),
        (Some(version), Some(0), _) => format!("; it has everything, up to version {version}"),
        (Some(version), behind, time) => {
            let behind = behind.map(|behind| {
                let behind = usize::try_from(behind).unwrap_or(usize::MAX);
                format!(", {} behind", show::count(behind, "change"))
            });
            let time =
                time.map(|time| format!(", {} behind", show::took(Duration::from_millis(time))));
            let [behind, time] = [behind, time].map(Option::unwrap_or_default);
            format!("; it has everything up to version {version}{behind}{time}")
        }
    };
    let hint = standby
        .problem
        .as_ref()
        .and_then(|problem| problem.hint.as_ref());
    text + &hint.map_or(String::new(), |hint| format!("\nhint: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: Text, expect: &str) {
        assert_eq!(text.expect("an answer"), expect);
    }

    #[test]
    fn a_value_is_shown_as_it_was_written() {
        let record = r#"{"namespace":"a","key":"k","version":7,"value":{"on": 1.50}}"#;
        check(value(record, false), r#"{"on": 1.50}"#);
        check(value(record, true), r#"{"version":7,"value":{"on": 1.50}}"#);
        check(line(record, None), r#"k  7  {"on": 1.50}"#);
        check(line(record, Some(8)), "k  7  {…");
    }

    #[test]
    fn what_was_done_is_told() {
        check(
            written(r#"{"namespace":"a","key":"k","version":7}"#),
            "`a/k` has version 7",
        );
        let told = |is| deleted(&format!(r#"{{"namespace":"a","key":"k","deleted":{is}}}"#));
        check(told(true), "`a/k` is deleted");
        check(told(false), "there was no `a/k`");
        let copy = r#"{"path":"/b.db","records":1,"bytes":1536,"last_version":9,"digest":"00"}"#;
        check(
            copied(copy, "backed up into"),
            "backed up into `/b.db`: 1 record, 1.5 KiB, up to version 9; compared",
        );
        let copy = copy.replace('}', r#","aside":["/a.db.replaced-1"]}"#);
        check(
            copied(&copy, "restored"),
            "restored `/b.db`: 1 record, 1.5 KiB, up to version 9; compared\n\
             what was there before is kept as `/a.db.replaced-1`",
        );
    }

    #[test]
    fn a_standby_is_shown_with_how_far_it_is() {
        let check = |rest: &str, expect: &str| {
            let status = format!(r#"{{"path":"/b.db","since":0,{rest}}}"#);
            let status = serde_json::from_str(&status).expect("a status");
            assert_eq!(standby(&status), expect);
        };
        check(
            r#""state":"following","version":7,"behind":0,"behind_ms":0"#,
            "standby `/b.db` follows; it has everything, up to version 7",
        );
        check(
            r#""state":"following","version":7,"behind":2,"behind_ms":1200"#,
            "standby `/b.db` follows; it has everything up to version 7, 2 changes behind, 1.2 s behind",
        );
        check(
            r#""state":"idle","version":7,"behind":1"#,
            "standby `/b.db` rests, as no kernel runs; it has everything up to version 7, 1 change behind",
        );
        check(
            r#""state":"copying","copied":{"done":5,"of":9}"#,
            "standby `/b.db` is copied, 5 of 9 records; it is not whole yet",
        );
    }

    #[test]
    fn stats_are_shown_with_what_is_allowed() {
        let answer = r#"{"adapter":"sqlite","place":"/data/octa.db","records":1234,
            "bytes":5242880,"last_version":99,"file_bytes":6291456,"wal_bytes":null,
            "namespaces":[{"name":"history","records":1230,"bytes":5000000,
            "quota":10737418240,"share":0.000465},{"name":"kernel.outbox","records":4,
            "bytes":242880,"quota":null,"share":null}]}"#;
        check(
            stats(answer, None),
            "\
sqlite at `/data/octa.db`
1234 records, 5.0 MiB, last version 99
file 6.0 MiB, log 0 bytes

NAMESPACE      RECORDS  SIZE       QUOTA     USED
history        1230     4.8 MiB    10.0 GiB  0.0 %
kernel.outbox  4        237.2 KiB  -         -",
        );
        let empty = r#"{"adapter":"memory","place":null,"records":0,"bytes":0,"last_version":0,
            "file_bytes":null,"wal_bytes":null,"namespaces":[]}"#;
        check(
            stats(empty, None),
            "memory\n0 records, 0 bytes, last version 0",
        );
    }
}
