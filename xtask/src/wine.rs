//! Windows, shown under Wine: a host replaces and unloads real `.dll` plugins.
//! The host and its plugins are built here; making Wine run is the job of `runtime`, saying what must be seen that of `course`.

mod course;
mod runtime;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use crate::windows::{TARGET, Toolchain};
use crate::workspace::{Workspace, succeed};
use course::{COURSES, Course};
use runtime::Wine;

/// The folder under `target` of all that is built and run here.
const FOLDER: &str = "wine";

/// The program that is run: it lies beside the example `embed`.
const HOST: &str = "replace.exe";

/// Debian's compiler of C for Windows, which also links; the one whose threads are those of Windows.
const GCC: &str = "x86_64-w64-mingw32-gcc-win32";

/// Fetches what is missing, builds, and runs each course to its end.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let toolchain = Toolchain::fetch(workspace)?;
    let debian = &toolchain.debian;
    debian.need("gcc-mingw-w64-x86-64-win32")?;
    debian.need("wine64")?;
    let scene = build(workspace, &toolchain)?;
    let wine = Wine::start(debian, &workspace.target().join(FOLDER).join("prefix"))?;
    for course in COURSES {
        show(course, &wine, &scene)?;
    }
    println!("\nall of it was seen");
    Ok(())
}

/// Builds the host and the plugins, and puts them side by side; says where.
fn build(workspace: &Workspace, toolchain: &Toolchain) -> Result<Utf8PathBuf> {
    let gcc = toolchain.debian.wrapper(&format!("usr/bin/{GCC}"))?;
    let cargo = |arguments: &[&str]| {
        let mut cargo = toolchain.cargo(workspace, "build", FOLDER);
        cargo.args(arguments);
        for variable in [
            "CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER",
            "CC_x86_64_pc_windows_gnu",
        ] {
            cargo.env(variable, &gcc);
        }
        cargo.env("AR_x86_64_pc_windows_gnu", "x86_64-w64-mingw32-ar");
        succeed(&mut cargo)
    };
    cargo(&["--package", "octa-example-embed", "--bin", "replace"])?;
    let plugins = course::BUILDS
        .map(|build| ["--package", build.name])
        .concat();
    cargo(
        &[
            &["--locked", "--manifest-path", "tests/fixtures/Cargo.toml"],
            &plugins[..],
        ]
        .concat(),
    )?;

    let home = workspace.target().join(FOLDER);
    let scene = home.join("scene");
    fs::create_dir_all(&scene).with_context(|| format!("cannot create `{scene}`"))?;
    let libraries = course::BUILDS.map(|build| build.file());
    for name in [HOST.to_owned()].into_iter().chain(libraries) {
        let (from, to) = (
            home.join(TARGET).join("debug").join(&name),
            scene.join(&name),
        );
        fs::copy(&from, &to).with_context(|| format!("cannot copy `{from}` to `{to}`"))?;
    }
    stand_in(workspace, &gcc, &scene)?;
    Ok(scene)
}

/// Builds what Wine lacks.
fn stand_in(workspace: &Workspace, gcc: &Utf8Path, scene: &Utf8Path) -> Result<()> {
    let source = workspace.root().join("xtask/src/wine/bcryptprimitives.c");
    let library = scene.join("bcryptprimitives.dll");
    succeed(
        Command::new(gcc)
            .args(["-shared", "-O2", "-o"])
            .args([&library, &source])
            .arg("-ladvapi32"),
    )
}

/// Runs the host, prints what it and Wine say, and compares that with what must be seen.
fn show(course: &Course, wine: &Wine, scene: &Utf8Path) -> Result<()> {
    println!("\n== {} ==", course.title);
    let home = scene.join("home");
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("cannot remove `{home}`"))?;
    }
    let builds = course.builds();
    let mut host = wine.command(&scene.join(HOST));
    host.current_dir(scene).arg("home");
    host.args(builds.iter().map(|build| build.file()));
    let mut heard = course::Heard::default();
    let status = runtime::listen(host, |line| {
        if let Some(line) = heard.note(line)
            && !course.is_long()
        {
            println!("{line}");
        }
    })?;
    ensure!(
        status.success(),
        "`{HOST}` failed, {status}, and was heard last with:\n{}",
        heard.last().join("\n")
    );
    let expected = course::expected(&builds);
    heard.compare(&expected)?;
    if course.is_long() {
        println!(
            "{} lines, as they must be; the last ones:",
            heard.host.len()
        );
        for line in heard.last() {
            println!("host  {line}");
        }
    }
    Ok(())
}
