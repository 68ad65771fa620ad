//! The in-memory state and the durable storage, with typed values.

mod batch;
mod lasting;
mod pages;
mod watch;

use octa_plugin_abi::operation::{self, expect};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Context, Payload,
    error::{Error, ErrorKind, Result},
    host::Ask,
};
pub use batch::Batch;
pub use pages::{Entry, Page};
pub use watch::{Change, Watch};

/// How often [`State::update`] and [`Storage::update`] try again when others write meanwhile.
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
    list: u32,
    changes: u32,
}

const STATE: Operations = Operations {
    get: operation::STATE_GET,
    set: operation::STATE_SET,
    delete: operation::STATE_DELETE,
    list: operation::STATE_LIST,
    changes: operation::STATE_CHANGES,
};

const STORAGE: Operations = Operations {
    get: operation::STORAGE_GET,
    set: operation::STORAGE_SET,
    delete: operation::STORAGE_DELETE,
    list: operation::STORAGE_LIST,
    changes: operation::STORAGE_CHANGES,
};

/// A namespace of values, whichever facility holds it.
#[derive(Debug, Clone, Copy)]
struct Values<'a> {
    context: &'a Context,
    namespace: &'a str,
    operations: Operations,
}

impl<'a> Values<'a> {
    fn ask(self, operation: u32, key: &'a str) -> Ask<'a> {
        self.context.ask(operation).target(self.namespace).key(key)
    }

    async fn get<T: DeserializeOwned>(self, key: &'a str) -> Result<Option<Versioned<T>>> {
        let answer = self.ask(self.operations.get, key).await;
        match answer.result {
            Ok(value) => {
                let value = value.parse().map_err(|e| misread(key, self.namespace, e))?;
                Ok(Some(Versioned {
                    value,
                    version: answer.number,
                }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn set<T: Serialize + ?Sized>(
        self,
        key: &'a str,
        value: &T,
        expect: Expect,
    ) -> Result<u64> {
        let (flags, version) = expect.to_abi();
        let ask = self.ask(self.operations.set, key).expect(flags, version);
        let answer = ask.payload(Payload::json(value)?).await;
        answer.result.map(|_| answer.number)
    }

    async fn delete(self, key: &'a str, expect: Expect) -> Result<bool> {
        let (flags, version) = expect.to_abi();
        let ask = self.ask(self.operations.delete, key);
        let answer = ask.expect(flags, version).await;
        answer.result.map(|_| answer.number > 0)
    }

    async fn try_update<T>(
        self,
        key: &'a str,
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

fn misread(key: &str, namespace: &str, error: Error) -> Error {
    error.context(format_args!("`{key}` in namespace `{namespace}`"))
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
            pub async fn get<T: DeserializeOwned>(self, key: &'a str) -> Result<Option<T>> {
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
            /// A missing permission or an invalid key.
            pub async fn delete(self, key: &str) -> Result<bool> {
                self.0.delete(key, Expect::Any).await
            }

            /// Deletes a value if the expected version is there; answers whether there was one.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Conflict`] if another version was found; else as
            /// [`delete`](Self::delete).
            pub async fn compare_and_delete(self, key: &str, expect: Expect) -> Result<bool> {
                self.0.delete(key, expect).await
            }

            /// Lists a page of at most `limit` values (1 to 1000) whose keys start with `prefix`,
            /// after the key `after`. Writes meanwhile do not make it skip or repeat other keys.
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
                self.0.list(prefix, after, limit).await
            }

            /// Lists all values whose keys start with `prefix`, page by page: what is written
            /// meanwhile is in it, or not.
            ///
            /// # Errors
            ///
            /// As [`list`](Self::list).
            pub async fn list_all<T: DeserializeOwned>(self, prefix: &str) -> Result<Vec<Entry<T>>> {
                self.0.list_all(prefix).await
            }

            /// Watches the keys that start with `prefix`, from now on: each change once, in order.
            ///
            /// To follow values from what they are now, watch first and read then.
            ///
            /// # Errors
            ///
            /// A missing permission or an invalid prefix.
            pub async fn watch<T: DeserializeOwned>(self, prefix: &str) -> Result<Watch<T>> {
                Watch::begin(self.0, prefix).await
            }

            /// Watches the keys that start with `prefix`, from behind a version on: where an
            /// earlier [`Watch`] had [come to](Watch::version). What is amiss is told by the first
            /// [`next`](Watch::next).
            pub fn watch_after<T: DeserializeOwned>(self, prefix: &str, version: u64) -> Watch<T> {
                Watch::new(self.0, prefix, version)
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
