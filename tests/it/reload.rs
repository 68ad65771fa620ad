//! Reload: a build takes the place of the one that runs while calls and events go on, or it does
//! not and the one that runs never notices.

mod bad_builds;
mod between;
mod exclusive;
mod handover;
mod hangs;
mod killed;
mod leftovers;
mod load;
mod panics;
mod probation;
mod rollback;
mod stand;
mod watched;

pub(crate) use exclusive::free_port;
