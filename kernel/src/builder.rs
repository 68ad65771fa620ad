//! Puts a kernel together.

use std::{
    ffi::OsString,
    fs, io,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize},
    thread::{self, available_parallelism},
    time::Duration,
};

use arc_swap::ArcSwap;
use octa_loader::{FileRules, Opener, StageDir, StageError, Store, StoreError};
use tempfile::TempDir;
use thiserror::Error;
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    Kernel,
    bus::Bus,
    config::{Config, NoSecrets, Secrets, StorageConfig, StorageKind},
    dead_letters::DeadLetters,
    facilities::Commons,
    journal::{Journals, Neighbours},
    kernel::{Running, RuntimeOwner},
    linked::Linked,
    manager::{Core, Manager, Workers},
    pool::{Keep, Pool},
    services::Services,
    spare::Spare,
    state::State,
    storage::{
        self, ConfiguredError, Memory, Storage, StorageAdapter,
        standby::{Follower, Parts, Site},
    },
    time::{Clock, SystemClock},
    watchdog::Watchdog,
};

/// How often a subscription that drops events is told of, at most.
const OVERFLOW_INTERVAL: Duration = Duration::from_secs(1);
/// How many threads the kernel's own timers and tasks have.
pub(crate) const RUNTIME_THREADS: usize = 2;

/// What a kernel is made of. Every part has a default but the plugins.
pub struct Builder {
    plugins: Option<PathBuf>,
    linked: Vec<Linked>,
    data: Option<PathBuf>,
    config: Config,
    secrets: Box<dyn Secrets + Send + Sync>,
    storage: Option<Storage>,
    clock: Option<Arc<dyn Clock>>,
    rules: FileRules,
    log_level: log::LevelFilter,
    workers: Workers,
}

