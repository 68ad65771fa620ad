//! What `#[tentacle]` writes into the manifest, in full.

use octa_plugin_api::{Context, Event, Payload, Result, Schema, Tentacle, export, tentacle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn check<T: export::Exported>(mut expected: Value) {
    let manifest = export::linked::<T>().manifest;
    let mut manifest: Value = serde_json::from_str(&manifest).expect("a manifest is JSON");
    // What depends on the build is only looked at for being there.
    for key in ["abi", "compiler", "panic", "target", "license", "version"] {
        let value = manifest[key].take();
        assert!(!value.is_null(), "`{key}` is missing");
        expected[key] = Value::Null;
    }
    assert_eq!(manifest, expected, "{manifest:#}");
}

#[derive(Debug, Serialize, Deserialize, Schema)]
struct Lamp {
    on: bool,
}

#[derive(Default)]
struct Lamps;

/// Switches "lamps".
#[tentacle(
    name = "lamps",
    storage = "lamps",
    state("lamps", "rooms.state"),
    publishes("lamps.**", "alert.*"),
    subscribes("door.*.open", "window.**"),
    calls = "devices.**",
    needs(capability = "devices.turn_on", version = "^0.1", optional),
    needs(plugin = "devices"),
    state_version = 2,
    reload = "exclusive",
    placement = "in-process"
)]
impl Lamps {
    /// Turns a lamp on
    /// and returns its new state.
    #[capability("lamps.turn_on", idempotent, deadline = "2m")]
    async fn turn_on(&self, _ctx: &Context, on: bool) -> Result<Lamp> {
        Ok(Lamp { on })
    }

    fn helper(&self) -> Payload {
        Payload::default()
    }

    #[capability("lamps.raw")]
    fn raw(&self, _bytes: &[u8]) -> Payload {
        self.helper()
    }

    #[capability("lamps.parse", blocking)]
    fn parse(&self, text: String, _ctx: &Context) -> Result<u8, std::num::ParseIntError> {
        text.parse()
    }

    #[capability("lamps.wait", blocking)]
    async fn wait(&self) {}

    /// At night.
    #[subscribe("night", capacity = 64, overflow = "keep-latest", retries = 2)]
    async fn night(&self, _ctx: &Context, _: Event<()>) -> Result<()> {
        Ok(())
    }

    #[subscribe("lamps.**", concurrency = 4, blocking)]
    fn seen(&self, _: Lamp) {}

    #[subscribe("tick.*")]
    fn tick(&self) {}
}

#[test]
fn everything_declared_is_in_the_manifest() {
    let byte = json!({ "type": "integer", "minimum": 0, "maximum": 255 });
    let raw = json!({ "description": "Raw bytes." });
    let lamp = json!({
        "type": "object",
        "properties": { "on": { "type": "boolean" } },
        "required": ["on"],
    });
    check::<Lamps>(json!({
        "manifest": "1.1",
        "name": "lamps",
        "description": "Switches \"lamps\".",
        "allocator": "counting",
        "state_version": 2,
        "reload": "exclusive",
        "placement": "in-process",
        "capabilities": [
            {
                "name": "lamps.turn_on",
                "description": "Turns a lamp on\nand returns its new state.",
                "input": { "type": "boolean" },
                "output": { "$ref": "#/$defs/Lamp", "$defs": { "Lamp": lamp } },
                "idempotent": true,
                "deadline_ms": 120_000,
            },
            { "name": "lamps.raw", "description": "", "input": raw, "output": raw },
            {
                "name": "lamps.parse",
                "description": "",
                "input": { "type": "string" },
                "output": byte,
                "blocking": true,
            },
            {
                "name": "lamps.wait",
                "description": "",
                "input": { "type": "null" },
                "output": { "type": "null" },
                "blocking": true,
            },
        ],
        "subscriptions": [
            {
                "pattern": "night",
                "description": "At night.",
                "capacity": 64,
                "overflow": "keep-latest",
                "retries": 2,
            },
            { "pattern": "lamps.**", "description": "", "concurrency": 4, "blocking": true },
            { "pattern": "tick.*", "description": "" },
        ],
        "needs": [
            { "capability": "devices.turn_on", "version": "^0.1", "optional": true },
            { "plugin": "devices" },
        ],
        "permissions": {
            "publish": ["lamps.**", "alert.*"],
            "subscribe": ["door.*.open", "window.**"],
            "call": ["devices.**"],
            "storage": ["lamps"],
            "state": ["lamps", "rooms.state"],
        },
    }));
}

