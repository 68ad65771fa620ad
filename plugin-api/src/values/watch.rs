//! Changes of values, as they are committed.

use std::{collections::VecDeque, fmt, marker::PhantomData};

use octa_plugin_abi::operation::changes_flag;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{Values, misread};
use crate::{Context, error::Result, payload::parse};

/// What a [`Watch`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// A value was written.
    Set {
        /// Its key.
        key: String,
        /// Its version.
        version: u64,
        /// What it is now.
        value: T,
    },
    /// A value was deleted, or its time to live was over.
    Deleted {
        /// Its key.
        key: String,
        /// The version that this took.
        version: u64,
    },
    /// Some changes are no longer kept: read what you follow again, and go on.
    Missed,
}

/// The changes of some keys, each once, in the order of their versions.
///
/// ```
/// # use octa_plugin_api::{Change, Context, Result};
/// async fn follow(ctx: &Context) -> Result<()> {
///     let mut rooms = ctx.state().watch::<u32>("room/").await?;
///     loop {
///         match rooms.next().await? {
///             Change::Set { key, value, .. } => octa_plugin_api::log::info!("{key} is {value}"),
///             Change::Deleted { key, .. } => octa_plugin_api::log::info!("{key} is gone"),
///             Change::Missed => {
///                 let _all = ctx.state().list_all::<u32>("room/").await?;
///             }
///         }
///     }
/// }
/// ```
///
/// A slow watch holds up nobody: the kernel keeps the latest 16,384 changes or 32 MiB, and tells who falls
/// behind that some were [missed](Change::Missed).
pub struct Watch<T> {
    context: Context,
    operation: u32,
    namespace: String,
    prefix: String,
    /// Changes that were fetched and not told yet.
    fetched: VecDeque<Wire>,
    /// The version up to which changes were fetched.
    next: u64,
    values: PhantomData<fn() -> T>,
}

/// Some changes as they cross.
#[derive(Deserialize)]
struct Fetched {
    changes: VecDeque<Wire>,
    missed: bool,
}

/// One change as it crosses. Without a value it is a deletion, `null` is a value.
#[derive(Deserialize)]
struct Wire {
    key: String,
    version: u64,
    #[serde(default, deserialize_with = "present")]
    value: Option<Box<RawValue>>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

impl<T: DeserializeOwned> Watch<T> {
    pub(super) fn new(values: Values<'_>, prefix: &str, version: u64) -> Self {
        Self {
            context: values.context.kept(),
            operation: values.operations.changes,
            namespace: values.namespace.to_owned(),
            prefix: prefix.to_owned(),
            fetched: VecDeque::new(),
            next: version,
            values: PhantomData,
        }
    }

    pub(super) async fn begin(values: Values<'_>, prefix: &str) -> Result<Self> {
        let mut watch = Self::new(values, prefix, 0);
        watch.fetch(changes_flag::NOW).await?;
        Ok(watch)
    }

    /// Waits for the next change. Dropping the future loses none, so it may stand in a `select!`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PluginGone`](crate::ErrorKind::PluginGone) when the plugin has ended, and
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) while the storage cannot be reached.
    /// A value that is not the JSON of a `T` is told as an error once; the next call goes on behind it.
    pub async fn next(&mut self) -> Result<Change<T>> {
        loop {
            if let Some(change) = self.fetched.pop_front() {
                return self.read(change);
            }
            if self.fetch(changes_flag::AFTER).await? {
                return Ok(Change::Missed);
            }
        }
    }

    /// The version up to which everything was told: where another watch can go on, as after a reload.
    pub fn version(&self) -> u64 {
        let first = self.fetched.front();
        first.map_or(self.next, |change| change.version.saturating_sub(1))
    }

    /// Fetches changes; answers whether some were missed. Given up, it has changed nothing.
    async fn fetch(&mut self, flags: u32) -> Result<bool> {
        let ask = self.context.ask(self.operation).flags(flags);
        let ask = ask.target(&self.namespace).key(&self.prefix);
        let answer = ask.number(self.next).await;
        let fetched: Fetched = answer.result?.parse()?;
        self.fetched = fetched.changes;
        self.next = answer.number;
        Ok(fetched.missed)
    }

    fn read(&self, change: Wire) -> Result<Change<T>> {
        let Wire {
            key,
            version,
            value,
        } = change;
        let Some(value) = value else {
            return Ok(Change::Deleted { key, version });
        };
        match parse(value.get().as_bytes()) {
            Ok(value) => Ok(Change::Set {
                key,
                version,
                value,
            }),
            Err(error) => Err(misread(&key, &self.namespace, error)),
        }
    }
}

impl<T> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("namespace", &self.namespace)
            .field("prefix", &self.prefix)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
