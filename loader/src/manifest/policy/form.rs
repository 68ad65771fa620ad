//! The JSON form of policies: whole milliseconds, switches, and the bounds of each number.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{Rate, Retry, Switch, waits};
use crate::name::NameKind;

/// A duration as whole milliseconds, at least one.
pub(in crate::manifest) mod milliseconds {
    use super::*;

    pub(in crate::manifest) fn serialize<S: Serializer>(
        duration: &Duration,
        into: S,
    ) -> Result<S::Ok, S::Error> {
        let whole = duration.as_nanos().div_ceil(1_000_000);
        into.serialize_u64(u64::try_from(whole).unwrap_or(u64::MAX))
    }

    pub(in crate::manifest) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Duration, D::Error> {
        at_least_one(from).map(Duration::from_millis)
    }
}

/// The same for one that may be absent.
pub(in crate::manifest) mod optional_milliseconds {
    use super::*;

    pub(in crate::manifest) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        into: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => milliseconds::serialize(duration, into),
            None => into.serialize_none(),
        }
    }

    pub(in crate::manifest) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let number = optional_at_least_one::<u64, D>(from)?;
        Ok(number.map(Duration::from_millis))
    }
}

pub(in crate::manifest) fn at_least_one<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Copy + From<u8> + PartialOrd + fmt::Display,
    D: Deserializer<'de>,
{
    T::deserialize(from).and_then(|number| least(1, number))
}

pub(super) fn optional_at_least_one<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + Copy + From<u8> + PartialOrd + fmt::Display,
    D: Deserializer<'de>,
{
    let number = Option::<T>::deserialize(from)?;
    number.map(|number| least(1, number)).transpose()
}

fn least<T: From<u8> + PartialOrd + fmt::Display, E: Error>(limit: u8, number: T) -> Result<T, E> {
    match number < T::from(limit) {
        true => Err(E::custom(format_args!(
            "found {number}, expected at least {limit}"
        ))),
        false => Ok(number),
    }
}

fn at_least_two<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    u32::deserialize(from).and_then(|number| least(2, number))
}

pub(super) fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(from)?;
    match share > 0.0 && share <= 1.0 {
        true => Ok(share),
        false => Err(D::Error::custom(format_args!(
            "found {share}, expected a share above 0 and at most 1"
        ))),
    }
}

pub(super) fn capability_name<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    let name = Option::<String>::deserialize(from)?;
    if let Some(name) = &name {
        NameKind::Capability.check(name).map_err(D::Error::custom)?;
    }
    Ok(name)
}

impl<T: Serialize> Serialize for Switch<T> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        match self {
            Switch::Off => into.serialize_bool(false),
            Switch::On(settings) => settings.serialize(into),
        }
    }
}

/// A switch whose settings have defaults.
pub(super) fn switch<'de, T, D>(from: D) -> Result<Option<Switch<T>>, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    let usual = Some(T::default());
    from.deserialize_any(SwitchVisitor(usual, PhantomData))
}

/// A switch that is on only with settings.
pub(super) fn switch_of_settings<'de, T, D>(from: D) -> Result<Option<Switch<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    from.deserialize_any(SwitchVisitor(None, PhantomData))
}

/// Reads a switch; it holds what `true` stands for.
struct SwitchVisitor<'de, T>(Option<T>, PhantomData<&'de ()>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for SwitchVisitor<'de, T> {
    type Value = Option<Switch<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "`true`, `false` or settings",
            None => "`false` or settings",
        })
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
        match (on, self.0) {
            (false, _) => Ok(Some(Switch::Off)),
            (true, Some(usual)) => Ok(Some(Switch::On(usual))),
            (true, None) => Err(E::custom(
                "found `true`, expected `false` or settings, which have no defaults here",
            )),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let settings = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Some(Switch::On(settings)))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// A [`Retry`] as it is written.
#[derive(Deserialize)]
pub(super) struct RetryFields {
    #[serde(default = "default_attempts", deserialize_with = "at_least_two")]
    attempts: u32,
    #[serde(default, with = "optional_milliseconds")]
    backoff_ms: Option<Duration>,
    #[serde(default, with = "optional_milliseconds")]
    backoff_max_ms: Option<Duration>,
    #[serde(default = "default_budget", deserialize_with = "share")]
    budget: f64,
}

fn default_attempts() -> u32 {
    Retry::default().attempts
}

fn default_budget() -> f64 {
    Retry::default().budget
}

impl From<RetryFields> for Retry {
    fn from(fields: RetryFields) -> Self {
        let usual = Retry::default();
        let (backoff, backoff_max) = waits(
            fields.backoff_ms,
            fields.backoff_max_ms,
            (usual.backoff, usual.backoff_max),
        );
        Retry {
            attempts: fields.attempts,
            backoff,
            backoff_max,
            budget: fields.budget,
        }
    }
}

/// A [`Rate`] as it is written.
#[derive(Deserialize)]
pub(super) struct RateFields {
    #[serde(deserialize_with = "at_least_one")]
    calls: u32,
    #[serde(default = "default_per", with = "milliseconds")]
    per_ms: Duration,
    #[serde(default, deserialize_with = "optional_at_least_one")]
    burst: Option<u32>,
}

fn default_per() -> Duration {
    Rate::PER
}

impl From<RateFields> for Rate {
    fn from(fields: RateFields) -> Self {
        Rate {
            calls: fields.calls,
            per: fields.per_ms,
            burst: fields.burst.unwrap_or(fields.calls),
        }
    }
}
