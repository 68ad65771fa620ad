//! Values of the state that have a time to live.

use std::time::Duration;

use octa_plugin_abi::operation;
use serde::Serialize;

use super::{Expect, State};
use crate::{Payload, error::Result};

/// A value and its time, as they cross.
#[derive(Serialize)]
struct Lasting<'a, T: ?Sized> {
    time: u64,
    value: &'a T,
}

impl State<'_> {
    /// Writes a value, whatever was there, to be gone after `time`; answers its version.
    ///
    /// From then on it is not read any more, and who watches is told that it was deleted. Written again, its
    /// time begins anew; [`set`](Self::set) makes it stay.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub async fn set_for<T>(self, key: &str, value: &T, time: Duration) -> Result<u64>
    where
        T: Serialize + ?Sized,
    {
        self.compare_and_set_for(key, value, Expect::Any, time)
            .await
    }

    /// The same if the expected version is there: so a lease is taken and renewed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) if another version was found; else as
    /// [`set`](Self::set).
    pub async fn compare_and_set_for<T>(
        self,
        key: &str,
        value: &T,
        expect: Expect,
        time: Duration,
    ) -> Result<u64>
    where
        T: Serialize + ?Sized,
    {
        let (flags, version) = expect.to_abi();
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let payload = Payload::json(&Lasting { time, value })?;
        let ask = self.0.ask(operation::STATE_SET_FOR, key);
        let answer = ask.expect(flags, version).payload(payload).await;
        answer.result.map(|_| answer.number)
    }
}
