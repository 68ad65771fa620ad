//! What `octa storage` does, with a kernel running and with none.

mod copies;
mod salvage;
mod values;

use std::{fs, path::Path, process::Command};

use octa_kernel::storage::{Batch, Expect, Sqlite, StorageAdapter as _};
use serde_json::{Value, json};

use crate::{
    fixtures,
    home::{Home, run},
    program::{Outcome, Serving, command, octa},
};

/// A storage as the program reaches it.
trait Reached {
    fn home(&self) -> &Home;

    /// What is typed to name it.
    fn named(&self) -> Vec<String> {
        Vec::new()
    }

    fn octa(&self, arguments: &[&str]) -> Outcome {
        let named = self.named();
        let named = named.iter().map(String::as_str);
        let all = ["storage"].into_iter().chain(arguments.iter().copied());
        let all: Vec<&str> = all.chain(named).collect();
        octa(self.home(), &all)
    }

    /// Checks a command: how it ends, and what it prints or tells.
    #[track_caller]
    fn check(&self, arguments: &[&str], code: i32, expect: &str) {
        let Outcome {
            code: found,
            stdout,
            stderr,
        } = self.octa(arguments);
        assert_eq!(
            (found, format!("{stdout}{stderr}").as_str()),
            (code, expect),
            "octa storage {arguments:?}"
        );
    }

    /// The data of an answer in JSON.
    #[track_caller]
    fn answer(&self, arguments: &[&str]) -> Value {
        let done = self.octa(&[arguments, &["--json"]].concat());
        let answer: Value = serde_json::from_str(&done.stdout).expect("an envelope");
        assert!(answer["ok"] == true, "{answer}");
        answer["data"].clone()
    }
}

impl Reached for Serving {
    fn home(&self) -> &Home {
        &self.home
    }
}

/// By this program, from its data directory.
impl Reached for Home {
    fn home(&self) -> &Home {
        self
    }

    fn named(&self) -> Vec<String> {
        vec!["--data".to_owned(), self.data().display().to_string()]
    }
}

/// Makes a database with so many records of one namespace, written ten at a time.
async fn fill(path: &Path, namespace: &str, records: usize) {
    let sqlite = Sqlite::open(path).expect("a database");
    for first in (0..records).step_by(10) {
        let mut batch = Batch::new();
        for at in first..records.min(first + 10) {
            let (key, value) = (format!("k/{at:05}"), format!("{{\"at\":{at}}}"));
            let put = batch.put(namespace, &key, Expect::Any, value.into_bytes());
            put.expect("a valid write");
        }
        sqlite.apply(batch).await.expect("it is written");
    }
    sqlite.close().await.expect("it closes");
}

fn database(home: &Home) -> std::path::PathBuf {
    home.data().join("octa.db")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The same with the configuration that names the storage.
fn with<'a>(action: &[&'a str], config: &'a str) -> Vec<&'a str> {
    let named = ["--config", config];
    action.iter().copied().chain(named).collect()
}
