//! Keeps lamps and sensors in the storage, and says when one changes. Who switches them, and
//! why, is up to others.

use octa_plugin_api::{
    Context, Error, ErrorKind, Expect, Json, Result, Schema, Tentacle, log, tentacle,
};
use serde::{Deserialize, Serialize};

/// How many devices one page of the storage brings.
const PAGE: u32 = 200;

/// The plugin's section of the configuration.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Devices that are added at the start, unless they are there already.
    devices: Vec<Device>,
}

/// A device by its name, and what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
struct Device {
    id: String,
    #[serde(flatten)]
    kind: Kind,
}

/// What a device is, and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Schema)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    /// A lamp is on or off.
    Lamp {
        #[serde(default)]
        on: bool,
    },
    /// A sensor has a value, once it has been told one.
    Sensor { value: Option<f64> },
}

/// What a sensor measured.
#[derive(Debug, Deserialize, Schema)]
struct Measured {
    id: String,
    value: f64,
}

/// The plugin.
#[derive(Debug)]
struct Devices {
    initial: Vec<Device>,
}

/// Keeps lamps and sensors.
#[tentacle(storage = "devices", publishes = "devices.*")]
impl Tentacle for Devices {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        Ok(Self {
            initial: settings.devices,
        })
    }

    async fn start(&self, ctx: &Context) -> Result<()> {
        let mut missing = Vec::new();
        for device in &self.initial {
            if ctx.storage().get::<Json>(&device.id).await?.is_none() {
                missing.push(device.clone());
            }
        }
        match insert_missing(ctx, &missing).await {
            // Another generation serves still: they are added when this one does.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                ctx.spawn(move |ctx| async move {
                    if let Err(error) = insert_missing(&ctx, &missing).await {
                        log::error!("not all devices were added: {error}");
                    }
                })?;
                Ok(())
            }
            inserted => inserted,
        }
    }

    /// Adds a device.
    #[capability("devices.add")]
    async fn add(&self, ctx: &Context, device: Device) -> Result<Device> {
        insert(ctx, &device).await?;
        Ok(device)
    }

    /// Lists all devices, in the order of their names.
    #[capability("devices.list", idempotent)]
    async fn list(&self, ctx: &Context) -> Result<Vec<Device>> {
        let mut devices = Vec::new();
        let mut after = None;
        loop {
            let page = ctx.storage().list("", after.as_deref(), PAGE).await?;
            devices.extend(page.entries.into_iter().map(|entry| entry.value));
            after = page.next;
            if after.is_none() {
                return Ok(devices);
            }
        }
    }

    /// Tells how a device stands.
    #[capability("devices.get", idempotent)]
    async fn get(&self, ctx: &Context, id: String) -> Result<Device> {
        ctx.storage().get(&id).await?.ok_or_else(|| unknown(&id))
    }

    /// Turns a lamp on.
    #[capability("devices.turn_on", idempotent)]
    async fn turn_on(&self, ctx: &Context, id: String) -> Result<Device> {
        change(ctx, &id, |kind| kind.switch(true)).await
    }

    /// Turns a lamp off.
    #[capability("devices.turn_off", idempotent)]
    async fn turn_off(&self, ctx: &Context, id: String) -> Result<Device> {
        change(ctx, &id, |kind| kind.switch(false)).await
    }

    /// Tells a sensor what it measured.
    #[capability("devices.set_value", idempotent)]
    async fn set_value(&self, ctx: &Context, measured: Measured) -> Result<Device> {
        change(ctx, &measured.id, |kind| kind.measure(measured.value)).await
    }
}

impl Kind {
    fn switch(&mut self, wanted: bool) -> Result<(), &'static str> {
        match self {
            Self::Lamp { on } => *on = wanted,
            Self::Sensor { .. } => return Err("a sensor, expected a lamp"),
        }
        Ok(())
    }

    fn measure(&mut self, measured: f64) -> Result<(), &'static str> {
        match self {
            Self::Sensor { value } => *value = Some(measured),
            Self::Lamp { .. } => return Err("a lamp, expected a sensor"),
        }
        Ok(())
    }
}

