//! The in-memory state and the durable storage, with typed values.

use octa_plugin_abi::operation::{self, expect};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Context, Payload,
    error::{Error, ErrorKind, Result},
};

/// How often [`Storage::update`] tries again when others write meanwhile.
const UPDATE_ATTEMPTS: usize = 64;

/// A value and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Its version; grows with every write.
    pub version: u64,
}

/// Which version a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Any, or none.
    Any,
    /// The key is absent.
    Absent,
    /// This one.
    Version(u64),
}

impl Expect {
    fn to_abi(self) -> (u32, u64) {
        match self {
            Self::Any => (expect::ANY, 0),
            Self::Absent => (expect::ABSENT, 0),
            Self::Version(version) => (expect::VERSION, version),
        }
    }
}

/// The operations by which one facility is reached.
#[derive(Debug, Clone, Copy)]
struct Operations {
    get: u32,
    set: u32,
    delete: u32,
}

const STATE: Operations = Operations {
    get: operation::STATE_GET,
    set: operation::STATE_SET,
    delete: operation::STATE_DELETE,
};

const STORAGE: Operations = Operations {
    get: operation::STORAGE_GET,
    set: operation::STORAGE_SET,
    delete: operation::STORAGE_DELETE,
};

/// A namespace of values, whichever facility holds it.
#[derive(Debug, Clone, Copy)]
struct Values<'a> {
    context: &'a Context,
    namespace: &'a str,
    operations: Operations,
}

