//! Reloads a library with hot-lib-reloader, as its README says, with every setting as by default
//! but where the library lies: in the directory that is the first argument.

use std::{env, path::PathBuf};

#[hot_lib_reloader::hot_module(dylib = "marker", lib_dir = crate::directory())]
mod hot_lib {
    hot_functions_from_file!("lib/src/lib.rs");
}

fn directory() -> PathBuf {
    env::args_os().nth(1).expect("a directory").into()
}

fn main() {
    octa_bench_build::tell_changes(|| Some(hot_lib::number()));
}
