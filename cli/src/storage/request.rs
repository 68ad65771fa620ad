//! What can be asked of a storage, over the admin socket or in this process alike.

use octa_kernel::storage::Expect;

use crate::client::{Ask, encode};

/// The header of a write with what it expects to find.
pub(crate) const EXPECT: &str = "octa-expect";
/// The header that allows what is refused by default.
pub(crate) const FORCE: &str = "octa-force";

/// A question about the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// What it is and holds.
    Stats,
    /// One record.
    Get {
        /// Its namespace.
        namespace: String,
        /// Its key.
        key: String,
    },
    /// One page of a namespace.
    List {
        /// The namespace.
        namespace: String,
        /// What the keys start with.
        prefix: String,
        /// The key that the page comes behind.
        after: Option<String>,
        /// The most entries.
        limit: Option<usize>,
    },
    /// The writing of a value.
    Set {
        /// Its namespace.
        namespace: String,
        /// Its key.
        key: String,
        /// The value, in JSON.
        value: String,
        /// What must be there.
        expect: Expect,
        /// Whether the kernel's own may be written.
        force: bool,
    },
    /// The deletion of a record.
    Delete {
        /// Its namespace.
        namespace: String,
        /// Its key.
        key: String,
        /// What must be there.
        expect: Expect,
        /// Whether the kernel's own may be deleted.
        force: bool,
    },
}

impl Request {
    /// The same for the admin socket.
    pub(crate) fn ask(&self) -> Ask {
        match self {
            Self::Stats => Ask::get(&["storage"]),
            Self::Get { namespace, key } => Ask::get(&["storage", namespace, key]),
            Self::List {
                namespace,
                prefix,
                after,
                limit,
            } => {
                let limit = limit.map(|limit| limit.to_string());
                let given = [
                    ("prefix", Some(prefix)),
                    ("after", after.as_ref()),
                    ("limit", limit.as_ref()),
                ];
                let given = given.into_iter().filter_map(|(name, value)| {
                    let value = value.filter(|value| !value.is_empty())?;
                    Some(format!("{name}={}", encode(value)))
                });
                let query = given.collect::<Vec<_>>().join("&");
                let query = Some(query).filter(|query| !query.is_empty());
                Ask::get(&["storage", namespace]).query(query.as_deref())
            }
            Self::Set {
                namespace,
                key,
                value,
                expect,
                force,
            } => Ask {
                headers: headers(*expect, *force),
                body: value.clone(),
                ..Ask::post(&["storage", namespace, key])
            },
            Self::Delete {
                namespace,
                key,
                expect,
                force,
            } => Ask {
                method: hyper::Method::DELETE,
                headers: headers(*expect, *force),
                ..Ask::post(&["storage", namespace, key])
            },
        }
    }
}

fn headers(expect: Expect, force: bool) -> Vec<(&'static str, String)> {
    let expect = match expect {
        Expect::Any => None,
        Expect::Absent => Some("absent".to_owned()),
        Expect::Version(version) => Some(version.to_string()),
    };
    let expect = expect.map(|expect| (EXPECT, expect));
    let force = force.then(|| (FORCE, crate::server::TRUE.to_owned()));
    expect.into_iter().chain(force).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_paths_become_paths() {
        let list = Request::List {
            namespace: "history".into(),
            prefix: "cpu/ä&=".into(),
            after: Some("cpu/1?".into()),
            limit: Some(7),
        };
        assert_eq!(
            list.ask().path,
            "storage/history?prefix=cpu%2F%C3%A4%26%3D&after=cpu%2F1%3F&limit=7"
        );
        let get = Request::Get {
            namespace: "history".into(),
            key: "cpu/../1 %".into(),
        };
        assert_eq!(get.ask().path, "storage/history/cpu%2F..%2F1%20%25");
    }

    #[test]
    fn what_a_write_expects_goes_along() {
        let set = |expect, force| {
            let set = Request::Set {
                namespace: "a".into(),
                key: "b".into(),
                value: "1".into(),
                expect,
                force,
            };
            set.ask().headers
        };
        assert_eq!(set(Expect::Any, false), []);
        assert_eq!(
            set(Expect::Version(7), true),
            [(EXPECT, "7".to_owned()), (FORCE, "true".to_owned())]
        );
        assert_eq!(set(Expect::Absent, false), [(EXPECT, "absent".to_owned())]);
    }
}
