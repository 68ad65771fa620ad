//! Builds the fixture plugins, once for all tests, in a target directory of their own: built
//! with the main workspace they would share its features, and the tests of the ABI would lie.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// The variable at whose path `runs-on-load` writes a file as soon as it is loaded.
const MARK: &str = "OCTA_FIXTURE_MARK";

/// The compiled library of a fixture.
pub(crate) fn library(fixture: &str) -> PathBuf {
    static ZOO: LazyLock<PathBuf> = LazyLock::new(|| {
        let target = target("fixtures");
        cargo(&target)
            .args([
                "--workspace",
                "--exclude",
                "aborts",
                "--exclude",
                "cpp-inside",
            ])
            .run();
        let abort = r#"profile.dev.panic="abort""#;
        cargo(&target)
            .args(["--package", "aborts", "--config", abort])
            .run();
        target
    });
    in_target(&ZOO, fixture)
}

/// The library of a fixture, its types laid out at random.
pub(crate) fn shuffled_library(fixture: &str) -> PathBuf {
    let target = target("fixtures-shuffled");
    cargo(&target)
        .args(["--package", fixture])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zrandomize-layout -Zlayout-seed=4711")
        .run();
    in_target(&target, fixture)
}

/// The library of a fixture built by the second compiler, if there is one. Where there is none,
/// whoever runs the tests has told so.
pub(crate) fn foreign_library(fixture: &str) -> Option<PathBuf> {
    let rustc = variable("OCTA_SECOND_RUSTC")?;
    let target = target("fixtures-second");
    cargo(&target)
        .args(["--package", fixture])
        .env("RUSTC", rustc)
        .run();
    Some(in_target(&target, fixture))
}

/// The library of a fixture with C++ inside, if there is a compiler for it. Where there is none,
/// whoever runs the tests is told so.
pub(crate) fn cpp_library(fixture: &str) -> Option<PathBuf> {
    if Command::new("g++").arg("--version").output().is_err() {
        tell_not_run("plugins with C++ inside (install g++)");
        return None;
    }
    let target = target("fixtures");
    cargo(&target).args(["--package", fixture]).run();
    Some(in_target(&target, fixture))
}

/// Tells who runs the tests what could not be run.
fn tell_not_run(what: &str) {
    if let Some(path) = variable("OCTA_NOT_RUN") {
        let list = fs::OpenOptions::new().append(true).open(path);
        writeln!(list.expect("a list"), "{what}").expect("the list is writable");
    }
}

/// The program, built as the tests are.
pub(crate) fn octa() -> PathBuf {
    programs().join("octa")
}

/// The program that carries plugins in processes of their own; it lies beside the other, which
/// looks for it there.
pub(crate) fn worker() -> PathBuf {
    programs().join("octa-worker")
}

/// Where the programs lie, built as the tests are.
fn programs() -> &'static Path {
    static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
        let mut cargo = Command::new(env!("CARGO"));
        // Of the whole workspace, so that its dependencies have the features they have already.
        cargo.args(["build", "--quiet", "--workspace"]);
        cargo.args(["--bin", "octa", "--bin", "octa-worker"]);
        cargo
            .arg("--target-dir")
            .arg(target(""))
            .current_dir(checkout());
        Build(cargo).run();
        target("debug")
    });
    &PROGRAMS
}

/// A variable of the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the tests read the environment"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

/// The names of all fixtures.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(workspace().join("zoo")).expect("the fixtures are there");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name in ASCII");
    let mut names: Vec<_> = entries
        .map(|entry| name(entry.expect("readable")))
        .collect();
    names.sort();
    names
}

/// The file that `runs-on-load` writes.
pub(crate) fn mark() -> PathBuf {
    scratch().join("runs-on-load.mark")
}

/// The directory for everything that tests write.
pub(crate) fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The root of the checkout.
pub(crate) fn checkout() -> &'static Path {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.parent().expect("the tests lie in the checkout")
}

/// The workspace of the fixtures.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// A target directory beside that of the main workspace.
pub(crate) fn target(name: &str) -> PathBuf {
    scratch()
        .parent()
        .expect("it lies in the target directory")
        .join(name)
}

/// The library of a package that was built in a target directory.
pub(crate) fn in_target(target: &Path, package: &str) -> PathBuf {
    let library = format!("lib{}.so", package.replace('-', "_"));
    target.join("debug").join(library)
}

/// A build of the fixtures, as their lock file says.
fn cargo(target: &Path) -> Build {
    Build::new(&workspace(), target, "--locked")
}

/// A `cargo build` that must succeed.
pub(crate) struct Build(Command);

impl Build {
    /// Builds in a workspace without a lock file of its own, from what was fetched before; in
    /// the target directory of the fixtures, whose dependencies are mostly the same.
    pub(crate) fn offline(root: &Path) -> Self {
        Self::new(root, &target("fixtures"), "--offline")
    }

    fn new(root: &Path, target: &Path, rule: &str) -> Self {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", rule, "--target-dir"]);
        cargo.arg(target).current_dir(root).env(MARK, mark());
        // What the tests themselves are built with is no business of the fixtures.
        for inherited in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC",
            "CARGO_TARGET_DIR",
        ] {
            cargo.env_remove(inherited);
        }
        Self(cargo)
    }

    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.args(args);
        self
    }

    fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn run(mut self) {
        let output = self.0.output().expect("cargo runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?} failed:\n{told}", self.0);
    }
}
