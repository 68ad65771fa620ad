//! Tells the library which compiler and target it is built by and for: the manifest says so.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to a build script through its environment"
)]

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    println!("cargo::rustc-env=OCTA_TARGET={target}");
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    println!(
        "cargo::rustc-env=OCTA_COMPILER={}",
        version.unwrap_or_default()
    );
}
