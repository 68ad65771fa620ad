//! Checks what goes to a provider and what comes back against what it declares, where that is
//! asked for: whose fault a mismatch is, is told apart.

use octa_loader::{Capability, Outcome};
use octa_plugin_api::{Error, ErrorKind, Payload};
use serde_json::Value;

use crate::config::check_schema;

/// What one provider declares of one capability.
#[derive(Debug)]
pub(super) struct Checks {
    declared: Capability,
}

impl Checks {
    pub(super) fn of(declared: Capability) -> Self {
        Self { declared }
    }

    /// Checks the input of a call.
    ///
    /// # Errors
    ///
    /// The caller's fault: it is no JSON, or not what the provider takes.
    pub(super) fn input(&self, payload: &Payload) -> Result<(), Error> {
        check(&self.declared.input, payload, "input").map_err(|(what, hint)| {
            let message = format!("the input of `{}` {what}", self.declared.name);
            with(Error::new(ErrorKind::InvalidInput, message), hint)
        })
    }

    /// Checks the answer to a call: a mismatch is the provider's fault.
    pub(super) fn output(&self, plugin: &str, outcome: Outcome) -> Outcome {
        let Ok(payload) = &outcome.result else {
            return outcome;
        };
        let Err((what, hint)) = check(&self.declared.output, payload, "output") else {
            return outcome;
        };
        let message = format!("what `{}` answered {what}", self.declared.name);
        let error = Error::new(ErrorKind::InvalidOutput, message).from_plugin(plugin);
        with(error, hint).into()
    }
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