impl Values<'_> {
    async fn get<T: DeserializeOwned>(self, key: &str) -> Result<Option<Versioned<T>>> {
        let ask = self
            .context
            .ask(self.operations.get)
            .target(self.namespace)
            .key(key);
        let answer = ask.await;
        match answer.result {
            Ok(value) => {
                let value = value.parse().map_err(|e| {
                    e.context(format_args!("`{key}` in namespace `{}`", self.namespace))
                })?;
                Ok(Some(Versioned {
                    value,
                    version: answer.number,
                }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn set<T: Serialize + ?Sized>(self, key: &str, value: &T, expect: Expect) -> Result<u64> {
        let (flags, version) = expect.to_abi();
        let ask = self
            .context
            .ask(self.operations.set)
            .target(self.namespace)
            .key(key);
        let answer = ask
            .expect(flags, version)
            .payload(Payload::json(value)?)
            .await;
        answer.result.map(|_| answer.number)
    }

    async fn delete(self, key: &str, expect: Expect) -> Result<bool> {
        let (flags, version) = expect.to_abi();
        let ask = self
            .context
            .ask(self.operations.delete)
            .target(self.namespace)
            .key(key);
        let answer = ask.expect(flags, version).await;
        answer.result.map(|_| answer.number > 0)
    }

    async fn try_update<T>(
        self,
        key: &str,
        mut change: impl FnMut(Option<T>) -> Result<T>,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
    {
        for _ in 0..UPDATE_ATTEMPTS {
            let (found, expect) = match self.get::<T>(key).await? {
                Some(found) => (Some(found.value), Expect::Version(found.version)),
                None => (None, Expect::Absent),
            };
            let value = change(found)?;
            match self.set(key, &value, expect).await {
                Ok(_) => return Ok(value),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        let message = format!("`{key}` changed {UPDATE_ATTEMPTS} times while it was updated");
        Err(Error::new(ErrorKind::Conflict, message))
    }
}

macro_rules! facility {
    ($(#[$doc:meta])* $name:ident, $operations:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<'a>(Values<'a>);

        impl<'a> $name<'a> {
            pub(crate) fn new(context: &'a Context, namespace: &'a str) -> Self {
                Self(Values { context, namespace, operations: $operations })
            }

            /// Reads a value.
            ///
            /// # Errors
            ///
            /// A missing permission, or a value that is not the JSON of a `T`.
            pub async fn get<T: DeserializeOwned>(self, key: &str) -> Result<Option<T>> {
                Ok(self.0.get(key).await?.map(|found| found.value))
            }

            /// Reads a value and its version.
            ///
            /// # Errors
            ///
            /// As [`get`](Self::get).
            pub async fn get_versioned<T>(self, key: &str) -> Result<Option<Versioned<T>>>
            where
                T: DeserializeOwned,
            {
                self.0.get(key).await
            }

            /// Writes a value, whatever was there; answers its version.
            ///
            /// # Errors
            ///
            /// A missing permission, an invalid key, or a value that is too large.
            pub async fn set<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Result<u64> {
                self.0.set(key, value, Expect::Any).await
            }

            /// Writes a value if the expected version is there; answers the new version.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Conflict`] if another version was found; else as [`set`](Self::set).
            pub async fn compare_and_set<T>(self, key: &str, value: &T, expect: Expect) -> Result<u64>
            where
                T: Serialize + ?Sized,
            {
                self.0.set(key, value, expect).await
            }

            /// Changes a value, starting from the default if there is none; answers what was
            /// written. Changed by others meanwhile, it is read and changed again.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Conflict`] if others were faster 64 times; else as
            /// [`get`](Self::get) and [`set`](Self::set).
            pub async fn update<T, R>(
                self,
                key: &str,
                mut change: impl FnMut(&mut T) -> R,
            ) -> Result<T>
            where
                T: Serialize + DeserializeOwned + Default,
            {
                let changed = |found: Option<T>| {
                    let mut value = found.unwrap_or_default();
                    change(&mut value);
                    Ok(value)
                };
                self.0.try_update(key, changed).await
            }

            /// Makes a new value of the old one, or of none; answers what was written. Changed by
            /// others meanwhile, it is read and made again. An error of `change` writes nothing.
            ///
            /// # Errors
            ///
            /// That of `change`; else as [`update`](Self::update).
            pub async fn try_update<T>(
                self,
                key: &str,
                change: impl FnMut(Option<T>) -> Result<T>,
            ) -> Result<T>
            where
                T: Serialize + DeserializeOwned,
            {
                self.0.try_update(key, change).await
            }

            /// Deletes a value; answers whether there was one.
            ///
            /// # Errors
            ///
            /// A missing permission.
            pub async fn delete(self, key: &str) -> Result<bool> {
                self.0.delete(key, Expect::Any).await
            }
        }
    };
}

facility! {
    /// Versioned values in memory, shared by name; gone when the kernel stops.
    State, STATE
}

facility! {
    /// Versioned values in the database; a write is durable when it is answered.
    Storage, STORAGE
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry<T> {
    /// The key.
    pub key: String,
    /// The version of the value.
    pub version: u64,
    /// The value.
    pub value: T,
}

/// One page of a list, in the order of the keys' bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Page<T> {
    /// The entries.
    pub entries: Vec<Entry<T>>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<String>,
}

impl State<'_> {
    /// Lists the values whose keys start with `prefix`.
    ///
    /// # Errors
    ///
    /// A missing permission, or a value that is not the JSON of a `T`.
    pub async fn list<T: DeserializeOwned>(self, prefix: &str) -> Result<Vec<Entry<T>>> {
        let ask = self
            .0
            .context
            .ask(operation::STATE_LIST)
            .target(self.0.namespace)
            .key(prefix);
        ask.await.result?.parse()
    }
}

impl Storage<'_> {
    /// Lists a page of at most `limit` values whose keys start with `prefix`, after the key
    /// `after`. Writes meanwhile do not make it skip or repeat other keys.
    ///
    /// # Errors
    ///
    /// A missing permission, or a value that is not the JSON of a `T`.
    pub async fn list<T: DeserializeOwned>(
        self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<T>> {
        let ask = self
            .0
            .context
            .ask(operation::STORAGE_LIST)
            .target(self.0.namespace)
            .key(prefix);
        let after = Payload::copy_from_slice(after.unwrap_or_default().as_bytes());
        ask.number(limit.into())
            .payload(after)
            .await
            .result?
            .parse()
    }

    /// Does all writes of `batch` or none; answers the new versions, 0 for deletions.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] names the first write that found another version.
    pub async fn batch(self, batch: Batch) -> Result<Vec<u64>> {
        let ask = self
            .0
            .context
            .ask(operation::STORAGE_BATCH)
            .target(self.0.namespace);
        let versions: Vec<Option<u64>> = ask
            .payload(Payload::json(&batch.writes)?)
            .await
            .result?
            .parse()?;
        Ok(versions
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect())
    }
}

/// Writes that are done together or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    writes: Vec<Write>,
}

#[derive(Debug, Serialize)]
struct Write {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<u64>,
}

impl Batch {
    /// A batch of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write.
    ///
    /// # Errors
    ///
    /// If `value` refuses to be serialised.
    pub fn set<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Result<Self> {
        self.compare_and_set(key, value, Expect::Any)
    }

    /// Adds a write that expects a version.
    ///
    /// # Errors
    ///
    /// If `value` refuses to be serialised.
    pub fn compare_and_set<T>(mut self, key: &str, value: &T, expect: Expect) -> Result<Self>
    where
        T: Serialize + ?Sized,
    {
        let value = Some(serde_json::to_value(value)?);
        let expect = match expect {
            Expect::Any => None,
            Expect::Absent => Some(0),
            Expect::Version(version) => Some(version),
        };
        self.writes.push(Write {
            key: key.to_owned(),
            value,
            expect,
        });
        Ok(self)
    }

    /// Adds a deletion.
    #[must_use]
    pub fn delete(mut self, key: &str) -> Self {
        self.writes.push(Write {
            key: key.to_owned(),
            value: None,
            expect: None,
        });
        self
    }
}
