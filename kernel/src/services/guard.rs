//! What calls are guarded by, each a small thing of its own that is told the time. When they are
//! asked, and what becomes of a call then, is the job of the files around.

mod breaker;
mod budget;
mod meter;
mod rates;
mod results;
mod window;

pub(crate) use breaker::{Breaker, Pass, Verdict};
pub use breaker::{BreakerState, BreakerStatus};
pub(crate) use budget::Budget;
pub use meter::Measured;
pub(crate) use meter::Meter;
pub(crate) use rates::Rates;
pub(crate) use results::{Look, Results, Ticket};
