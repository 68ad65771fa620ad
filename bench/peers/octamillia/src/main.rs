//! Reloads a plugin with the kernel, which watches the directory that is the first argument, with
//! every setting as by default.

#![forbid(unsafe_code)]

use std::env;

use anyhow::{Context, Result};
use octa_kernel::{Kernel, Payload};

fn main() -> Result<()> {
    let directory = env::args_os().nth(1).context("give a directory")?;
    let kernel = Kernel::builder().plugins(directory).build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(kernel.start())?;
    let number = kernel.capability("marker.number")?;
    octa_bench_build::tell_changes(|| {
        let answer = runtime.block_on(number.call(&Payload::empty())).ok()?;
        Some(u64::from_le_bytes((*answer).try_into().ok()?))
    });
    Ok(())
}
