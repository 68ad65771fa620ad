//! Placement: a plugin in the kernel's process and one in a process of its own cannot be told
//! apart by what they do. What each topic of the contract looks like is written down once, in
//! `transcripts`; `OCTA_BLESS=1` writes it anew from plugins in the kernel's process.

mod calls;
mod checks;
mod errors;
mod events;
mod journal;
mod keys;
mod lifecycle;
mod limits;
mod logs;
mod permissions;
mod pipelines;
mod reload;
mod retained;
mod retries;
mod routing;
mod stage;
mod tasks;
mod transcript;
mod values;
mod waits;

pub(crate) use stage::companion;
