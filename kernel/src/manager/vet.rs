//! Contents that end the process which opens them: they are found out in a process to throw away,
//! or by what the kernel's last process was doing when it ended.

use octa_loader::{Attempt, ContentHash, Placement, Sandbox, Staged, Worker};
use tokio::sync::OwnedMutexGuard;

use super::{Core, make::Ingredients, workers};
use crate::{
    config::{Containment, Limits},
    status::Problem,
};

/// How many processes in a row a content ends until it is opened no more. Once or twice it may
/// have been somebody else who ended them.
const STRIKES: u32 = 3;

/// Something that may end the process is under way, and that is written down.
pub(super) struct Daring {
    _attempt: Attempt,
    /// Suspects are tried one after the other, so that it is known which it was.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Core {
    /// To be kept while code of a content runs in this process that did not run well there yet.
    pub(super) async fn dare(
        &self,
        plugin: &str,
        hash: Option<ContentHash>,
        placement: Placement,
    ) -> Option<Daring> {
        let (store, hash) = (self.store.as_ref()?, hash?);
        if placement == Placement::Process {
            return None;
        }
        let is_suspected = store.suspects().iter().any(|it| it.hash == hash);
        let turn = if is_suspected {
            Some(self.suspects.clone().lock_owned().await)
        } else {
            None
        };
        Some(Daring {
            _attempt: store.attempt(plugin, hash),
            _turn: turn,
        })
    }

    /// It went well.
    pub(super) fn acquit(&self, hash: Option<ContentHash>) {
        if let (Some(store), Some(hash)) = (&self.store, hash) {
            store.acquit(hash);
        }
    }

    /// Why a staged copy is not to be opened in this process. May take as long as opening it: to
    /// be called on a thread to spare.
    pub(super) fn vet(
        self: &std::sync::Arc<Self>,
        from: &Ingredients,
        staged: &Staged,
    ) -> Result<(), Problem> {
        let name = &from.manifest.name;
        let Some(store) = &self.store else {
            return Ok(());
        };
        if let Some(why) = store.fatal(staged.hash) {
            return Err(banned(name, &why));
        }
        let suspects = store.suspects();
        let suspect = suspects.iter().find(|it| it.hash == staged.hash);
        if let Some(suspect) = suspect.filter(|it| it.times >= STRIKES) {
            let why = format!(
                "the kernel's process ended {} times in a row while it was being opened or started",
                suspect.times
            );
            drop(self.ban(name, staged.hash, &why));
            return Err(banned(name, &why));
        }
        if !self.config.load().kernel.vet || self.has_served(name, staged.hash) {
            return Ok(());
        }
        self.open_to_throw_away(from, staged)
    }

    fn has_served(&self, name: &str, hash: ContentHash) -> bool {
        let standing = self
            .store
            .as_ref()
            .and_then(|store| store.standing(name).ok());
        let served = standing.map(|it| [it.current, it.previous]);
        served
            .into_iter()
            .flatten()
            .flatten()
            .any(|it| it.hash == hash)
    }

    /// Opens a copy in a process of its own, which is ended then.
    fn open_to_throw_away(
        self: &std::sync::Arc<Self>,
        from: &Ingredients,
        staged: &Staged,
    ) -> Result<(), Problem> {
        // As free as it would be in this process.
        let sandbox = Sandbox {
            off: true,
            ..Sandbox::default()
        };
        let containment = Containment {
            group: None,
            limits: Limits::default(),
            sandbox,
            ..from.containment.clone()
        };
        let from = Ingredients {
            containment,
            ..from.clone()
        };
        let options = self.worker_options(&from, staged)?;
        let worker = Worker::start(&options).map_err(|error| workers::problem_of(&error))?;
        let opened = worker.open(staged, from.manifest.clone());
        let error = match opened {
            Ok(generation) => {
                generation.unload();
                return Ok(());
            }
            Err(error) => error,
        };
        let Some(exit) = worker.exit() else {
            return Err(workers::problem_of(&error));
        };
        let why = format!("a process that opened it to try it {exit}");
        let name = &from.manifest.name;
        drop(self.ban(name, staged.hash, &why));
        Err(banned(name, &why))
    }
}

fn banned(plugin: &str, why: &str) -> Problem {
    let message = format!("plugin `{plugin}` is not opened in the kernel's process: {why}");
    let hint = format!(
        "put another build in its place, or give it a process of its own: `placement = \"process\"` in `[plugins.{plugin}]`"
    );
    Problem::new("refused", message, Some(hint))
}
