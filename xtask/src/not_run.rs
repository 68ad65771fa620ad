//! The list of tests that this machine could not run.
//! A test that lacks something appends a line to the file named by `OCTA_NOT_RUN`: `what (install …)`.
//! What to do about them is decided by `suite`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use anyhow::{Context, Result};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

/// The variable that tells tests where to append.
pub(crate) const VARIABLE: &str = "OCTA_NOT_RUN";

/// The file that tests append to.
pub(crate) struct NotRun {
    path: Utf8PathBuf,
}

impl NotRun {
    /// Starts an empty list at `path`.
    pub(crate) fn create(path: Utf8PathBuf) -> Result<Self> {
        fs::write(&path, "").with_context(|| format!("cannot create `{path}`"))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Utf8Path {
        &self.path
    }

    pub(crate) fn add(&self, line: &str) -> Result<()> {
        let file = fs::OpenOptions::new().append(true).open(&self.path);
        file.and_then(|mut file| writeln!(file, "{line}"))
            .with_context(|| format!("cannot append to `{}`", self.path))
    }

    /// Each line once: several tests may lack the same thing.
    pub(crate) fn lines(&self) -> Result<BTreeSet<String>> {
        let text = fs::read_to_string(&self.path);
        let text = text.with_context(|| format!("cannot read `{}`", self.path))?;
        Ok(text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_once_and_an_old_list_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path())
            .unwrap()
            .join("not-run.txt");
        NotRun::create(path.clone())
            .unwrap()
            .add("of an earlier run")
            .unwrap();
        let not_run = NotRun::create(path).unwrap();
        for line in ["b (install b)", "a (install a)", "", "b (install b)"] {
            not_run.add(line).unwrap();
        }
        assert_eq!(
            not_run.lines().unwrap().into_iter().collect::<Vec<_>>(),
            ["a (install a)", "b (install b)"]
        );
    }
}
