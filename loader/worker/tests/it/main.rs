//! The worker as a process, with the test as its kernel.

#![cfg(unix)]

mod calls;
mod kernel;
mod start;
mod tasks;
