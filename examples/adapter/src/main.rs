//! A kernel on an adapter of its own: it counts how often it has been started.

use octa_example_adapter::Redb;
use octa_kernel::Kernel;
use octa_kernel::storage::{Batch, Query, Storage, StorageError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(plugins), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: octa-example-adapter PLUGINS FILE".into());
    };
    let kernel = Kernel::builder()
        .plugins(plugins)
        .storage(Redb::open(file)?)
        .build()?;
    kernel.start().await?;
    let starts = count(kernel.storage()).await?;
    println!("start {starts} on this storage");
    kernel.stop().await;
    Ok(())
}

/// Adds a start to those that the storage remembers.
async fn count(storage: &Storage) -> Result<usize, StorageError> {
    let mut start = Batch::new();
    start.append("example", "starts/", &b"true"[..])?;
    storage.apply(start).await?;
    let starts = storage.list(Query::new("example", "starts/")?).await?;
    Ok(starts.entries.len())
}
