//! Asks cargo: what there is to build, and to build it. What cargo has to say reaches the user as
//! cargo says it.

use std::env::consts::DLL_EXTENSION;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use cargo_metadata::{Artifact, CrateType, Message, Metadata, MetadataCommand};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::error::DevError;
use super::project::Project;
use crate::args;
use crate::output;
use crate::world::World;

/// Options that concern not only a build but also what there is to build.
const SHARED: [&str; 3] = ["--offline", "--locked", "--frozen"];

/// How cargo is asked.
#[derive(Debug, Clone)]
pub(crate) struct Cargo {
    program: OsString,
    release: bool,
    arguments: Vec<String>,
}

/// What cargo built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Built {
    /// The libraries, with the names of their packages.
    pub(crate) libraries: Vec<(String, PathBuf)>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Cargo {
    /// As it was typed.
    pub(crate) fn of(typed: &args::Dev, world: &World) -> Self {
        Self {
            program: world.cargo(),
            release: typed.release,
            arguments: typed.cargo.clone(),
        }
    }

    /// What cargo knows of the project that a directory belongs to.
    pub(crate) fn metadata(&self, path: &Path) -> Result<Metadata, DevError> {
        if !path.is_dir() {
            return Err(DevError::NoDirectory {
                path: path.to_owned(),
            });
        }
        let shared = self.arguments.iter();
        let shared: Vec<String> = shared
            .filter(|argument| SHARED.contains(&argument.as_str()))
            .cloned()
            .collect();
        let mut command = MetadataCommand::new();
        command.cargo_path(&self.program).current_dir(path);
        let output = command.other_options(shared).cargo_command().output();
        let output = output.map_err(|source| self.missing(source))?;
        understand(&output, path)
    }

    fn missing(&self, source: std::io::Error) -> DevError {
        DevError::NoCargo {
            program: self.program.to_string_lossy().into_owned(),
            source,
        }
    }

    /// Builds the plugins of all projects; none if that failed, of which cargo has told already.
    ///
    /// Dropped, it ends cargo.
    pub(crate) async fn build(
        &self,
        projects: &[Project],
        quiet: bool,
    ) -> Result<Option<Built>, DevError> {
        let begun = Instant::now();
        let mut libraries = Vec::new();
        for project in projects {
            let Some(built) = self.build_one(project, quiet).await? else {
                return Ok(None);
            };
            libraries.extend(built);
        }
        let took = begun.elapsed();
        Ok(Some(Built { libraries, took }))
    }

    async fn build_one(
        &self,
        project: &Project,
        quiet: bool,
    ) -> Result<Option<Vec<(String, PathBuf)>>, DevError> {
        let mut command = Command::new(&self.program);
        command
            .args(["build", "--message-format", "json-render-diagnostics"])
            .args(self.release.then_some("--release"));
        for plugin in &project.plugins {
            command.args(["--package", &plugin.id.repr]);
        }
        if quiet {
            // Not an argument: it would contradict a `--verbose`.
            command.env("CARGO_TERM_QUIET", "true");
        }
        command
            .args(&self.arguments)
            .current_dir(&project.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| self.missing(source))?;
        let mut libraries = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                libraries.extend(heard(&line, project));
            }
        }
        let status = child.wait().await;
        let status = status.map_err(|source| self.missing(source))?;
        if !status.success() {
            return Ok(None);
        }
        let is_built = |name: &String| libraries.iter().any(|(built, _)| built == name);
        let mut names = project.plugins.iter().map(|plugin| &plugin.name);
        match names.find(|name| !is_built(name)).cloned() {
            Some(name) => Err(DevError::NoLibrary { name }),
            None => Ok(Some(libraries)),
        }
    }
}

/// What a line of cargo's says was built; what is not for programs is passed on.
fn heard(line: &str, project: &Project) -> Option<(String, PathBuf)> {
    match serde_json::from_str::<Message>(line) {
        Ok(Message::CompilerArtifact(artifact)) => library(&artifact, project),
        Ok(_) => None,
        Err(_) => {
            output::say(line);
            None
        }
    }
}

/// The library of an artifact, if it is that of a plugin.
fn library(artifact: &Artifact, project: &Project) -> Option<(String, PathBuf)> {
    let mut plugins = project.plugins.iter();
    let plugin = plugins.find(|plugin| plugin.id == artifact.package_id)?;
    if !artifact.target.crate_types.contains(&CrateType::CDyLib) {
        return None;
    }
    let mut files = artifact.filenames.iter();
    let file = files.find(|file| file.extension() == Some(DLL_EXTENSION))?;
    Some((plugin.name.clone(), file.clone().into()))
}

fn understand(output: &Output, path: &Path) -> Result<Metadata, DevError> {
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let told = told.trim().trim_start_matches("error: ").to_owned();
        return Err(DevError::NoProject {
            path: path.to_owned(),
            told,
        });
    }
    let text = String::from_utf8_lossy(&output.stdout);
    MetadataCommand::parse(text).map_err(|source| DevError::Strange {
        path: path.to_owned(),
        source,
    })
}
