//! Looks for plugins: in the directory, and among those that are linked into the program.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use octa_loader::{
    DiscoverError, FileRules, HostFacts, InspectError, Inspection, Manifest, Placement, Refusal,
    discover, inspect,
};
use thiserror::Error;

use super::{
    Core, Manager,
    record::{Record, Source, Wanted},
};
use crate::{
    authorize::review,
    lifecycle::State,
    status::{Problem, RejectedFile},
};

/// Why no plugins could be looked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The plugin directory cannot be read.
    #[error(transparent)]
    Directory(#[from] DiscoverError),
    /// The kernel has stopped.
    #[error("the kernel has stopped")]
    Stopped,
}

impl ScanError {
    /// The way out.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Directory(error) => error.hint(),
            Self::Stopped => None,
        }
    }
}

impl Manager {
    /// Takes in plugins that are new; a file of a plugin that is not loaded is looked at again.
    pub(super) async fn scan(&mut self) -> Result<(), ScanError> {
        let core = self.core.clone();
        let scanned = self.core.spare.run(move || scan_files(&core));
        let files = scanned.await.map_err(|_| ScanError::Stopped)??;
        let known = std::mem::take(&mut self.rejected);
        let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
        for linked in self.core.linked.clone() {
            let manifest = linked.manifest().clone();
            self.take_in(manifest, Source::Linked(linked));
        }
        for (path, result) in files {
            match result {
                Ok(inspection) => self.take_in_file(inspection, &mut seen),
                Err(problem) => self.reject(path, problem),
            }
        }
        self.rejected
            .iter()
            .filter(|it| !known.contains(it))
            .for_each(tell);
        Ok(())
    }

    fn take_in_file(&mut self, inspection: Inspection, seen: &mut BTreeMap<String, PathBuf>) {
        let manifest = Arc::new(inspection.manifest.clone());
        let path = inspection.path.clone();
        if let Some(first) = seen.get(&manifest.name) {
            let message = format!(
                "file `{}` and file `{}` both hold a plugin named `{}`; the first one is used",
                first.display(),
                path.display(),
                manifest.name,
            );
            let hint = "remove one of them".to_owned();
            return self.reject(path, Problem::new("conflict", message, Some(hint)));
        }
        seen.insert(manifest.name.clone(), path);
        self.take_in(manifest, Source::File(Box::new(inspection)));
    }

    fn reject(&mut self, path: PathBuf, problem: Problem) {
        self.rejected.push(RejectedFile { path, problem });
    }

    fn take_in(&mut self, manifest: Arc<Manifest>, source: Source) {
        let name = manifest.name.clone();
        if let Some(known) = self.records.get(&name)
            && (known.instance.is_some() || known.busy.is_some())
        {
            return;
        }
        self.core.commons.services.announce(&manifest);
        let mut record = self.record(manifest, source);
        if let Some(known) = self.records.remove(&name) {
            record.state = known.state;
            record.wanted = known.wanted;
            record.since = known.since;
            record.problems = known.problems;
        }
        self.records.insert(name, record);
    }

    fn record(&self, manifest: Arc<Manifest>, source: Source) -> Record {
        let plugin = self.core.config.plugin(&manifest.name);
        let mut held: Vec<Problem> = review(&manifest, &plugin.allow)
            .into_iter()
            .map(|denied| Problem::from_error("denied", &denied, denied.hint()))
            .collect();
        let settled = plugin.config.settle(
            &manifest.name,
            manifest.config.as_ref(),
            &*self.core.secrets,
        );
        let config = match settled {
            Ok(settings) => settings.expose().clone(),
            Err(error) => {
                held.push(Problem::from_error("invalid-input", &error, error.hint()));
                serde_json::Value::Null
            }
        };
        held.extend(misplaced(&manifest));
        Record {
            source,
            manifest,
            enabled: plugin.enabled,
            allow: plugin.allow,
            config,
            held,
            wanted: Wanted::Discovered,
            state: State::Discovered,
            since: self.core.commons.clock.wall(),
            problems: Vec::new(),
            busy: None,
            instance: None,
            facilities: None,
            subscriptions: Vec::new(),
            health: None,
            following: None,
        }
    }
}

/// A plugin that does not want to live where this kernel can have it.
fn misplaced(manifest: &Manifest) -> Option<Problem> {
    (manifest.placement == Placement::Process).then(|| {
        let message = format!(
            "plugin `{}` runs in a child process only, which this kernel does not offer",
            manifest.name,
        );
        let hint = "build it with another `placement`".to_owned();
        Problem::new("unsupported", message, Some(hint))
    })
}

/// Names that are known as something else: who calls, and whose topics they are.
const RESERVED: [&str; 3] = ["kernel", "host", "octa"];

fn reserved(path: &Path, manifest: &Manifest) -> Result<(), Problem> {
    if !RESERVED.contains(&manifest.name.as_str()) {
        return Ok(());
    }
    let message = format!(
        "file `{}`: no plugin may be named `{}`",
        path.display(),
        manifest.name
    );
    Err(Problem::new(
        "rejected",
        message,
        Some("give it another `name`".to_owned()),
    ))
}

/// Writes into the log what is wrong with a file.
fn tell(file: &RejectedFile) {
    let hint = file.problem.hint.as_ref();
    let hint = hint
        .map(|hint| format!(" (hint: {hint})"))
        .unwrap_or_default();
    log::warn!("{}{hint}", file.problem.message);
}

type Scanned = Vec<(PathBuf, Result<Inspection, Problem>)>;

fn scan_files(core: &Core) -> Result<Scanned, DiscoverError> {
    let Some(directory) = &core.directory else {
        return Ok(Vec::new());
    };
    let files = discover(directory)?;
    Ok(files
        .into_iter()
        .map(|path| (path.clone(), accept(&path, core.rules)))
        .collect())
}

/// Looks into a file and decides whether it may run in this process.
fn accept(path: &Path, rules: FileRules) -> Result<Inspection, Problem> {
    let rejected = |error: &InspectError| Problem::from_error("rejected", error, error.hint());
    let inspection = inspect(path, rules).map_err(|error| rejected(&error))?;
    let verdict = inspection.verdict(&HostFacts::in_process(octa_loader::ABI_MAJOR));
    verdict.map_err(|refusal| {
        let problem = Problem::from_error("rejected", &refusal, refusal.hint());
        if matches!(refusal, Refusal::OtherMachine { .. }) {
            // It names the file already.
            return problem;
        }
        let message = format!("file `{}`: {}", path.display(), problem.message);
        Problem { message, ..problem }
    })?;
    reserved(path, &inspection.manifest)?;
    Ok(inspection)
}
