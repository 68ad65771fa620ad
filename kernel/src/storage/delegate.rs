//! Hands the methods of an adapter on to another one, for adapters that stand in front of one.

/// Writes those methods of a [`StorageAdapter`](crate::storage::StorageAdapter) that only hand on to another one.
///
/// Say the field that has the other adapter, and the methods; the others are written as ever.
///
/// ```
/// # use octa_kernel::storage::{Batch, BoxFuture, Memory, Outcome, StorageAdapter, StorageError};
/// #[derive(Debug)]
/// struct ReadOnly(Memory);
///
/// impl StorageAdapter for ReadOnly {
///     octa_kernel::delegate_storage!(0: get, list, changes, usage, snapshot, replicate, close);
///
///     fn apply(&self, _: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
///         Box::pin(async { Err(StorageError::Closed) })
///     }
/// }
/// ```
#[macro_export]
macro_rules! delegate_storage {
    ($to:tt: $($method:ident),+ $(,)?) => {
        $($crate::delegate_storage!(@$method $to);)+
    };
    (@get $to:tt) => {
        fn get<'a>(
            &'a self,
            at: $crate::storage::Address<'a>,
        ) -> $crate::storage::BoxFuture<
            'a,
            Result<Option<$crate::storage::Record>, $crate::storage::StorageError>,
        > {
            self.$to.get(at)
        }
    };
    (@apply $to:tt) => {
        fn apply(
            &self,
            batch: $crate::storage::Batch,
        ) -> $crate::storage::BoxFuture<
            '_,
            Result<Vec<$crate::storage::Outcome>, $crate::storage::StorageError>,
        > {
            self.$to.apply(batch)
        }
    };
    (@list $to:tt) => {
        fn list<'a>(
            &'a self,
            query: $crate::storage::Query<'a>,
        ) -> $crate::storage::BoxFuture<
            'a,
            Result<$crate::storage::Page, $crate::storage::StorageError>,
        > {
            self.$to.list(query)
        }
    };
    (@changes $to:tt) => {
        fn changes<'a>(
            &'a self,
            since: $crate::storage::Since<'a>,
        ) -> $crate::storage::BoxFuture<
            'a,
            Result<$crate::storage::Changes, $crate::storage::StorageError>,
        > {
            self.$to.changes(since)
        }
    };
    (@usage $to:tt) => {
        fn usage(
            &self,
        ) -> $crate::storage::BoxFuture<
            '_,
            Result<$crate::storage::Usages, $crate::storage::StorageError>,
        > {
            self.$to.usage()
        }
    };
    (@snapshot $to:tt) => {
        fn snapshot(
            &self,
        ) -> $crate::storage::BoxFuture<
            '_,
            Result<Box<dyn $crate::storage::Snapshot>, $crate::storage::StorageError>,
        > {
            self.$to.snapshot()
        }
    };
    (@replicate $to:tt) => {
        fn replicate<'a>(
            &'a self,
            changes: &'a [$crate::storage::Change],
            last_version: u64,
        ) -> $crate::storage::BoxFuture<'a, Result<(), $crate::storage::StorageError>> {
            self.$to.replicate(changes, last_version)
        }
    };
    (@close $to:tt) => {
        fn close(
            &self,
        ) -> $crate::storage::BoxFuture<'_, Result<(), $crate::storage::StorageError>> {
            self.$to.close()
        }
    };
}
