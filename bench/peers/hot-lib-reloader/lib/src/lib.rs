//! The library that hot-lib-reloader reloads: says which build it is.

/// The number of this build.
#[unsafe(no_mangle)]
pub fn number() -> u64 {
    octa_bench_build::number()
}
