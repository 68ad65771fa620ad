//! A host application that replaces the plugin `counter` while it runs: it loads one build, calls
//! it, overwrites its file with the next one, reloads, calls again, and unloads in the end.
//!
//! It prints each step. What becomes of the code that was replaced is told by the kernel.

use std::{
    env::consts::DLL_EXTENSION,
    error::Error,
    fs::{self, OpenOptions},
    path::Path,
};

use octa_kernel::{Kernel, bus::Subscription};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PLUGIN: &str = "counter";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, first, newer @ ..] = &arguments[..] else {
        return Err("usage: replace DIRECTORY BUILD NEWER…".into());
    };
    run(Path::new(directory), first, newer).await
}

/// Keeps the plugin's file and the kernel's data in `directory`.
async fn run(directory: &Path, first: &str, newer: &[String]) -> Result<()> {
    let plugins = directory.join("plugins");
    let file = plugins.join(PLUGIN).with_extension(DLL_EXTENSION);
    fs::create_dir_all(&plugins)?;
    fs::copy(first, &file)?;

    let kernel = Kernel::builder()
        .plugins(&plugins)
        .data(directory.join("data"))
        .build()?;
    let mut ended = kernel.subscribe("kernel.generation.*").await?;
    kernel.start_plugin(PLUGIN).await?;
    println!("loaded `{first}`");
    show_mapped()?;
    call(&kernel).await?;
    for build in newer {
        fs::copy(build, &file)?;
        println!("overwrote its file with `{build}`");
        let reloaded = kernel.reload_plugin(PLUGIN).await?;
        let (from, to) = (reloaded.from.version, reloaded.to.version);
        println!("reloaded: {to} replaces {from}");
        call(&kernel).await?;
        show_ended(&mut ended).await?;
    }
    kernel.unload_plugin(PLUGIN).await?;
    println!("unloaded");
    show_ended(&mut ended).await?;
    kernel.stop().await;
    Ok(())
}

/// Says whether the system lets a file be overwritten while it is mapped, as this program is. What
/// is mapped of a plugin is a copy, so its own file is never in the way.
fn show_mapped() -> Result<()> {
    let program = std::env::current_exe()?;
    match OpenOptions::new().write(true).open(program) {
        Ok(_) => println!("what is mapped can be overwritten here"),
        Err(error) => println!("what is mapped cannot be overwritten: {error}"),
    }
    Ok(())
}

/// Adds one to the count, which each generation takes over from the one before.
async fn call(kernel: &Kernel) -> Result<()> {
    let answer: Value = kernel.call("counter.add", &1).await?;
    let by = answer["by"].as_str().ok_or("the answer names nobody")?;
    println!("called: `{by}` counts {}", answer["counts"]["added"]);
    Ok(())
}

/// Waits until a generation has ended, and says what became of its code.
async fn show_ended(ended: &mut Subscription) -> Result<()> {
    let event = ended.recv().await.ok_or("the kernel has stopped")?;
    let end: Value = serde_json::from_slice(&event.payload)?;
    match &end["kept"]["causes"] {
        Value::Null => println!("generation {} is unmapped", end["generation"]),
        causes => println!("generation {} is kept: {causes}", end["generation"]),
    }
    Ok(())
}
