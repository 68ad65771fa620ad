//! What the product's files call `crate::shard`, with few enough counters for the checker.

use std::cell::Cell;

/// How many counters there are.
pub(crate) const SHARDS: usize = 2;

loom::thread_local! {
    static SHARD: Cell<usize> = Cell::new(0);
}

/// The first, unless the thread [chose](use_shard) another.
pub(crate) fn shard_of_this_thread() -> usize {
    SHARD.with(Cell::get)
}

pub(crate) fn use_shard(shard: usize) {
    SHARD.with(|it| it.set(shard));
}
