//! The worker as a process, with the test as its kernel.

#![cfg(unix)]

#[cfg(unix)]
mod bench_tmp;
mod calls;
mod kernel;
mod start;
mod tasks;
