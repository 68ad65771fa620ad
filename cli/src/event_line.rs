//! An event as the admin socket and `--json` tell it, and as people read it.

use octa_kernel::bus::{Event, JSON};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{plugin_event, show};

/// One event, on one line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EventLine {
    /// Unique within the kernel.
    pub(crate) id: u64,
    /// The topic it was published on.
    pub(crate) topic: String,
    /// Who published it.
    pub(crate) source: String,
    /// When, in nanoseconds since 1970.
    pub(crate) time: u64,
    /// Counts the events of its publisher.
    pub(crate) sequence: u64,
    /// Ties together what belongs to one operation.
    pub(crate) correlation_id: Option<String>,
    /// What it says; `null` if that is no JSON.
    pub(crate) data: Box<RawValue>,
    /// How many bytes it has, if they are no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<usize>,
}

impl EventLine {
    /// An event of the bus.
    pub(crate) fn of(event: &Event) -> Self {
        let json = Some(&event.payload).filter(|_| event.content_type == JSON);
        let data = json.and_then(|payload| compact(payload));
        Self {
            id: event.id,
            topic: event.topic.to_string(),
            source: event.source.to_string(),
            time: event.time,
            sequence: event.sequence,
            correlation_id: Some(event.correlation)
                .filter(|correlation| *correlation != 0)
                .map(|correlation| format!("{correlation:032x}")),
            bytes: data.is_none().then_some(event.payload.len()),
            data: data.unwrap_or_else(|| RawValue::NULL.to_owned()),
        }
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For people: `12:03:04 sysmon.cpu  {"load":0.12}`.
    pub(crate) fn to_text(&self) -> String {
        let (clock, topic) = (show::clock(self.time), &self.topic);
        match (self.bytes, self.in_words()) {
            (Some(bytes), _) => format!("{clock} {topic}  {bytes} bytes"),
            (None, Some(words)) => format!("{clock} {topic}  {words}"),
            (None, None) => format!("{clock} {topic}  {}", show::one_line(self.data.get())),
        }
    }

    /// What the kernel tells of a plugin, in words.
    fn in_words(&self) -> Option<String> {
        let is_own = self.source == "kernel" && self.topic.starts_with("kernel.");
        let told = is_own.then(|| plugin_event::in_words(self.data.get()))??;
        Some(show::one_line(&told).into_owned())
    }
}

/// JSON on one line, as its author wrote it otherwise. Line breaks lie between tokens only, for
/// inside a string they are escaped.
fn compact(payload: &[u8]) -> Option<Box<RawValue>> {
    if payload.is_empty() {
        return Some(RawValue::NULL.to_owned());
    }
    let raw: Box<RawValue> = serde_json::from_slice(payload).ok()?;
    if !raw.get().contains(['\n', '\r']) {
        return Some(raw);
    }
    RawValue::from_string(raw.get().replace(['\n', '\r'], " ")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(topic: &str, source: &str, data: &str) -> EventLine {
        EventLine {
            id: 7,
            topic: topic.into(),
            source: source.into(),
            time: 0,
            sequence: 1,
            correlation_id: None,
            data: compact(data.as_bytes()).expect("JSON"),
            bytes: None,
        }
    }

    /// The text without the time, which depends on where the test runs.
    fn text(event: &EventLine) -> String {
        event.to_text()["00:00:00 ".len()..].to_owned()
    }

    #[test]
    fn an_event_is_one_line() {
        let event = event("sysmon.cpu", "sysmon", "{\"load\":\n 0.120}");
        assert_eq!(text(&event), "sysmon.cpu  {\"load\":  0.120}");
        assert_eq!(
            event.to_json(),
            r#"{"id":7,"topic":"sysmon.cpu","source":"sysmon","time":0,"sequence":1,"correlation_id":null,"data":{"load":  0.120}}"#
        );
    }

    #[test]
    fn what_the_kernel_tells_of_a_plugin_is_in_words() {
        let data = r#"{"plugin":"lamp","version":"0.1.0","from":"loaded","to":"failed",
            "problems":[{"kind":"failed","message":"no light","hint":null}]}"#;
        let topic = "kernel.plugin.failed";
        assert_eq!(
            text(&event(topic, "kernel", data)),
            "kernel.plugin.failed  lamp 0.1.0: loaded → failed: no light"
        );
        assert!(text(&event(topic, "lamp", data)).contains("\"from\":\"loaded\""));
    }

    #[test]
    fn bytes_are_counted() {
        assert!(compact(b"\xff").is_none());
        let event = EventLine {
            bytes: Some(3),
            ..event("camera.frame", "camera", "")
        };
        assert_eq!(text(&event), "camera.frame  3 bytes");
    }
}
