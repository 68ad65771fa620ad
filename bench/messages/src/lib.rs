//! What the typed calls of the benchmark say: the same types for the plugin, its caller and
//! the floor, about 150 bytes of JSON each way.

use octa_plugin_api::Schema;
use serde::{Deserialize, Serialize};

/// What a sensor saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
pub struct Reading {
    /// The sensor.
    pub sensor: String,
    /// Where it hangs.
    pub room: String,
    /// Milliseconds since 1970.
    pub at: u64,
    /// Degrees.
    pub celsius: f64,
    /// Percent.
    pub humidity: f64,
    /// What it is filed under.
    pub labels: Vec<String>,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
pub struct Advice {
    /// Where.
    pub room: String,
    /// Whether to heat.
    pub heat: bool,
    /// How far, in degrees.
    pub target: f64,
    /// Until when, in milliseconds since 1970.
    pub until: u64,
    /// Why.
    pub reasons: Vec<String>,
}

impl Reading {
    /// A reading like many.
    pub fn sample() -> Self {
        Self {
            sensor: "thermometer-12".to_owned(),
            room: "living room".to_owned(),
            at: 1_767_225_600_123,
            celsius: 18.25,
            humidity: 41.5,
            labels: vec!["ground-floor".to_owned(), "heated".to_owned()],
        }
    }

    /// What to do about it.
    pub fn advise(self) -> Advice {
        Advice {
            heat: self.celsius < 20.0,
            target: self.celsius + 1.75,
            until: self.at + 3_600_000,
            reasons: vec!["colder than wanted".to_owned(), self.sensor],
            room: self.room,
        }
    }
}
