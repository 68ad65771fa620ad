//! Looks for plugins: in the directory, and among those that are linked into the program.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use octa_loader::{
    DiscoverError, HostFacts, InspectError, Inspection, Manifest, Placement, Refusal, discover,
    inspect_to_stage,
};
use thiserror::Error;

use super::{
    Core, Manager,
    facts::By,
    record::{Record, Settled, Source, Wanted},
    remember::look_back,
    strays::unconfined,
    workers::{misplaced, placement},
};
use crate::{
    authorize::review,
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
            self.take_in(manifest, Source::Linked(linked), None);
        }
        for (path, result) in files {
            self.take_in_file(path, result, &mut seen);
        }
        self.rejected
            .iter()
            .filter(|it| !known.contains(it))
            .for_each(tell);
        Ok(())
    }

    fn take_in_file(&mut self, path: PathBuf, found: Found, seen: &mut BTreeMap<String, PathBuf>) {
        let (chosen, problem, pending) = match self.choose(found) {
            Ok(chosen) => chosen,
            Err(problem) => return self.reject(path, problem),
        };
        let name = chosen.manifest.name.clone();
        if let Some(first) = seen.get(&name) {
            return self.reject(path.clone(), conflict(first, &path, &name));
        }
        seen.insert(name.clone(), path.clone());
        let manifest = Arc::new(chosen.manifest.clone());
        self.take_in(manifest, Source::File(Box::new(chosen)), Some(path));
        if let (Some(problem), Some(record)) = (problem, self.records.get_mut(&name))
            && record.live.is_none()
            && record.waiting.first() != Some(&problem)
        {
            log::warn!(
                "plugin `{name}` {}, which served last, runs instead of what its file holds: {}",
                record.manifest.version,
                super::with_hint(&problem)
            );
            record.waiting = vec![problem];
            record.pending = pending;
        }
    }

    /// What is to run of a file: what it holds, or what served last where that cannot run; then
    /// why, and whether it may run later.
    fn choose(&self, found: Found) -> Result<Chosen, Problem> {
        match (found.result, found.last) {
            (Err(rejection), None) => Err(rejection.into_problem()),
            (Err(rejection), Some(last)) => Ok((last, Some(rejection.into_problem()), None)),
            (Ok(holds), None) => Ok((holds, None, None)),
            (Ok(holds), Some(last)) => Ok(match found.refused {
                Some(why) => {
                    let message = format!("it was refused: {why}");
                    let hint = format!("`octa reload {}` tries it again", last.manifest.name);
                    let problem = Problem::new("refused", message, Some(hint));
                    (last, Some(problem), None)
                }
                None => match self.settle(&holds.manifest).held.into_iter().next() {
                    Some(problem) => (last, Some(problem), Some(Box::new(holds))),
                    None => (holds, None, None),
                },
            }),
        }
    }

    fn reject(&mut self, path: PathBuf, problem: Problem) {
        self.rejected.push(RejectedFile { path, problem });
    }

    /// Rejects a file that has changed, and tells it.
    pub(super) fn reject_now(&mut self, path: PathBuf, problem: Problem) {
        self.rejected.retain(|it| it.path != path);
        let file = RejectedFile { path, problem };
        tell(&file);
        self.rejected.push(file);
    }

    pub(super) fn conflict(&mut self, first: &Path, second: Inspection) {
        let problem = conflict(first, &second.path, &second.manifest.name);
        self.reject_now(second.path, problem);
    }

    /// Takes in what has arrived while the plugins run, and starts it where it is wanted.
    pub(super) fn arrive(&mut self, found: Inspection, file: Option<PathBuf>) {
        let manifest = Arc::new(found.manifest.clone());
        let name = manifest.name.clone();
        let file = file.unwrap_or_else(|| found.path.clone());
        self.take_in(manifest, Source::File(Box::new(found)), Some(file));
        let is_running = self.is_running;
        if let Some(record) = self.records.get_mut(&name)
            && record.wanted == Wanted::Discovered
            && record.settled.enabled
            && is_running
        {
            record.want(Wanted::Started, By::Directory);
        }
    }

    fn take_in(&mut self, manifest: Arc<Manifest>, source: Source, file: Option<PathBuf>) {
        let name = manifest.name.clone();
        if let Some(known) = self.records.get(&name)
            && (known.live.is_some() || known.busy.is_some())
        {
            return;
        }
        let settled = self.settle(&manifest);
        let may_run = settled.enabled && settled.held.is_empty();
        self.core.commons.services.announce(&manifest, may_run);
        let mut record = Record::new(source, manifest, settled);
        record.file = file;
        record.since = self.core.commons.clock.wall();
        record.generations = self.numbers.get(&name).copied().unwrap_or_default();
        if let Some(known) = self.records.remove(&name) {
            let is_same = known.source.hash() == record.source.hash();
            record.state = known.state;
            record.wanted = known.wanted;
            record.by = known.by;
            // Told of a newer build while the kernel's copy of an older one runs.
            let is_copy = matches!(&record.source, Source::File(found) if Some(&found.path) != record.file.as_ref());
            if is_same || is_copy {
                record.waiting = known.waiting;
            }
            record.doors = known.doors;
            record.generations = known.generations;
            record.supervision = if is_same {
                known.supervision
            } else {
                known.supervision.of_successor()
            };
            if is_same {
                record.since = known.since;
                record.problems = known.problems;
            }
        }
        self.records.insert(name, record);
    }

    /// What the configuration makes of a manifest.
    pub(super) fn settle(&self, manifest: &Manifest) -> Settled {
        let plugin = self.core.config.load().plugin(&manifest.name);
        let mut held: Vec<Problem> = review(manifest, &plugin.allow)
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
        held.extend(misplaced(manifest, &self.core.config.load()));
        held.extend(unconfined(manifest, &plugin.containment));
        Settled {
            enabled: plugin.enabled,
            allow: plugin.allow,
            config,
            containment: plugin.containment,
            held,
        }
    }

    /// Looks into a file of the plugin directory.
    pub(super) async fn inspect(&self, path: PathBuf) -> Result<Inspection, Problem> {
        let core = self.core.clone();
        let looked = self.core.spare.run(move || accept(&path, &core));
        let lost = |_| Problem::new("internal", "looking into a file ended its thread", None);
        looked.await.map_err(lost)?.map_err(Rejection::into_problem)
    }
}

