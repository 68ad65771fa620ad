//! Debian packages without root: fetched with apt-get, unpacked with dpkg under `target/tools`.
//! Nothing outside of it is written: apt gets lists and a cache of its own, which are also fresher than the machine's.

use std::fs;
use std::io;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use crate::workspace::{Workspace, capture, succeed};

/// Read by apt-get after the machine's own configuration; the directories are added by `Debian::apt`.
const CONFIGURATION: &str = r#"
// Root would fetch as `_apt`, who may not write here.
APT::Sandbox::User "root";
APT::Get::Show-User-Simulation-Note "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::http::Timeout "20";
Acquire::Retries "2";
// Hooks of the machine that work on its own cache.
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"#;

/// A folder of unpacked packages.
pub(crate) struct Debian {
    pub(crate) home: Utf8PathBuf,
}

impl Debian {
    pub(crate) fn new(workspace: &Workspace) -> Self {
        Self {
            home: workspace.target().join("tools/debian"),
        }
    }

    /// Where the packages' own `/` is.
    pub(crate) fn root(&self) -> Utf8PathBuf {
        self.home.join("root")
    }

    /// Whether `package` was unpacked whole.
    pub(crate) fn has(&self, package: &str) -> bool {
        self.stamp(package).exists()
    }

    /// Fetches and unpacks `package` with what it depends on and the machine lacks, unless it is there already.
    pub(crate) fn need(&self, package: &str) -> Result<()> {
        if self.has(package) {
            return Ok(());
        }
        eprintln!("fetching Debian's `{package}` into `{}`", self.home);
        self.fetch(package)
            .with_context(|| format!("cannot fetch Debian's `{package}`"))
    }

    /// A script that runs an unpacked program, such as `usr/bin/rustc`, with the unpacked libraries.
    /// It finds them from its own place, so the checkout can be moved.
    pub(crate) fn wrapper(&self, program: &str) -> Result<Utf8PathBuf> {
        let name = Utf8Path::new(program).file_name().unwrap_or(program);
        let path = self.home.join("bin").join(name);
        let text = format!(
            "#!/bin/sh\n\
             root=$(CDPATH= cd -- \"$(dirname -- \"$0\")/../root\" && pwd) || exit\n\
             LD_LIBRARY_PATH={}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\n\
             export LD_LIBRARY_PATH\n\
             exec \"$root/{program}\" \"$@\"\n",
            self.library_path()?
        );
        // Cargo builds everything anew when the compiler's file changes.
        if fs::read_to_string(&path).is_ok_and(|written| written == text) {
            return Ok(path);
        }
        fs::create_dir_all(self.home.join("bin"))
            .and_then(|()| fs::write(&path, text))
            .and_then(|()| make_executable(&path))
            .with_context(|| format!("cannot write `{path}`"))?;
        Ok(path)
    }

    /// The unpacked folders of libraries, as the shell will see them.
    fn library_path(&self) -> Result<String> {
        let mut folders = Vec::new();
        for parent in ["usr/lib", "lib"] {
            let path = self.root().join(parent);
            if !path.exists() {
                continue;
            }
            for entry in path
                .read_dir_utf8()
                .with_context(|| format!("cannot read `{path}`"))?
            {
                folders.push(format!("$root/{parent}/{}", entry?.file_name()));
            }
        }
        folders.retain(|folder| folder.contains("-linux-"));
        folders.sort();
        Ok(folders.join(":"))
    }

    fn fetch(&self, package: &str) -> Result<()> {
        self.prepare()?;
        self.refresh()?;
        let packages = self.closure(package)?;
        self.unpack(&packages)?;
        let stamp = self.stamp(package);
        fs::write(&stamp, packages.join("\n")).with_context(|| format!("cannot write `{stamp}`"))
    }

