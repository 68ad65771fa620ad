//! Every format there ever was can be read: a file of each is kept.

use super::*;

use super::super::format::FORMAT;

/// A copy of the kept file of a format: nothing may change that one.
fn fixture(directory: &TempDir, format: u32) -> PathBuf {
    let path = directory.path().join("db");
    fs::copy(kept(format), &path).expect("copies");
    path
}

fn kept(format: u32) -> PathBuf {
    let name = format!("src/storage/sqlite/fixtures/format-{format}.db");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What each of them holds, by keys: a deleted record and one written twice are among its past.
fn expected() -> Vec<(String, String, u64, String)> {
    let mut all = Vec::new();
    let mut add = |namespace: &str, key: &str, version, value: String| {
        all.push((namespace.to_owned(), key.to_owned(), version, value));
    };
    add(
        "devices",
        "Küche/ünï \u{10FFFF} '%_",
        21,
        "\"é\"".to_owned(),
    );
    for lamp in 0..20 {
        let value = format!("{{\"on\":{}}}", lamp % 2 == 0);
        add("devices", &format!("lamp_{lamp:02}"), lamp + 1, value);
    }
    add("history", "twice", 24, "2".to_owned());
    add(
        "history.long",
        "large",
        22,
        format!("\"{}\"", "x".repeat(9_998)),
    );
    all
}

/// The last one, given to a deletion.
const LAST_VERSION: u64 = 26;

async fn assert_holds_all(sqlite: &Sqlite) {
    let mut snapshot = sqlite.snapshot().await.expect("a snapshot");
    assert_eq!(snapshot.last_version(), LAST_VERSION);
    let mut found = Vec::new();
    loop {
        let page = snapshot.next().await.expect("a read");
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|change| {
            let value = change.value.as_deref().map(String::from_utf8_lossy);
            let value = value.unwrap_or_default().into_owned();
            let (namespace, key) = (change.namespace.to_string(), change.key.to_string());
            (namespace, key, change.version, value)
        }));
    }
    assert_eq!(found, expected());
    let usage = sqlite.usage().await.expect("counts");
    let usage: Vec<_> = usage
        .iter()
        .map(|(name, usage)| (&**name, usage.records, usage.bytes))
        .collect();
    let expected = [
        ("devices", 21, 20 * 7 + 10 * 11 + 10 * 12 + 25),
        ("history", 1, 6),
        ("history.long", 1, 10_005),
    ];
    assert_eq!(usage, expected);
}

#[tokio::test]
async fn a_file_of_each_format_is_read_whole() {
    for format in 1..=FORMAT {
        let directory = directory();
        let path = fixture(&directory, format);
        let header = Sqlite::header(&path).expect("reads").expect("is there");
        assert_eq!((header.format, header.last_version), (format, LAST_VERSION));
        for _before_and_after in 0..2 {
            let sqlite = open(&path);
            assert_holds_all(&sqlite).await;
            sqlite.close().await.expect("closes");
            let header = Sqlite::header(&path).expect("reads").expect("is there");
            assert_eq!((header.format, header.last_version), (FORMAT, LAST_VERSION));
            assert_eq!(header.id.len(), 32, "an identity of its own");
        }
    }
}

#[tokio::test]
async fn versions_go_on_where_an_older_format_left_them() {
    let directory = directory();
    let storage = Storage::new(open(fixture(&directory, 1)));
    let version = storage.set("devices", "lamp_00", b"1".to_vec()).await;
    assert_eq!(version.expect("writes"), LAST_VERSION + 1);
}

/// Makes the kept file of the present format anew; those of older ones cannot be made any more.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the one switch of this test")]
async fn the_present_format_is_kept() {
    if std::env::var_os("OCTA_BLESS").is_some() {
        let directory = directory();
        let sqlite = open(fixture(&directory, 1));
        sqlite.close().await.expect("closes");
        fs::copy(directory.path().join("db"), kept(FORMAT)).expect("the source folder is writable");
    }
    assert!(kept(FORMAT).is_file(), "no file of the present format");
}
