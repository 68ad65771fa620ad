//! Where generations live that are not to live in this process: finds or starts the process, and
//! tells the manager when it ends.

use std::{collections::HashMap, ffi::OsString, path::PathBuf, sync::Arc};

use octa_loader::{
    Exit, ExitCause, Generation, Manifest, Placement, Staged, Worker, WorkerError, WorkerOptions,
};
use parking_lot::Mutex;

use super::{
    Breakdown, Core, Event,
    make::Ingredients,
    supervise::{CallUnderWay, Death},
};
use crate::{
    config::{Config, Containment},
    status::{Problem, ProcessStatus},
};

/// The program of worker processes, and the processes that several plugins share.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    /// Unless the configuration names another.
    pub(crate) program: Option<PathBuf>,
    /// All that the processes get of the environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// By group. One at a time is started: plugins of one group are often opened together.
    groups: Mutex<HashMap<String, Arc<Mutex<Option<Shared>>>>>,
}

/// The process of a group, and what it was started with.
#[derive(Debug)]
struct Shared {
    worker: Worker,
    options: WorkerOptions,
}

/// Where a plugin is to live: as the configuration says, else as its manifest wishes.
pub(super) fn placement(manifest: &Manifest, containment: &Containment) -> Placement {
    match (containment.placement, manifest.placement) {
        (Placement::Any, Placement::Process) | (Placement::Process, _) => Placement::Process,
        _ => Placement::InProcess,
    }
}

/// Why a plugin cannot live where the configuration puts it.
pub(super) fn misplaced(manifest: &Manifest, config: &Config) -> Option<Problem> {
    let name = &manifest.name;
    let containment = config.plugin(name).containment;
    match (containment.placement, manifest.placement) {
        (Placement::InProcess, Placement::Process) => {
            let message = format!("plugin `{name}` runs in a process of its own only");
            let hint = format!("remove `placement` from `[plugins.{name}]`");
            return Some(Problem::new("unsupported", message, Some(hint)));
        }
        (Placement::Process, Placement::InProcess) => {
            let message = format!("plugin `{name}` runs in the kernel's process only");
            let hint = format!("remove `placement` from `[plugins.{name}]`");
            return Some(Problem::new("unsupported", message, Some(hint)));
        }
        _ => {}
    }
    let group = containment.group.as_ref()?;
    let other = config.group_member_unlike(name)?;
    let message = format!(
        "plugins `{name}` and `{other}` share the process of group `{group}`, and are granted different limits or sandboxes"
    );
    let hint = "give them the same `limits` and `sandbox`, or different groups";
    Some(Problem::new(
        "invalid-input",
        message,
        Some(hint.to_owned()),
    ))
}

impl Core {
    /// Opens a staged copy in a process of its own, or in that of its group.
    pub(super) fn open_apart(
        &self,
        from: &Ingredients,
        staged: &Staged,
        number: u64,
    ) -> Result<Arc<Generation>, Problem> {
        let options = self.worker_options(from, staged)?;
        let opened = match &from.containment.group {
            None => Worker::start(&options).and_then(|it| it.open(staged, from.manifest.clone())),
            Some(group) => self.open_in_group(group, &options, from, staged),
        };
        let generation = opened.map_err(|error| problem_of(&error))?;
        if let Some(worker) = generation.worker() {
            self.tell_of_end(worker, &from.manifest.name, number);
        }
        Ok(generation)
    }

    pub(super) fn worker_options(
        &self,
        from: &Ingredients,
        staged: &Staged,
    ) -> Result<WorkerOptions, Problem> {
        let config = self.config.load();
        let program = config.kernel.worker.clone();
        let Some(program) = program.or_else(|| self.workers.program.clone()) else {
            let message = format!(
                "plugin `{}` is to run in a process of its own, and no program is known for it",
                from.manifest.name
            );
            let hint = "say where `octa-worker` is: `worker` in `[kernel]`, or `Builder::worker`";
            return Err(Problem::new("unsupported", message, Some(hint.to_owned())));
        };
        let containment = &from.containment;
        let name = containment.group.as_ref().unwrap_or(&from.manifest.name);
        let mut options = WorkerOptions::new(program, name);
        options.environment = self.workers.environment.clone();
        options.limits = containment.limits.clone();
        options.sandbox = containment.sandbox.clone();
        options.libraries = staged
            .path
            .parent()
            .map(PathBuf::from)
            .into_iter()
            .collect();
        options.start_deadline = config.kernel.start_deadline;
        options.unresponsive_after = config.kernel.stuck_after;
        Ok(options)
    }

    fn open_in_group(
        &self,
        group: &str,
        options: &WorkerOptions,
        from: &Ingredients,
        staged: &Staged,
    ) -> Result<Arc<Generation>, WorkerError> {
        let seat = self
            .workers
            .groups
            .lock()
            .entry(group.to_owned())
            .or_default()
            .clone();
        let mut shared = seat.lock();
        // One that was started for other grants goes on without newcomers, to its end.
        let there = shared
            .as_ref()
            .filter(|it| it.worker.is_open() && it.options == *options);
        if let Some(there) = there {
            return there.worker.open(staged, from.manifest.clone());
        }
        let worker = Worker::start(options)?;
        let generation = worker.open(staged, from.manifest.clone())?;
        let options = options.clone();
        *shared = Some(Shared { worker, options });
        Ok(generation)
    }

    /// Sends the manager word of the end of a process, unless it was asked to end.
    fn tell_of_end(&self, worker: &Worker, name: &str, number: u64) {
        let (name, events) = (name.to_owned(), self.events.clone());
        worker.on_end(move |exit| {
            if exit.cause != ExitCause::Asked {
                drop(events.send(Event::Broke(name, number, Breakdown::Died(death(exit)))));
            }
        });
    }
}

fn death(exit: &Exit) -> Death {
    let calls = exit.calls.iter().map(|call| CallUnderWay {
        caller: call.caller.clone(),
        capability: call.capability.clone(),
    });
    Death {
        cause: exit.cause.to_string(),
        is_failure: exit.is_failure(),
        last_lines: exit.last_lines.clone(),
        calls: calls.collect(),
    }
}

/// The process that a generation lives in, if it is not this one.
pub(super) fn process_of(generation: &Generation, group: Option<&String>) -> Option<ProcessStatus> {
    let worker = generation.worker()?;
    let confinement = worker.confinement();
    Some(ProcessStatus {
        id: worker.id(),
        group: group.cloned(),
        enforced: confinement.enforced.clone(),
        missing: confinement.missing.clone(),
    })
}

pub(super) fn problem_of(error: &WorkerError) -> Problem {
    let kind = match error {
        WorkerError::Open { error } if error.kind() == octa_plugin_api::ErrorKind::Unavailable => {
            "unavailable"
        }
        WorkerError::Open { .. } => "rejected",
        WorkerError::Ended { .. } => "failed",
        WorkerError::System { .. } => "unavailable",
        _ => "unsupported",
    };
    let problem = Problem::from_error(kind, error, error.hint());
    match error.exit().map(|exit| exit.last_lines.join("\n")) {
        Some(lines) if !lines.is_empty() => Problem {
            message: format!("{}; it wrote last:\n{lines}", problem.message),
            ..problem
        },
        _ => problem,
    }
}
