//! Who is inside the code of plugins: each thread leaves a mark when it enters and takes it away
//! when it returns, so that others can see who does not.
//!
//! What is made of it is the business of who watches.

mod bell;
mod errand;
mod mark;
mod place;
mod seats;
mod watch;

pub(crate) use self::{bell::knock, errand::Errand, mark::Mark, seats::attach};
pub use self::{
    errand::{Doing, Part, Step, What},
    place::Place,
    watch::{Blocked, Caller, Entry, Watch, wake_watches},
};
