//! Wine out of Debian's packages, in a prefix of its own, without a screen.

use std::fs;
use std::io::{BufRead, BufReader, pipe};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use crate::tools::debian::Debian;
use crate::workspace::succeed;

/// A prefix whose server runs until this is dropped.
pub(super) struct Wine {
    wine: Utf8PathBuf,
    server: Utf8PathBuf,
    prefix: Utf8PathBuf,
}

impl Wine {
    /// Makes a new prefix.
    pub(super) fn start(debian: &Debian, prefix: &Utf8Path) -> Result<Self> {
        let programs = debian.root().join("usr/lib/wine");
        let (script, server) = (programs.join("wineserver"), programs.join("wineserver64"));
        // Wine runs what lies beside it, and Debian's script would look under `/usr`.
        fs::remove_file(&script)
            .and_then(|()| fs::hard_link(&server, &script))
            .with_context(|| format!("cannot replace `{script}`"))?;
        let wine = Self {
            wine: debian.wrapper("usr/lib/wine/wine64")?,
            server: debian.wrapper("usr/lib/wine/wineserver64")?,
            prefix: prefix.to_owned(),
        };
        wine.fill(debian)?;
        let mut boot = wine.command("wineboot.exe".into());
        succeed(boot.arg("--init").env("WINEDEBUG", "-all"))?;
        Ok(wine)
    }

    fn fill(&self, debian: &Debian) -> Result<()> {
        if self.prefix.exists() {
            fs::remove_dir_all(&self.prefix)
                .with_context(|| format!("cannot remove `{}`", self.prefix))?;
        }
        let system = self.prefix.join("drive_c/windows/system32");
        // Debian's Wine needs this one, and looks for it under `/usr`.
        let library = "zlib1.dll";
        let from = debian
            .root()
            .join("usr/x86_64-w64-mingw32/lib")
            .join(library);
        fs::create_dir_all(&system)
            .and_then(|()| fs::copy(&from, system.join(library)))
            .map(drop)
            .with_context(|| format!("cannot copy `{from}` into `{system}`"))
    }

    /// A command that runs a program of Windows, and tells which libraries come and go.
    pub(super) fn command(&self, program: &Utf8Path) -> Command {
        let mut command = self.at_home(&self.wine);
        command.arg(program);
        command
    }

    fn at_home(&self, program: &Utf8Path) -> Command {
        let mut command = Command::new(program);
        command.env("WINEPREFIX", &self.prefix);
        // It links the folders of its users to those of `HOME`.
        command.env("HOME", &self.prefix);
        command.env("WINEDEBUG", "-all,err+all,+loaddll");
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=");
        command.env_remove("DISPLAY");
        command
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        let ended = self.at_home(&self.server).arg("--kill").status();
        if let Err(error) = ended {
            eprintln!("warning: the server of `{}` runs on: {error}", self.prefix);
        }
    }
}

/// Runs a command and hands over each line that it prints, on whichever way.
pub(super) fn listen(mut command: Command, mut on_line: impl FnMut(&str)) -> Result<ExitStatus> {
    let (lines, printed) = pipe().context("cannot make a pipe")?;
    let errors = printed.try_clone().context("cannot make a pipe")?;
    let mut child = command
        .stdout(printed)
        .stderr(errors)
        .spawn()
        .context("cannot run Wine")?;
    // The ends of the pipe that are its own.
    drop(command);
    for line in BufReader::new(lines).lines() {
        on_line(line.context("cannot read what is printed")?.trim_end());
    }
    child.wait().context("cannot wait for Wine")
}
