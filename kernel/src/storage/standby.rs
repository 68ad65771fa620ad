//! The warm standby: a second SQLite file that follows the storage, whatever it is kept in, and can take its place.
//!
//! Which of two files leads is what they say of themselves: who leads in the higher epoch. A kernel opens the one
//! that leads (`pair`, after the rules of `roles`) and keeps the other one up with it (`follower`);
//! `takeover` raises the epoch of the other one. At every moment a standby is as its primary once was:
//! a copy takes the place of an older one only when it is whole, and changes are written up to where no batch is cut.

mod backlog;
mod compare;
mod follower;
mod gauge;
mod names;
mod pair;
mod progress;
mod reader;
mod rest;
mod roles;
mod site;
mod spill;
mod takeover;
mod telling;
mod trouble;

pub use gauge::{Copied, StandbyState, StandbyStatus};
pub use pair::PairError;
pub use rest::at_rest;
pub use roles::Unclear;
pub use takeover::{Former, Lost, Takeover, TakeoverError, take_over};
pub use telling::{STANDBY_BEHIND_TOPIC, STANDBY_FAILED_TOPIC, STANDBY_FOLLOWS_TOPIC};

pub(crate) use follower::{Follower, Parts};
pub(super) use names::progress as noted_beside;
pub(crate) use pair::open;
pub(crate) use site::Site;

#[cfg(all(test, unix))]
mod tests;
