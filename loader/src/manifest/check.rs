//! Checks what no field of a manifest can know alone.

use std::time::Duration;

use serde::de::Error as _;

use super::policy::Switch;
use super::{Capability, Manifest, ManifestError, Subscription};

impl Manifest {
    /// Names the first field that contradicts another one.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        let capabilities = self.capabilities.iter().enumerate();
        for (index, capability) in capabilities {
            capability
                .check()
                .map_err(|fault| fault.inside(&format!("capabilities[{index}].policy")))?;
        }
        let subscriptions = self.subscriptions.iter().enumerate();
        for (index, subscription) in subscriptions {
            subscription
                .check()
                .map_err(|fault| fault.inside(&format!("subscriptions[{index}]")))?;
        }
        Ok(())
    }
}

impl Capability {
    fn check(&self) -> Result<(), Fault> {
        let policy = &self.policy;
        if !policy.order.is_empty() {
            let told = "found names of plugins, expected none: their order is for the \
                        configuration to say";
            return Err(Fault::new("order", told));
        }
        if policy.fallback.as_ref() == Some(&self.name) {
            let told = format!("found `{}` itself, expected another capability", self.name);
            return Err(Fault::new("fallback", told));
        }
        match policy.retry.and_then(Switch::on) {
            Some(retry) => in_order("retry.backoff_max_ms", retry.backoff, retry.backoff_max),
            None => Ok(()),
        }
    }
}

impl Subscription {
    fn check(&self) -> Result<(), Fault> {
        match (self.backoff, self.backoff_max) {
            (Some(first), Some(longest)) => in_order("backoff_max_ms", first, longest),
            _ => Ok(()),
        }
    }
}

/// A field below what is being checked, and what is wrong with it.
struct Fault {
    field: &'static str,
    told: String,
}

impl Fault {
    fn new(field: &'static str, told: impl Into<String>) -> Self {
        let told = told.into();
        Self { field, told }
    }

    fn inside(self, parent: &str) -> ManifestError {
        ManifestError::Field {
            field: format!("{parent}.{}", self.field),
            source: serde_json::Error::custom(self.told),
        }
    }
}

fn in_order(field: &'static str, first: Duration, longest: Duration) -> Result<(), Fault> {
    match longest < first {
        true => {
            let (found, expected) = (longest.as_millis(), first.as_millis());
            let told = format!("found {found}, expected at least the first wait, {expected}");
            Err(Fault::new(field, told))
        }
        false => Ok(()),
    }
}