    fn prepare(&self) -> Result<()> {
        let packages = self.home.join("packages");
        if packages.exists() {
            // Packages of an interrupted run may be of another version than today's.
            fs::remove_dir_all(&packages).with_context(|| format!("cannot empty `{packages}`"))?;
        }
        for folder in [
            "lists/partial",
            "cache/archives/partial",
            "packages",
            "root",
            "unpacked",
        ] {
            let folder = self.home.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("cannot create `{folder}`"))?;
        }
        let path = self.configuration();
        fs::write(&path, CONFIGURATION).with_context(|| format!("cannot write `{path}`"))
    }

    /// One source that cannot be reached does not matter if another has the package.
    fn refresh(&self) -> Result<()> {
        let status = self
            .apt("update")
            .stdout(io::stderr())
            .status()
            .context("cannot run `apt-get`")?;
        if !status.success() {
            eprintln!("warning: `apt-get update` failed: {status}");
        }
        Ok(())
    }

    /// What apt would install here for `package`, and the package itself.
    fn closure(&self, package: &str) -> Result<Vec<String>> {
        let mut simulation = self.apt("install");
        simulation.args(["--simulate", "--yes", "--no-install-recommends", package]);
        let printed = capture(&mut simulation)?;
        let mut packages = new_packages(&printed);
        if !packages.iter().any(|name| name == package) {
            packages.push(package.to_owned());
        }
        Ok(packages)
    }

    fn unpack(&self, packages: &[String]) -> Result<()> {
        let folder = self.home.join("packages");
        succeed(self.apt("download").args(packages).stdout(io::stderr()))?;
        let files = folder
            .read_dir_utf8()
            .with_context(|| format!("cannot read `{folder}`"))?;
        let files = files
            .map(|entry| Ok(entry?.into_path()))
            .collect::<Result<Vec<_>>>()?;
        let files: Vec<_> = files
            .iter()
            .filter(|path| path.extension() == Some("deb"))
            .collect();
        ensure!(!files.is_empty(), "apt-get put no package into `{folder}`");
        for file in files {
            eprintln!("unpacking {}", file.file_name().unwrap_or_default());
            succeed(Command::new("dpkg").arg("-x").arg(file).arg(self.root()))?;
            fs::remove_file(file).with_context(|| format!("cannot remove `{file}`"))?;
        }
        Ok(())
    }

    fn apt(&self, subcommand: &str) -> Command {
        let mut apt = Command::new("apt-get");
        // `apt-get download` writes where it stands.
        apt.current_dir(self.home.join("packages"));
        // Its output is read.
        apt.env("LC_ALL", "C");
        apt.arg("--config-file").arg(self.configuration());
        for (key, folder) in [("Dir::State::lists", "lists"), ("Dir::Cache", "cache")] {
            apt.arg("-o")
                .arg(format!("{key}={}", self.home.join(folder)));
        }
        apt.arg(subcommand);
        apt
    }

    fn configuration(&self) -> Utf8PathBuf {
        self.home.join("apt.conf")
    }

    fn stamp(&self, package: &str) -> Utf8PathBuf {
        self.home.join("unpacked").join(package)
    }
}

/// Packages that a simulated installation would add.
/// One that it would only upgrade (its old version in brackets) is on the machine and stays what it is there: the C library must not be mixed.
fn new_packages(simulation: &str) -> Vec<String> {
    let added = |line: &str| {
        let mut words = line.strip_prefix("Inst ")?.split(' ');
        let name = words.next()?;
        (!words.next()?.starts_with('[')).then(|| name.to_owned())
    };
    simulation.lines().filter_map(added).collect()
}

#[cfg(unix)]
fn make_executable(path: &Utf8Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &Utf8Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_that_the_machine_lacks_are_taken() {
        let simulation = "\
The following NEW packages will be installed:
  libllvm22 rustc-web
Inst libc6 [2.36-9] (2.36-9+deb12u14 Debian:12/oldstable [amd64])
Inst libllvm22 (1:22.1.8-1~deb12u1 Debian-Security:12/oldstable-security [amd64])
Inst rustc-web (1.96.0+dfsg1-1~deb12u2 Debian-Security:12/oldstable-security [amd64])
Conf rustc-web (1.96.0+dfsg1-1~deb12u2 Debian-Security:12/oldstable-security [amd64])
";
        assert_eq!(new_packages(simulation), ["libllvm22", "rustc-web"]);
    }
}
