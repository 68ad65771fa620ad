//! A kernel with SQLite in the directory that is named, which has written and read a little, and waits until its
//! input ends; it tells when it is idle. What it holds of the memory is looked at by the benchmark.

#![forbid(unsafe_code)]

use std::io::{Read as _, Write as _, stdin, stdout};

use anyhow::{Context, Result};
use octa_kernel::Kernel;

fn main() -> Result<()> {
    let data = std::env::args_os().nth(1).context("expected a directory")?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let kernel = Kernel::builder().data(data).build()?;
    runtime.block_on(async {
        kernel.start().await?;
        for number in 0..100 {
            let key = format!("key-{number}");
            kernel.storage().set("bench", &key, b"1".to_vec()).await?;
            kernel.storage().get("bench", &key).await?;
        }
        anyhow::Ok(())
    })?;
    stdout().write_all(b".")?;
    stdout().flush()?;
    stdin().read_to_end(&mut Vec::new())?;
    runtime.block_on(kernel.stop());
    Ok(())
}
