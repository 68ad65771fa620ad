//! Follows the configuration file of a running kernel: what it says anew holds once the file has
//! settled and is understood; until then, and else, what it said before.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use octa_kernel::{Applied, Config, Kernel};
use octa_loader::{Mode, WatchOptions, Watcher};
use tokio::sync::Notify;

use crate::answer::ErrorBody;
use crate::config;
use crate::failure::Failure;

/// Applies every change of the file, after `settle`; never ends. `current` is what holds already.
pub(crate) async fn follow(
    kernel: &Kernel,
    path: Option<&Path>,
    mut current: Config,
    settle: impl Fn(Config) -> Config,
) {
    let Some(path) = path else {
        return pending().await;
    };
    let saved = Arc::new(Notify::new());
    let _watcher = watch(path, &saved);
    // It may have been saved since it was read for the start.
    saved.notify_one();
    loop {
        saved.notified().await;
        match config::read(path).map(&settle) {
            Ok(config) if config == current => {}
            Ok(config) => {
                current = config.clone();
                tell(path, &kernel.apply(config).await);
            }
            Err(error) => log::error!(
                target: "octa",
                "{}; what held before holds on",
                in_one_line(&Failure::from(error).body())
            ),
        }
    }
}

/// Wakes who waits for `saved` whenever the file has settled after a change.
fn watch(path: &Path, saved: &Arc<Notify>) -> Option<Watcher> {
    let saved = saved.clone();
    let files = [path.to_owned()];
    let watcher = Watcher::new(None, &files, WatchOptions::default(), move |_change| {
        saved.notify_one();
    });
    let path = path.display();
    match &watcher {
        Ok(watcher) => {
            if let Mode::Polling { why } = watcher.mode() {
                log::warn!(target: "octa", "`{path}` is looked at from time to time only: {why}");
            }
        }
        Err(error) => log::warn!(target: "octa", "`{path}` is not watched: {error}"),
    }
    watcher.ok()
}

fn tell(path: &Path, applied: &Applied) {
    let path = path.display();
    match applied.plugins.len() {
        0 => log::info!(target: "octa", "`{path}` is applied"),
        _ => {
            let plugins = applied.plugins.join("`, `");
            log::info!(target: "octa", "`{path}` is applied; it concerns `{plugins}`");
        }
    }
    for problem in &applied.problems {
        let told = in_one_line(&problem.clone().into());
        log::warn!(target: "octa", "{}", within(&path.to_string(), told));
    }
}

/// What is told of a file, with its name unless that begins with the place in it.
fn within(path: &str, told: String) -> String {
    match told.strip_prefix(path) {
        Some(place) if place.starts_with(':') => told,
        _ => format!("`{path}`: {told}"),
    }
}

/// An error and its hint, for the log.
fn in_one_line(error: &ErrorBody) -> String {
    let hint = error.hint.as_ref().map(|hint| format!(" (hint: {hint})"));
    format!("{}{}", error.message, hint.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_once() {
        for (told, expect) in [
            ("a/octa.toml:1:2: wrong", "a/octa.toml:1:2: wrong"),
            (
                "`storage` has changed",
                "`a/octa.toml`: `storage` has changed",
            ),
            ("a/octa.toml is odd", "`a/octa.toml`: a/octa.toml is odd"),
        ] {
            assert_eq!(within("a/octa.toml", told.to_owned()), expect);
        }
    }
}
