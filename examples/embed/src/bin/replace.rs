//! A host application that replaces the plugin `counter` while it runs: it loads one build, calls
//! it, overwrites its file with another build, reloads, calls again, and unloads.
//!
//! It prints each step, and fails if one is not as it should be.

use std::{error::Error, fs, path::Path};

use octa_kernel::{Kernel, bus::Subscription};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PLUGIN: &str = "counter";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, builds @ ..] = &arguments[..] else {
        return Err("usage: replace DIRECTORY BUILD…".into());
    };
    run(Path::new(directory), builds).await
}

/// Uses `directory` for the plugin's file and the kernel's data.
async fn run(directory: &Path, builds: &[String]) -> Result<()> {
    let plugins = directory.join("plugins");
    let file = plugins
        .join(PLUGIN)
        .with_extension(std::env::consts::DLL_EXTENSION);
    let (first, newer) = builds.split_first().ok_or("there is no build to load")?;
    fs::create_dir_all(&plugins)?;
    fs::copy(first, &file)?;

    let kernel = Kernel::builder()
        .plugins(&plugins)
        .data(directory.join("data"))
        .build()?;
    let mut ended = kernel.subscribe("kernel.generation.*").await?;
    kernel.start_plugin(PLUGIN).await?;
    println!("loaded `{first}`");
    call(&kernel, 1).await?;
    for (build, count) in newer.iter().zip(2..) {
        fs::copy(build, &file)?;
        println!("overwrote its file with `{build}`");
        let reloaded = kernel.reload_plugin(PLUGIN).await?;
        println!(
            "reloaded: {} is replaced by {}",
            reloaded.from.version, reloaded.to.version
        );
        call(&kernel, count).await?;
        unmapped(&mut ended).await?;
    }
    kernel.unload_plugin(PLUGIN).await?;
    println!("unloaded");
    unmapped(&mut ended).await?;
    kernel.stop().await;
    Ok(())
}

/// Adds one to the count, which goes from each generation to the next.
async fn call(kernel: &Kernel, expected: u64) -> Result<()> {
    let answer: Value = kernel.call("counter.add", &1).await?;
    println!(
        "called: `{}` counts {}",
        answer["by"], answer["counts"]["added"]
    );
    if answer["counts"]["added"] != expected {
        return Err(format!("it counts something else than {expected}").into());
    }
    Ok(())
}

/// Waits until a generation has ended, and says what became of its code.
async fn unmapped(ended: &mut Subscription) -> Result<()> {
    let event = ended.recv().await.ok_or("the kernel stopped")?;
    println!(
        "{}: {}",
        event.topic,
        String::from_utf8_lossy(&event.payload)
    );
    if &*event.topic != "kernel.generation.unmapped" {
        return Err("the code is still there".into());
    }
    Ok(())
}
