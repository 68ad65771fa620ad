//! Round after round: builds, hands what was built to the kernel, and says what came of it.

use std::path::PathBuf;
use std::time::Duration;

use octa_kernel::config::{Allow, PluginConfig};
use octa_kernel::lifecycle::State;
use octa_kernel::{Config, Kernel, PluginError, PluginStatus};
use tokio::task::spawn_blocking;

use super::build::{Built, Cargo};
use super::news::{News, line};
use super::project::{self, Project};
use super::saves::Saves;
use super::shelf::{Laid, Shelf};
use crate::answer::ErrorBody;
use crate::failure::Failure;
use crate::reloads::{Generation, Reloaded};
use crate::{output, show, world};

/// Everything that developing takes.
#[derive(Debug)]
pub(crate) struct Session {
    /// Where the plugins run.
    pub(crate) kernel: Kernel,
    /// What builds them.
    pub(crate) cargo: Cargo,
    /// What they are built from.
    pub(crate) projects: Vec<Project>,
    /// Where the kernel takes them from.
    pub(crate) shelf: Shelf,
    /// What tells of changes.
    pub(crate) saves: Saves,
    /// The configuration, where this grants what plugins ask for and no file says what they may.
    pub(crate) granted: Option<Config>,
}

/// A plugin that serves what was built.
struct Serving {
    what: &'static str,
    told: String,
    number: u64,
}

impl Session {
    /// Builds now and after every save; never ends.
    pub(crate) async fn run(mut self) {
        if let Some(why) = &self.saves.polls {
            log::warn!(target: "octa", "saves are looked for from time to time only: {why}");
        }
        let mut news = News::of(&self.kernel).await;
        let mut is_first = true;
        loop {
            self.round(&mut news, is_first).await;
            is_first = false;
            let saved = news.meanwhile(self.saves.next()).await;
            if saved.manifests {
                self.look_again().await;
            }
        }
    }

    /// Takes up what has changed in the manifests; with bad ones, what was known holds on, and the
    /// build tells what is wrong.
    async fn look_again(&mut self) {
        let (cargo, projects) = (self.cargo.clone(), self.projects.clone());
        let roots = projects.into_iter().map(|project| project.paths);
        let roots: Vec<_> = roots.flatten().collect();
        let found = spawn_blocking(move || project::find(&roots, &cargo)).await;
        if let Ok(Ok(projects)) = found {
            self.projects = projects;
        }
    }

    async fn round(&mut self, news: &mut News, is_first: bool) {
        news.turn_the_page();
        self.saves.follow(&self.projects);
        // The first one may take a while; then it is good to see it go on.
        let building = self.cargo.build(&self.projects, !is_first);
        let is_well = match news.meanwhile(building).await {
            Ok(Some(built)) => self.take_up(built, news).await,
            Ok(None) => false,
            Err(error) => {
                output::say(&Failure::from(error).to_string());
                false
            }
        };
        if !is_well {
            output::say(&still_serving(&self.kernel.plugins()));
        }
    }

    /// Hands what was built to the kernel; answers whether all of it serves.
    async fn take_up(&mut self, built: Built, news: &mut News) -> bool {
        let Built { libraries, took } = built;
        let (laid, is_well) = self.lay(libraries);
        for other in laid.iter().filter_map(|laid| laid.instead_of.as_deref()) {
            // There is no such plugin any more; that it cannot be unloaded is no news.
            drop(self.kernel.unload_plugin(other).await);
        }
        self.grant(&laid).await;
        let (same, new): (Vec<_>, Vec<_>) = laid.iter().partition(|laid| self.serves(laid));
        for status in same.iter().filter_map(|laid| self.status(&laid.plugin)) {
            say("unchanged", &named(&status), took);
        }
        let new = new.into_iter().cloned().collect();
        self.bring(new, took, news).await && is_well
    }

    fn lay(&mut self, libraries: Vec<(String, PathBuf)>) -> (Vec<Laid>, bool) {
        let count = libraries.len();
        let lay = |(package, file): (String, PathBuf)| match self.shelf.lay(&package, &file) {
            Ok(laid) => Some(laid),
            Err(error) => {
                output::say(&Failure::from(error).to_string());
                None
            }
        };
        let laid: Vec<Laid> = libraries.into_iter().filter_map(lay).collect();
        let is_well = laid.len() == count;
        (laid, is_well)
    }

