//! The library that relib reloads: says which build it is.

#[relib_module::export]
fn main() -> u64 {
    octa_bench_build::number()
}