fn conflict(first: &Path, second: &Path, name: &str) -> Problem {
    let message = format!(
        "file `{}` and file `{}` both hold a plugin named `{name}`; the first one is used",
        first.display(),
        second.display(),
    );
    Problem::new("conflict", message, Some("remove one of them".to_owned()))
}

/// The process that a plugin is to live in.
fn host_of(manifest: &Manifest, core: &Core) -> HostFacts {
    let containment = core.config.load().plugin(&manifest.name).containment;
    match placement(manifest, &containment) {
        Placement::Process => HostFacts::child_process(octa_loader::ABI_MAJOR),
        _ => HostFacts::in_process(octa_loader::ABI_MAJOR),
    }
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
    log::warn!("{}", super::with_hint(&file.problem));
}

/// What a file holds, and what is known of its plugin.
struct Found {
    result: Result<Inspection, Rejection>,
    /// What served last, if that is another content.
    last: Option<Inspection>,
    /// Why what the file holds is not to serve.
    refused: Option<String>,
}

/// What is to run, why it is not what the file holds, and that if it may run later.
type Chosen = (Inspection, Option<Problem>, Option<Box<Inspection>>);

type Scanned = Vec<(PathBuf, Found)>;

/// Why a file is not accepted.
pub(super) enum Rejection {
    /// It is being written, perhaps: whoever watches looks again.
    Incomplete(Problem),
    Problem(Problem),
}

impl Rejection {
    pub(super) fn into_problem(self) -> Problem {
        match self {
            Self::Incomplete(problem) | Self::Problem(problem) => problem,
        }
    }
}

fn scan_files(core: &Core) -> Result<Scanned, DiscoverError> {
    let Some(directory) = &core.directory else {
        return Ok(Vec::new());
    };
    let files = discover(directory)?;
    let found = |path: PathBuf| {
        let found = find(&path, core);
        (path, found)
    };
    Ok(files.into_iter().map(found).collect())
}

fn find(path: &Path, core: &Core) -> Found {
    let result = accept(path, core).inspect(Inspection::put_aside);
    let before = core.store.as_deref().and_then(|store| {
        let (plugin, content) = match &result {
            Ok(found) => (found.manifest.name.clone(), Some(found.hash)),
            Err(_) => (store.plugin_of(path.file_name()?.to_str()?)?, None),
        };
        Some(look_back(store, &plugin, content))
    });
    let (last, refused) = before.unwrap_or_default();
    Found {
        result,
        last,
        refused,
    }
}

/// Looks into a file and decides whether it may run where it is to live.
pub(super) fn accept(path: &Path, core: &Core) -> Result<Inspection, Rejection> {
    let rejected = |error: InspectError| {
        let problem = Problem::from_error("rejected", &error, error.hint());
        if error.is_incomplete() {
            Rejection::Incomplete(problem)
        } else {
            Rejection::Problem(problem)
        }
    };
    let inspection = inspect_to_stage(path, core.rules).map_err(rejected)?;
    let verdict = inspection.verdict(&host_of(&inspection.manifest, core));
    verdict.map_err(|refusal| {
        let problem = Problem::from_error("rejected", &refusal, refusal.hint());
        if matches!(refusal, Refusal::OtherMachine { .. }) {
            // It names the file already.
            return Rejection::Problem(problem);
        }
        let message = format!("file `{}`: {}", path.display(), problem.message);
        Rejection::Problem(Problem { message, ..problem })
    })?;
    reserved(path, &inspection.manifest).map_err(Rejection::Problem)?;
    Ok(inspection)
}
