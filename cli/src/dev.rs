//! Builds plugins with cargo and runs them; after every save, builds again and reloads.
//!
//! Nothing that fails on the way changes what runs.

mod build;
mod error;
mod news;
mod project;
mod saves;
mod session;
mod shelf;

use std::path::Path;

use octa_kernel::Config;

use crate::args;
use crate::config::Plan;
use crate::failure::Failure;
use crate::follow;
use crate::live::Style;
use crate::logging;
use crate::output;
use crate::run::Host;
use crate::world::World;
use build::Cargo;
use project::Project;
use saves::Saves;
use session::Session;
use shelf::Shelf;

/// Develops what was typed.
pub(crate) fn dev(typed: &args::Dev, json: bool, world: World) -> Result<(), Failure> {
    let cargo = Cargo::of(typed, &world);
    let projects = project::find(&typed.paths, &cargo)?;
    let plan = Plan::dev(typed, project::target(&projects), &world)?;
    let settled = settle(plan.config.clone());
    let host = Host {
        level: logging::install(&world, false),
        style: Some(if json { Style::Json } else { Style::Dev }),
        config: typed.config.clone(),
        plan: Plan {
            config: settled.clone(),
            ..plan
        },
    };
    let beginning = beginning(&host.plan.record.name, &projects, typed);
    let (file, built) = (typed.config.as_deref(), host.plan.plugins.clone());
    host.run(world, None, |kernel| {
        output::say(&beginning);
        let session = Session {
            kernel: kernel.clone(),
            cargo,
            saves: Saves::listen(&projects)?,
            projects,
            shelf: Shelf::open(&built)?,
            granted: file.is_none().then(|| settled.clone()),
        };
        Ok(async move {
            let following = follow::follow(&kernel, file, settled, settle);
            tokio::join!(session.run(), following);
        })
    })
}

/// What holds while developing: what is reloaded, and when, is decided here.
fn settle(mut config: Config) -> Config {
    config.kernel.watch = false;
    config
}

/// What is going to happen, and what else there is to know.
fn beginning(kernel: &str, projects: &[Project], typed: &args::Dev) -> String {
    let plugins = projects.iter().flat_map(|project| &project.plugins);
    let plugins: Vec<_> = plugins.map(|plugin| format!("`{}`", plugin.name)).collect();
    let plugins = plugins.join(", ");
    let granted = match typed.config.as_deref().map(Path::display) {
        Some(file) => format!("`{file}` says what plugins are granted"),
        None => "plugins are granted what they ask for".to_owned(),
    };
    format!(
        "octa dev: {plugins}, built anew after every save; `octa list`, `octa call` and the like \
         reach kernel `{kernel}` from another terminal; {granted}"
    )
}