    /// Grants plugins that were not there before what they will ask for.
    async fn grant(&mut self, laid: &[Laid]) {
        let Some(config) = &mut self.granted else {
            return;
        };
        let known = config.plugins.len();
        for Laid { plugin, .. } in laid {
            let section = || PluginConfig {
                allow: everything(),
                ..PluginConfig::default()
            };
            config.plugins.entry(plugin.clone()).or_insert_with(section);
        }
        if config.plugins.len() > known {
            self.kernel.apply(config.clone()).await;
        }
    }

    /// Whether the very file that was built serves already.
    fn serves(&self, laid: &Laid) -> bool {
        self.status(&laid.plugin).is_some_and(|status| {
            let hash = status.generation.and_then(|generation| generation.hash);
            status.state == State::Started && hash == Some(laid.hash.to_string())
        })
    }

    fn status(&self, plugin: &str) -> Option<PluginStatus> {
        let mut plugins = self.kernel.plugins().into_iter();
        plugins.find(|status| status.name == plugin)
    }

    /// Brings plugins to what was built, and says of each what came of it. One that fails is tried
    /// again as long as others succeed: it may need what they newly offer.
    async fn bring(&self, mut new: Vec<Laid>, took: Duration, news: &mut News) -> bool {
        if self.kernel.plugins().is_empty()
            // All at once, so that none fails for want of one that comes after it.
            && let Err(error) = self.kernel.start().await
        {
            output::say(&Failure::from(error).to_string());
            return false;
        }
        while !new.is_empty() {
            let mut failed = Vec::new();
            for laid in &new {
                match self.bring_one(laid).await {
                    Ok(serving) => {
                        news.tells_of(&laid.plugin, serving.number);
                        say(serving.what, &serving.told, took);
                    }
                    Err(error) => failed.push((laid.clone(), error)),
                }
            }
            if failed.len() == new.len() {
                for (_, PluginError(problem)) in failed {
                    news.tells(&problem.message);
                    output::say(&Failure::from(ErrorBody::from(problem)).to_string());
                }
                return false;
            }
            new = failed.into_iter().map(|(laid, _)| laid).collect();
        }
        true
    }

    async fn bring_one(&self, laid: &Laid) -> Result<Serving, PluginError> {
        let Laid { plugin, .. } = laid;
        let is_started = |status: PluginStatus| status.state == State::Started;
        // It may have come up by itself, with what it was waiting for.
        if !self.serves(laid) && !self.status(plugin).is_some_and(is_started) {
            self.kernel.start_plugin(plugin).await?;
        }
        // Of a build that failed before, the kernel starts the one that served instead.
        if !self.serves(laid) {
            let reloaded = self.kernel.reload_plugin(plugin).await?;
            return Ok(Serving {
                what: "reloaded",
                told: Reloaded::from(&reloaded).to_text(),
                number: reloaded.to.number,
            });
        }
        let status = self.status(plugin);
        let generation = status.as_ref().and_then(|it| it.generation.as_ref());
        Ok(Serving {
            what: "started",
            number: generation.map_or(0, |generation| generation.number),
            told: status.as_ref().map_or(plugin.clone(), named),
        })
    }
}

/// Grants of everything: what a manifest does not ask for is refused in spite of them.
fn everything() -> Allow {
    let all: Vec<_> = "**".parse().into_iter().collect();
    Allow {
        call: all.clone(),
        publish: all.clone(),
        subscribe: all.clone(),
        storage: all.clone(),
        state: all.clone(),
        provide: all,
    }
}

fn say(what: &str, told: &str, took: Duration) {
    let took = show::took(took);
    line(
        world::now_nanos(),
        what,
        &format!("{told}, built in {took}"),
    );
}

/// `counter 1.0.0 (gen 3, 1a2b3c4d)`.
fn named(status: &PluginStatus) -> String {
    let generation = status.generation.as_ref().map(Generation::from);
    let text = generation.map_or(status.version.clone(), |it| it.to_text());
    format!("{} {text}", status.name)
}

/// What goes on as it was.
fn still_serving(plugins: &[PluginStatus]) -> String {
    let started = plugins.iter().filter(|it| it.state == State::Started);
    let started: Vec<String> = started.map(named).collect();
    match started.len() {
        0 => "nothing serves; the next save is built".to_owned(),
        _ => format!("still serving {}", started.join(", ")),
    }
}
