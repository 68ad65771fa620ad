//! Checks what goes to a provider and what comes back against what it declares, where that is
//! asked for: whose fault a mismatch is, is told apart.

use octa_loader::Outcome;
use octa_plugin_api::{Error, ErrorKind, Payload};
use serde_json::Value;

use super::{Route, route::Providers};
use crate::config::check_schema;

/// Checks the input of a call.
///
/// # Errors
///
/// The caller's fault: it is no JSON, or not what the first provider takes.
pub(super) fn input(route: &Route, providers: &Providers, payload: &Payload) -> Result<(), Error> {
    let declared = providers.first().and_then(|provider| provider.describe());
    let Some(declared) = declared else {
        return Ok(());
    };
    check(&declared.input, payload, "input").map_err(|(what, hint)| {
        let message = format!("the input of `{}` {what}", route.name());
        with(Error::new(ErrorKind::InvalidInput, message), hint)
    })
}

/// Checks the answer to a call, where that is asked for: the provider's fault.
pub(super) fn output(route: &Route, outcome: Outcome) -> Outcome {
    let providers = route.providers();
    let Some(provider) = providers.first().filter(|_| providers.rules().is_checked()) else {
        return outcome;
    };
    let (Some(declared), Ok(payload)) = (provider.describe(), &outcome.result) else {
        return outcome;
    };
    let Err((what, hint)) = check(&declared.output, payload, "output") else {
        return outcome;
    };
    let message = format!("what `{}` answered {what}", route.name());
    with(Error::new(ErrorKind::InvalidOutput, message), hint).into()
}

/// What is wrong with a payload, and what was probably meant.
fn check(schema: &Value, payload: &Payload, root: &str) -> Result<(), (String, Option<String>)> {
    if *schema == Value::Bool(true) {
        return Ok(());
    }
    // Nothing at all is how `null` travels.
    let bytes = match payload.is_empty() {
        true => b"null",
        false => &payload[..],
    };
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| (format!("is no JSON: {error}"), None))?;
    check_schema(schema, &value, root).map_err(|mismatch| {
        (
            format!("is not what it declares: {mismatch}"),
            mismatch.hint(),
        )
    })
}

fn with(error: Error, hint: Option<String>) -> Error {
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
