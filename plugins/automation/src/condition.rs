//! Conditions over the latest events: what they look at, and whether they hold.

use std::collections::BTreeMap;

use octa_plugin_api::{Json, Schema};
use serde::{Deserialize, Serialize};

/// The topics that this plugin listens to begin with one of these.
const HEARD: [&str; 2] = ["sysmon.", "devices."];

/// What holds or does not, or is not known before the events have come that it is about.
#[derive(Debug, Deserialize, Schema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    /// All of these hold.
    All(Vec<Condition>),
    /// At least one of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
    /// A value of an event compares like this.
    Compare(Comparison),
}

/// Compares a value of the latest event of a topic.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comparison {
    /// The topic.
    topic: String,
    /// The value in its data, as a JSON pointer such as `/percent`.
    #[serde(default)]
    pointer: String,
    /// How it should compare.
    is: Is,
    /// How far back over the limit a number has to come before this holds no more.
    #[serde(default)]
    hysteresis: f64,
    #[serde(skip)]
    held: bool,
}

/// How a value should compare.
#[derive(Debug, Deserialize, Schema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Is {
    /// It is a larger number.
    Above(f64),
    /// It is a smaller number.
    Below(f64),
    /// It is the same.
    Equal(Json),
}

/// The latest values, by topic and pointer.
#[derive(Debug, Default, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Known(BTreeMap<String, Json>);

impl Condition {
    /// Finds what could never hold.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.comparisons()
            .into_iter()
            .try_for_each(Comparison::check)
    }

    /// Whether it looks at a topic.
    pub(crate) fn is_about(&self, topic: &str) -> bool {
        self.comparisons()
            .iter()
            .any(|comparison| comparison.topic == topic)
    }

    /// Takes what it looks at from an event.
    pub(crate) fn learn(&self, topic: &str, data: &Json, known: &mut Known) {
        let comparisons = self.comparisons().into_iter();
        for comparison in comparisons.filter(|comparison| comparison.topic == topic) {
            let found = data.pointer(&comparison.pointer).cloned();
            known
                .0
                .insert(comparison.place(), found.unwrap_or_default().into());
        }
    }

    /// What it looks at, as far as it is known.
    pub(crate) fn values(&self, known: &Known) -> Known {
        let places = self.comparisons().into_iter().map(Comparison::place);
        let found = places.filter_map(|place| known.0.get_key_value(&place));
        Known(
            found
                .map(|(place, value)| (place.clone(), value.clone()))
                .collect(),
        )
    }

    /// Whether it holds; looks at all its parts, which remember whether they held.
    pub(crate) fn holds(&mut self, known: &Known) -> Option<bool> {
        match self {
            Self::All(parts) => among(parts, known, false),
            Self::Any(parts) => among(parts, known, true),
            Self::Not(part) => part.holds(known).map(|holds| !holds),
            Self::Compare(comparison) => comparison.holds(known),
        }
    }

    fn comparisons(&self) -> Vec<&Comparison> {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().flat_map(Self::comparisons).collect()
            }
            Self::Not(part) => part.comparisons(),
            Self::Compare(comparison) => vec![comparison],
        }
    }
}

/// `decisive` if any part says so, unknown if any is unknown, else the opposite.
fn among(parts: &mut [Condition], known: &Known, decisive: bool) -> Option<bool> {
    let told: Vec<_> = parts.iter_mut().map(|part| part.holds(known)).collect();
    if told.contains(&Some(decisive)) {
        Some(decisive)
    } else if told.contains(&None) {
        None
    } else {
        Some(!decisive)
    }
}

impl Comparison {
    fn check(&self) -> Result<(), String> {
        let Self { topic, pointer, .. } = self;
        if !HEARD.iter().any(|heard| topic.starts_with(heard)) {
            return Err(format!(
                "looks at `{topic}`, expected a topic of `sysmon` or `devices`"
            ));
        }
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!(
                "looks at `{pointer}` in `{topic}`, expected `/{pointer}`"
            ));
        }
        Ok(())
    }

    fn place(&self) -> String {
        format!("{}{}", self.topic, self.pointer)
    }

    fn holds(&mut self, known: &Known) -> Option<bool> {
        let value = known.0.get(&self.place())?;
        let margin = if self.held { self.hysteresis } else { 0.0 };
        self.held = match &self.is {
            Is::Above(limit) => value.as_f64().is_some_and(|value| value > limit - margin),
            Is::Below(limit) => value.as_f64().is_some_and(|value| value < limit + margin),
            Is::Equal(wanted) => value == wanted,
        };
        Some(self.held)
    }
}
