//! Loads configuration files on command, and keeps what they hold. Reading a file, and only one
//! that may be read, is the job of `file`.

mod file;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use octa_plugin_api::{Error, ErrorKind, Json, Result, Schema, Tentacle, log, tentacle};
use serde::{Deserialize, Serialize};

use file::Format;

/// The plugin's section of the configuration.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The directory that files are read from, also from below it.
    directory: PathBuf,
}

/// The parameters of a command about one file.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Named {
    /// Its path below the directory.
    name: String,
}

/// The parameters of `CLEAR_CONFIG`.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
struct MaybeNamed {
    /// A path below the directory; all files if it is left out.
    name: Option<String>,
}

/// A configuration that was loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
struct ConfigPayload {
    /// The path of its file below the directory.
    name: String,
    /// How the file is written.
    format: Format,
    /// How often it was loaded.
    revision: u64,
    /// What it holds.
    content: Json,
}

/// What the plugin remembers of a file.
#[derive(Debug)]
struct Loaded {
    config: ConfigPayload,
    /// Whether the file could be read when it was last tried.
    fresh: bool,
}

/// The plugin.
#[derive(Debug)]
struct ConfigLoader {
    directory: PathBuf,
    loaded: Mutex<BTreeMap<String, Loaded>>,
}

/// Loads configuration files on command.
#[tentacle]
impl Tentacle for ConfigLoader {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        Ok(Self {
            directory: settings.directory,
            loaded: Mutex::default(),
        })
    }

    /// The part of the files that are as the directory has them.
    fn health(&self) -> f64 {
        let loaded = self.loaded();
        let fresh = loaded.values().filter(|config| config.fresh).count();
        match loaded.len() {
            0 => 1.0,
            all => fresh as f64 / all as f64,
        }
    }

    /// Reads a file and keeps what it holds.
    #[capability("LOAD_CONFIG", idempotent, blocking)]
    fn load(&self, command: Named) -> Result<ConfigPayload> {
        let read = file::read(&self.directory, &command.name);
        let mut loaded = self.loaded();
        let earlier = loaded.get_mut(&command.name);
        let (format, content) = match (read, earlier) {
            (Ok(read), _) => read,
            (Err(error), Some(earlier)) => {
                earlier.fresh = false;
                return Err(error.with_hint("`GET_CONFIG` still gives what was loaded before"));
            }
            (Err(error), None) => return Err(error),
        };
        let revision = loaded.get(&command.name).map_or(0, |it| it.config.revision) + 1;
        let config = ConfigPayload {
            name: command.name.clone(),
            format,
            revision,
            content: content.into(),
        };
        log::info!("`{}` is loaded, revision {revision}", command.name);
        let kept = Loaded {
            config: config.clone(),
            fresh: true,
        };
        loaded.insert(command.name, kept);
        Ok(config)
    }

    /// Tells what a file held when it was loaded.
    #[capability("GET_CONFIG", idempotent)]
    fn get(&self, command: Named) -> Result<ConfigPayload> {
        let loaded = self.loaded();
        let found = loaded.get(&command.name);
        let found = found.ok_or_else(|| not_loaded(&command.name))?;
        Ok(found.config.clone())
    }

    /// Lists the files that are loaded.
    #[capability("LIST_CONFIGS", idempotent)]
    fn list(&self) -> Vec<String> {
        self.loaded().keys().cloned().collect()
    }

    /// Reads a loaded file again; what it held stays if it cannot be read.
    #[capability("RELOAD_CONFIG", idempotent, blocking)]
    fn reload(&self, command: Named) -> Result<ConfigPayload> {
        if !self.loaded().contains_key(&command.name) {
            return Err(not_loaded(&command.name));
        }
        self.load(command)
    }

    /// Forgets one file or all; answers how many.
    #[capability("CLEAR_CONFIG", idempotent)]
    fn clear(&self, command: MaybeNamed) -> usize {
        let mut loaded = self.loaded();
        let before = loaded.len();
        match command.name {
            Some(name) => drop(loaded.remove(&name)),
            None => loaded.clear(),
        }
        before - loaded.len()
    }
}

impl ConfigLoader {
    fn loaded(&self) -> MutexGuard<'_, BTreeMap<String, Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_loaded(name: &str) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("`{name}` is not loaded"));
    error.with_hint("load it with `LOAD_CONFIG`")
}

#[cfg(test)]
mod tests;
