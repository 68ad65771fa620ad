//! Finds out in what two databases differ, for where a few changes do in the place of a copy.

use tokio::task::yield_now;

use super::super::{Change, Snapshot, StorageError};

/// The most that two databases may differ in: it is written at once, and held in memory until then.
const MOST_CHANGES: usize = 65_536;
const MOST_BYTES: usize = 16 << 20;

/// What happened when two databases were compared.
#[derive(Debug)]
pub(super) enum Compared {
    /// These changes make the second one like the first.
    Differ(Vec<Change>),
    /// There would be too many of them.
    TooMuch,
}

/// Which database cannot be read.
#[derive(Debug)]
pub(super) enum Failed {
    First(StorageError),
    Second(StorageError),
}

/// Compares two databases record by record: both have them in the same order.
pub(super) async fn compare(
    first: &mut dyn Snapshot,
    second: &mut dyn Snapshot,
) -> Result<Compared, Failed> {
    let (mut first, mut second) = (Records::of(first), Records::of(second));
    let mut changes = Vec::new();
    let mut bytes = 0;
    // A deletion is told without the version it took: nobody asks for that of a record that is gone.
    let gone = |there: Change| Change::new(there.namespace, there.key, there.version, None);
    loop {
        let wanted = first.peek().await.map_err(Failed::First)?;
        let found = second.peek().await.map_err(Failed::Second)?;
        let change = match (wanted, found) {
            (None, None) => return Ok(Compared::Differ(changes)),
            (Some(wanted), Some(found)) if place(wanted) == place(found) => {
                let is_same = wanted == found;
                second.next();
                first.next().filter(|_| !is_same)
            }
            (Some(wanted), Some(found)) if place(wanted) > place(found) => second.next().map(gone),
            (None, Some(_)) => second.next().map(gone),
            (Some(_), _) => first.next(),
        };
        bytes += change.as_ref().map_or(0, Change::bytes);
        changes.extend(change);
        if changes.len() > MOST_CHANGES || bytes > MOST_BYTES {
            return Ok(Compared::TooMuch);
        }
    }
}

fn place(change: &Change) -> (&[u8], &[u8]) {
    (change.namespace.as_bytes(), change.key.as_bytes())
}

/// The records of a snapshot, one by one.
struct Records<'a> {
    snapshot: &'a mut dyn Snapshot,
    read: std::vec::IntoIter<Change>,
    is_over: bool,
}

impl<'a> Records<'a> {
    fn of(snapshot: &'a mut dyn Snapshot) -> Self {
        Self {
            snapshot,
            read: Vec::new().into_iter(),
            is_over: false,
        }
    }

    async fn peek(&mut self) -> Result<Option<&Change>, StorageError> {
        if self.read.as_slice().is_empty() && !self.is_over {
            // A read may block its thread; others have their turn in between.
            yield_now().await;
            self.read = self.snapshot.next().await?.into_iter();
            self.is_over = self.read.as_slice().is_empty();
        }
        Ok(self.read.as_slice().first())
    }

    fn next(&mut self) -> Option<Change> {
        self.read.next()
    }
}

#[cfg(test)]
mod tests {
    use octa_plugin_api::Payload;
    use proptest::prelude::*;

    use super::super::super::{Memory, StorageAdapter as _, contents};
    use super::*;

    fn records() -> impl Strategy<Value = Vec<Change>> {
        let record = (0_u8..3, 0_u8..12, 1_u64..4).prop_map(|(namespace, key, version)| {
            let value = Payload::from(format!("{}", version % 2).into_bytes());
            Change::new(
                format!("n{namespace}"),
                format!("k{key}"),
                version,
                Some(value),
            )
        });
        prop::collection::vec(record, 0..40)
    }

    async fn with(records: &[Change]) -> Memory {
        let memory = Memory::new();
        memory.replicate(records, 9).await.expect("it is open");
        memory
    }

    async fn difference(first: &Memory, second: &Memory) -> Compared {
        let mut first = first.snapshot().await.expect("it is open");
        let mut second = second.snapshot().await.expect("it is open");
        compare(&mut *first, &mut *second)
            .await
            .expect("both are open")
    }

    proptest! {
        #[test]
        fn the_changes_make_one_like_the_other(first in records(), second in records()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let (first, second) = (with(&first).await, with(&second).await);
                let Compared::Differ(changes) = difference(&first, &second).await else {
                    panic!("they are small");
                };
                second.replicate(&changes, 9).await.expect("it is open");
                let [wanted, found] = [&first, &second].map(|it| contents(it, |_| ()));
                assert_eq!(wanted.await.expect("open"), found.await.expect("open"));
                let Compared::Differ(rest) = difference(&first, &second).await else {
                    panic!("they are the same");
                };
                assert_eq!(rest, []);
            });
        }
    }

    #[tokio::test]
    async fn too_much_is_given_up() {
        let value = Payload::from(vec![b'1'; 1 << 20]);
        let many = (1..=17).map(|n| Change::new("a", format!("k{n:02}"), n, Some(value.clone())));
        let many: Vec<_> = many.collect();
        let (full, empty) = (with(&many).await, with(&[]).await);
        assert!(matches!(difference(&full, &empty).await, Compared::TooMuch));
        let Compared::Differ(changes) = difference(&empty, &full).await else {
            panic!("deletions are small");
        };
        assert_eq!(changes.len(), 17);
    }
}
