//! How capabilities and subscriptions do: what the kernel tells of them, after it was measured for
//! a while if that is asked for.

use std::time::Duration;

use octa_kernel::{CallError, Kernel};
use serde_json::value::RawValue;

use super::{Admin, Refusal, invalid};
use crate::answer::{ErrorBody, raw};
use crate::duration;

/// The query with the time to measure for, before its `=`.
pub(crate) const FOR: &str = "for";

/// Who subscribes without being a plugin.
const HOST: &str = "host";

impl Admin {
    /// All capabilities, or one.
    pub(super) async fn services(
        &self,
        name: Option<&str>,
        time: Option<Duration>,
    ) -> Result<Box<RawValue>, Refusal> {
        // Before anything is waited for: whoever mistypes the name is told so.
        let shown = |kernel: &Kernel| match name {
            Some(name) => {
                let service = kernel.service(name).map_err(unknown)?;
                raw(&service)
            }
            None => raw(&kernel.services()),
        };
        let at_once = shown(&self.kernel)?;
        let Some(time) = time else {
            return Ok(at_once);
        };
        let _measuring = self.kernel.measure();
        let mut stays = self.stays.clone();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            // Whoever ends the kernel does not want to wait for this.
            _ = stays.changed() => {}
        }
        Ok(shown(&self.kernel)?)
    }

    /// The subscriptions of all, or of one.
    pub(super) fn subscriptions(&self, name: Option<&str>) -> Result<Box<RawValue>, Refusal> {
        if let Some(name) = name.filter(|name| *name != HOST) {
            self.plugin(name)?;
        }
        let mut all = self.kernel.subscriptions();
        all.retain(|it| name.is_none_or(|name| it.plugin == name));
        Ok(raw(&all)?)
    }
}

fn unknown(error: CallError) -> ErrorBody {
    let hint = || Some("`octa services` shows the capabilities there are".to_owned());
    let error = ErrorBody::from(error);
    ErrorBody {
        hint: error.hint.or_else(hint),
        ..error
    }
}

/// Reads how long is to be measured; any other query is refused.
pub(super) fn measured_for(query: Option<&str>) -> Result<Option<Duration>, ErrorBody> {
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return Ok(None);
    };
    match query.split_once('=') {
        Some((FOR, time)) => match duration::parse(time) {
            Ok(time) => Ok(Some(time)),
            Err(error) => Err(invalid(format!("the query `{FOR}`: {error}"), None)),
        },
        _ => Err(invalid(
            format!("the query `{query}` has no meaning for services"),
            Some(format!("`?{FOR}=2s` is the only one")),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_must_be_a_time() {
        assert_eq!(measured_for(None), Ok(None));
        assert_eq!(
            measured_for(Some("for=250ms")),
            Ok(Some(Duration::from_millis(250)))
        );
        for (query, expect) in [
            (
                "for=soon",
                "the query `for`: `soon` is no duration, expected",
            ),
            ("for", "the query `for` has no meaning for services"),
            ("time=2s", "the query `time=2s` has no meaning for services"),
        ] {
            let error = measured_for(Some(query)).expect_err("no time");
            assert!(error.message.starts_with(expect), "{}", error.message);
        }
    }
}