#[derive(Default)]
struct Guarded;

#[tentacle(name = "guarded")]
impl Guarded {
    #[capability(
        "guarded.all",
        idempotent,
        routing = "by-key",
        concurrency = 8,
        queue = 0,
        wait = "1h",
        breaker(
            failures = 0.5,
            calls = 10,
            window = "10s",
            open = "5s",
            probes = 1,
            slow = "200ms"
        ),
        retry(attempts = 3, backoff = "50ms", backoff_max = "50ms", budget = 1),
        rate(calls = 100, per = "1s", burst = 20),
        remember(results = 1024, bytes = "16MiB", time = "10m"),
        fallback = "guarded.usual",
        check
    )]
    fn all(&self) {}

    #[capability("guarded.usual", breaker, retry, rate(calls = 1), remember)]
    fn usual(&self) {}

    #[capability(
        "guarded.in_part",
        breaker(failures = 1_0e-2),
        retry(),
        remember(bytes = "1KiB")
    )]
    fn in_part(&self) {}

    #[subscribe("tick", retries = 3, backoff = "100ms", backoff_max = "10s")]
    fn tick(&self) {}
}

#[test]
fn how_calls_are_treated_is_in_the_manifest() {
    let manifest = export::linked::<Guarded>().manifest;
    let manifest: Value = serde_json::from_str(&manifest).expect("a manifest is JSON");
    let policy = |index: usize| &manifest["capabilities"][index]["policy"];
    assert_eq!(
        *policy(0),
        json!({
            "routing": "by-key",
            "concurrency": 8,
            "queue": 0,
            "wait_ms": 3_600_000,
            "breaker": {
                "failures": 0.5,
                "calls": 10,
                "window_ms": 10_000,
                "open_ms": 5_000,
                "probes": 1,
                "slow_ms": 200,
            },
            "retry": { "attempts": 3, "backoff_ms": 50, "backoff_max_ms": 50, "budget": 1 },
            "rate": { "calls": 100, "per_ms": 1_000, "burst": 20 },
            "remember": { "results": 1_024, "bytes": 16_777_216, "time_ms": 600_000 },
            "fallback": "guarded.usual",
            "check": true,
        }),
    );
    let usual = json!({ "breaker": true, "retry": true, "rate": { "calls": 1 }, "remember": {} });
    assert_eq!(*policy(1), usual);
    let in_part =
        json!({ "breaker": { "failures": 0.1 }, "retry": {}, "remember": { "bytes": 1_024 } });
    assert_eq!(*policy(2), in_part);
    let tick = &manifest["subscriptions"][0];
    assert_eq!(
        (&tick["backoff_ms"], &tick["backoff_max_ms"]),
        (&json!(100), &json!(10_000))
    );
}

struct Rooms {
    first: String,
}

#[tentacle(allocator = "own", subscribes = "rooms.left")]
impl Tentacle for Rooms {
    type Config = Vec<String>;

    fn create(config: Self::Config) -> Result<Self> {
        Ok(Self {
            first: config.concat(),
        })
    }

    async fn start(&self, ctx: &Context) -> Result<()> {
        ctx.publish("rooms.started", &self.first).await?;
        Ok(())
    }

    #[capability("rooms.first")]
    fn first(&self) -> String {
        self.first.clone()
    }
}

#[test]
fn what_is_not_said_comes_from_the_package() {
    check::<Rooms>(json!({
        "manifest": "1.1",
        "name": "octa-plugin-api",
        "description": env!("CARGO_PKG_DESCRIPTION"),
        "allocator": "own",
        "capabilities": [
            {
                "name": "rooms.first",
                "description": "",
                "input": { "type": "null" },
                "output": { "type": "string" },
            },
        ],
        "subscriptions": [],
        "needs": [],
        "permissions": {
            "publish": [],
            "subscribe": ["rooms.left"],
            "call": [],
            "storage": [],
            "state": [],
        },
        "config": { "type": "array", "items": { "type": "string" } },
    }));
}

struct Bare;

#[tentacle(name = "bare")]
impl Tentacle for Bare {
    type Config = ();

    fn create((): ()) -> Result<Self> {
        Ok(Self)
    }
}

#[test]
fn no_configuration_has_no_schema() {
    let manifest: Value = serde_json::from_str(&export::linked::<Bare>().manifest).expect("JSON");
    assert_eq!(manifest.get("config"), None);
}