/// Why no kernel could be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The data directory cannot be used.
    #[error("cannot use the data directory `{path}`")]
    Data {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no place for private copies of plugins.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// There is no place to keep what was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The storage cannot be opened.
    #[error(transparent)]
    Storage(#[from] ConfiguredError),
    /// The system gives no threads.
    #[error("cannot start the kernel's threads")]
    Threads(#[source] io::Error),
}

impl BuildError {
    /// The way out.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Data { path, .. } => Some(format!(
                "make `{}` a directory that this user may write",
                path.display()
            )),
            Self::Stage(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Storage(error) => error.hint(),
            Self::Threads(_) => None,
        }
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            plugins: None,
            linked: Vec::new(),
            data: None,
            config: Config::default(),
            secrets: Box::new(NoSecrets),
            storage: None,
            clock: None,
            rules: FileRules::default(),
            log_level: log::LevelFilter::Info,
            workers: Workers::default(),
        }
    }

    /// The directory of compiled plugins.
    #[must_use]
    pub fn plugins(mut self, directory: impl Into<PathBuf>) -> Self {
        self.plugins = Some(directory.into());
        self
    }

    /// A plugin that is part of this program.
    #[must_use]
    pub fn plugin(mut self, plugin: Linked) -> Self {
        self.linked.push(plugin);
        self
    }

    /// The directory for the database and for private copies of plugins. Without it they lie
    /// in a fresh directory under the system's temporary one, and storage in memory.
    #[must_use]
    pub fn data(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data = Some(directory.into());
        self
    }

    /// The configuration; see [`Config::parse`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Where `{ env = … }` and `{ file = … }` in the configuration are read from.
    #[must_use]
    pub fn secrets(mut self, secrets: impl Secrets + Send + Sync + 'static) -> Self {
        self.secrets = Box::new(secrets);
        self
    }

    /// The storage, instead of the one that the configuration names.
    #[must_use]
    pub fn storage(mut self, adapter: impl StorageAdapter) -> Self {
        self.storage = Some(Storage::new(adapter));
        self
    }

    /// The clock, instead of the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Which files are accepted as plugins.
    #[must_use]
    pub fn file_rules(mut self, rules: FileRules) -> Self {
        self.rules = rules;
        self
    }

    /// The most verbose level that plugins write into the log.
    #[must_use]
    pub fn log_level(mut self, level: log::LevelFilter) -> Self {
        self.log_level = level;
        self
    }

    /// The program that carries plugins in processes of their own, unless the configuration names
    /// another: `octa-worker`, or a program that calls the entry function of the package
    /// `octa-worker` first of all.
    #[must_use]
    pub fn worker(mut self, program: impl Into<PathBuf>) -> Self {
        self.workers.program = Some(program.into());
        self
    }

    /// The environment of those processes: nothing by default.
    #[must_use]
    pub fn worker_environment(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        self.workers.environment = variables.into_iter().collect();
        self
    }

    /// Puts the kernel together. No plugin is looked at yet.
    ///
    /// # Errors
    ///
    /// If the data directory, the storage or threads are not to be had.
    pub fn build(mut self) -> Result<Kernel, BuildError> {
        let threads = available_parallelism().map_or(2, usize::from).max(2);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("octa-kernel")
            .on_thread_park(octa_loader::tidy_thread)
            .enable_all()
            .build()
            .map_err(BuildError::Threads)?;
        let handle = runtime.handle().clone();
        // Before any error: dropping the bare one is an error itself, inside another runtime.
        let runtime = Arc::new(RuntimeOwner(Some(runtime)));
        let neighbours = self.neighbours();
        let (storage, site) = self.open_storage(&handle)?;
        let stage = self.open_stage()?;
        let store = stage.as_ref().map(|stage| Store::open(&stage.data));
        let store = store.transpose()?.map(Arc::new);
        let clock = self.clock.take();
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock::new(handle.clone())));
        let wall = clock.clone();
        let bus = Bus::new(Arc::new(move || nanos(wall.wall())));
        let keep: Keep = runtime.clone();
        let spare = Spare::new(&keep);
        let deadline = self.config.kernel.call_deadline;
        let pool = Pool::new(threads, &keep);
        let services = Services::new(clock.clone(), spare.clone(), pool.clone(), deadline);
        services.configure(&self.config);
        let journals = Journals::new(&storage, &bus, &clock, &handle, neighbours);
        let commons = Commons {
            journals,
            services,
            state: State::new(clock.clone(), self.config.state.quota),
            storage,
            pool,
            runtime: handle.clone(),
            bus,
            letters: DeadLetters::new(clock.clone()),
            clock,
        };
        handle.spawn(commons.letters.keep(commons.storage.clone()));
        handle.spawn(commons.journals.run());
        handle.spawn(commons.state.expire());
        handle.spawn(commons.bus.report_overflow(OVERFLOW_INTERVAL));
        let standby = site.map(|site| {
            Follower::start(Parts {
                primary: commons.storage.adapter().clone(),
                site,
                clock: commons.clock.clone(),
                publisher: commons.bus.publisher("kernel"),
                runtime: handle.clone(),
                keep: keep.clone(),
            })
        });
        let standby = standby.transpose().map_err(BuildError::Threads)?;
        let (events, inbox) = mpsc::unbounded_channel();
        let (records, to_record) = mpsc::unbounded_channel();
        let watchdog = Watchdog::default();
        let core = Arc::new(Core {
            commons: commons.clone(),
            spare: spare.clone(),
            config: ArcSwap::from_pointee(self.config),
            secrets: self.secrets,
            directory: self.plugins,
            linked: self.linked,
            rules: self.rules,
            opener: Opener::default(),
            workers: self.workers,
            suspects: Arc::default(),
            stage,
            store,
            log_level: self.log_level,
            events: events.clone(),
            records,
            endings: AtomicUsize::new(0),
            watchdog: watchdog.clone(),
        });
        watchdog.begin(&core);
        let view = Arc::new(ArcSwap::default());
        Manager::spawn(core, inbox, to_record, view.clone());
        Ok(Kernel::new(Running {
            commons,
            events,
            view,
            spare,
            watchdog,
            standby,
            _runtime: runtime,
        }))
    }

    /// A database file has one kernel alone, as has memory; of others that is not known.
    fn neighbours(&self) -> Neighbours {
        let adapter = self.config.storage.adapter;
        let is_alone = matches!(adapter, StorageKind::Sqlite | StorageKind::Memory);
        match is_alone && self.storage.is_none() {
            true => Neighbours::None,
            false => Neighbours::Perhaps,
        }
    }

    fn open_storage(&mut self, runtime: &Handle) -> Result<(Storage, Option<Site>), BuildError> {
        let (config, secrets) = (&self.config.storage, &*self.secrets);
        let given = self.storage.take();
        if let Some(storage) = given.or_else(|| self.forgetful_storage()) {
            return Ok((storage.with_quotas(config.quotas.clone()), None));
        }
        let data = self.data.as_deref().unwrap_or(Path::new(""));
        if self.data.is_some() {
            make_directory(data)?;
        }
        // On a thread of its own: the runtime carries the connections to a server, and its
        // `block_on` is an error where this is built inside another runtime.
        let opening = || runtime.block_on(storage::open_followed(config, data, secrets));
        let opened = thread::scope(|scope| {
            let thread = thread::Builder::new().spawn_scoped(scope, opening);
            thread.map(|thread| thread.join())
        });
        let opened = opened.map_err(BuildError::Threads)?;
        Ok(opened.unwrap_or_else(|panic| resume_unwind(panic))?)
    }

    /// What there is instead of a file where there is no place for one, and none was asked for.
    fn forgetful_storage(&self) -> Option<Storage> {
        let (config, default) = (&self.config.storage, StorageConfig::default());
        let is_asked_for = config.path != default.path || config.standby.is_some();
        let is_file = config.adapter == StorageKind::Sqlite;
        (is_file && self.data.is_none() && !is_asked_for).then(|| Storage::new(Memory::new()))
    }

    /// A place for private copies, if there is anything to copy.
    fn open_stage(&self) -> Result<Option<Stage>, BuildError> {
        if self.plugins.is_none() {
            return Ok(None);
        }
        let Some(data) = &self.data else {
            let temporary = tempfile::Builder::new().prefix("octa-").tempdir();
            let temporary = temporary.map_err(|source| BuildError::Data {
                path: std::env::temp_dir(),
                source,
            })?;
            let copies = StageDir::open(temporary.path())?;
            return Ok(Some(Stage {
                data: temporary.path().to_owned(),
                copies,
                _temporary: Some(temporary),
            }));
        };
        make_directory(data)?;
        let copies = StageDir::open(data)?;
        if let Err(error) = copies.sweep() {
            log::warn!(
                "leftovers of other kernels stay in `{}`: {error}",
                data.display()
            );
        }
        Ok(Some(Stage {
            data: data.clone(),
            copies,
            _temporary: None,
        }))
    }
}

/// Where private copies of plugins lie.
pub(crate) struct Stage {
    /// The data directory, or a temporary one in its place.
    data: PathBuf,
    pub(crate) copies: StageDir,
    /// Removed with the kernel; libraries that are mapped do not need their names any more.
    _temporary: Option<TempDir>,
}

fn make_directory(path: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(path).map_err(|source| BuildError::Data {
        path: path.to_owned(),
        source,
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("plugins", &self.plugins)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_asked_for_is_opened_without_a_data_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("asked.db");
        let mut config = Config::default();
        config.storage.path.clone_from(&path);
        let kernel = Kernel::builder().config(config).build().expect("it opens");
        assert!(path.is_file());
        drop(kernel);
    }
}
