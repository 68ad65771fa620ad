//! A host application with the kernel inside: it shows how busy this machine is, as the plugin
//! `sysmon` tells it.

use octa_kernel::Kernel;
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args()
        .nth(1)
        .ok_or("usage: octa-example-embed PLUGINS")?;
    let kernel = Kernel::builder().plugins(directory).build()?;
    kernel.start().await?;
    let reading: Value = kernel.call("sysmon.read", &()).await?;
    println!("memory: {}", reading["memory"]);
    let mut loads = kernel.subscribe("sysmon.cpu").await?;
    if let Some(event) = loads.recv().await {
        println!(
            "{}: {}",
            event.topic,
            String::from_utf8_lossy(&event.payload)
        );
    }
    kernel.stop().await;
    Ok(())
}