async fn insert(ctx: &Context, device: &Device) -> Result<()> {
    let storage = ctx.storage();
    let added = storage.compare_and_set(&device.id, device, Expect::Absent);
    added.await.map_err(|error| match error.kind() {
        ErrorKind::Conflict => {
            let message = format!("there is a device `{}` already", device.id);
            Error::new(ErrorKind::Conflict, message)
        }
        _ => error,
    })?;
    ctx.publish("devices.added", device).await?;
    Ok(())
}

async fn insert_missing(ctx: &Context, missing: &[Device]) -> Result<()> {
    for device in missing {
        match insert(ctx, device).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            inserted => inserted?,
        }
    }
    Ok(())
}

/// Changes a device and says so, unless it stands like that already.
async fn change(
    ctx: &Context,
    id: &str,
    apply: impl Fn(&mut Kind) -> Result<(), &'static str>,
) -> Result<Device> {
    let mut before = None;
    let changed = |found: Option<Device>| {
        let mut device = found.ok_or_else(|| unknown(id))?;
        before = Some(device.clone());
        apply(&mut device.kind)
            .map_err(|found| Error::new(ErrorKind::InvalidInput, format!("`{id}` is {found}")))?;
        Ok(device)
    };
    let device = ctx.storage().try_update(id, changed).await?;
    if before.as_ref() != Some(&device) {
        log::info!("`{id}` is now {:?}", device.kind);
        ctx.publish("devices.state_changed", &device).await?;
    }
    Ok(device)
}

fn unknown(id: &str) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("there is no device `{id}`"));
    error.with_hint("`devices.list` tells all there are")
}

#[cfg(test)]
mod tests {
    use super::*;
    use octa_test_kit::{TestKernel, json};
    use serde_json::Value;

    fn bench() -> Result<TestKernel> {
        let devices = json!([
            { "id": "porch", "kind": "lamp" },
            { "id": "thermometer", "kind": "sensor" },
        ]);
        TestKernel::plugin::<Devices>()
            .config(json!({ "devices": devices }))
            .start()
    }

    #[test]
    fn a_lamp_changes_once() -> Result<()> {
        let bench = bench()?;
        let mut events = bench.subscribe("devices.*")?;
        let on = json!({ "id": "porch", "kind": "lamp", "on": true });
        for _ in 0..2 {
            assert_eq!(bench.call::<Value>("devices.turn_on", "porch")?, on);
        }
        let off: Value = bench.call("devices.turn_off", "porch")?;
        let changed = [events.recv::<Value>()?, events.recv()?];
        assert!(
            changed
                .iter()
                .all(|event| event.topic == "devices.state_changed")
        );
        assert_eq!(changed.map(|event| event.data), [on, off]);
        assert!(!events.has_more());
        bench.stop();
        Ok(())
    }

    #[test]
    fn devices_stay() -> Result<()> {
        let bench = bench()?;
        let added = json!({ "id": "attic", "kind": "lamp", "on": true });
        assert_eq!(bench.call::<Value>("devices.add", &added)?, added);
        let again = bench
            .call::<Value>("devices.add", &added)
            .expect_err("twice");
        assert_eq!(again.kind(), ErrorKind::Conflict);
        let measured = json!({ "id": "thermometer", "value": 21.5 });
        bench.call::<Value>("devices.set_value", &measured)?;
        bench.restart("devices")?;
        let all: Vec<Device> = bench.call("devices.list", &())?;
        let ids: Vec<_> = all.iter().map(|device| device.id.as_str()).collect();
        assert_eq!(ids, ["attic", "porch", "thermometer"]);
        let warm: Device = bench.call("devices.get", "thermometer")?;
        assert_eq!(warm.kind, Kind::Sensor { value: Some(21.5) });
        bench.stop();
        Ok(())
    }

    #[test]
    fn mistakes_are_named() -> Result<()> {
        let bench = bench()?;
        let check = |id: &str, expected: &str| {
            let error = bench.call::<Value>("devices.turn_on", id).expect_err(id);
            assert!(format!("{error:?}").contains(expected), "{error:?}");
        };
        check("cellar", "not-found: there is no device `cellar`");
        check(
            "thermometer",
            "invalid-input: `thermometer` is a sensor, expected a lamp",
        );
        bench.stop();
        Ok(())
    }
}
