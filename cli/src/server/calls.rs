//! Calls and events that come in from outside: read, checked and passed on.

use std::future::Future;
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body as _, Bytes, Incoming};
use octa_kernel::config::check_schema;
use octa_kernel::{CallOptions, Payload, PublishOptions};
use serde_json::{json, value::RawValue};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::{Admin, BODY_BYTES_MAX, Refusal, invalid};
use crate::answer::{ErrorBody, raw};
use crate::duration;

/// The header with the time that a call may take.
pub(crate) const DEADLINE: &str = "octa-deadline";
/// The header with what makes repeated calls one.
pub(crate) const IDEMPOTENCY_KEY: &str = "octa-idempotency-key";
/// The header with what a provider is chosen by.
pub(crate) const ROUTING_KEY: &str = "octa-routing-key";
/// The header with the trace that a call is a part of, as the W3C names it.
const TRACE_CONTEXT: &str = "traceparent";
/// The header that makes the first error the end.
pub(crate) const NO_RETRIES: &str = "octa-no-retries";
/// The header that keeps an event as the last of its topic.
pub(crate) const RETAIN: &str = "octa-retain";
/// What switches a header on that is a switch.
pub(crate) const TRUE: &str = "true";

/// How long subscribers that hold their publisher back are waited for, unless the client says
/// otherwise.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(30);

impl Admin {
    pub(super) async fn call(
        &self,
        capability: &str,
        request: &Request<Bytes>,
        correlation: u128,
    ) -> Result<Box<RawValue>, Refusal> {
        let options = CallOptions {
            deadline: deadline(request)?,
            idempotency_key: idempotency_key(request)?,
            routing_key: text(request, ROUTING_KEY)?.unwrap_or_default(),
            correlation_id: correlation,
            trace_context: text(request, TRACE_CONTEXT)?.unwrap_or_default(),
            no_retries: switch(request, NO_RETRIES)?,
        };
        // Before the input is parsed: whoever mistypes the name is told so.
        self.kernel
            .capability(capability)
            .map_err(ErrorBody::from)?;
        let input = read(request.body())?;
        self.check(capability, &input)?;
        let (kernel, name) = (self.kernel.clone(), capability.to_owned());
        let input = Payload::copy_from_slice(input.get().as_bytes());
        let called = apart(async move { kernel.call_with(&name, &input, &options).await }).await?;
        let output = called.map_err(ErrorBody::from)?;
        if output.is_empty() {
            return Ok(RawValue::NULL.to_owned());
        }
        let parsed = serde_json::from_slice(&output).map_err(|_| ErrorBody {
            kind: "invalid-output".to_owned(),
            message: format!(
                "`{capability}` answered {} bytes that are no JSON",
                output.len()
            ),
            ..ErrorBody::default()
        });
        Ok(parsed?)
    }

    /// Holds the input against the schema of the capability.
    fn check(&self, capability: &str, input: &RawValue) -> Result<(), ErrorBody> {
        let offered = self.kernel.capabilities();
        let Some((declared, _)) = offered.iter().find(|(is, _)| is.name == capability) else {
            return Ok(());
        };
        let input = serde_json::from_str(input.get())
            .map_err(|error| invalid(format!("the input cannot be read: {error}"), None))?;
        check_schema(&declared.input, &input, "input").map_err(|mismatch| {
            let schema = format!("`octa capabilities --json` shows what `{capability}` takes");
            invalid(mismatch.to_string(), mismatch.hint().or(Some(schema)))
        })
    }

    pub(super) async fn publish(
        &self,
        topic: &str,
        request: &Request<Bytes>,
        correlation: u128,
    ) -> Result<Box<RawValue>, Refusal> {
        allow(topic)?;
        let options = PublishOptions {
            deadline: Some(deadline(request)?.unwrap_or(PUBLISH_DEADLINE)),
            correlation_id: correlation,
            retain: switch(request, RETAIN)?,
        };
        let data = read(request.body())?;
        let data = Payload::copy_from_slice(data.get().as_bytes());
        let published = self.kernel.publish_with(topic, &data, &options).await;
        let matched = published.map_err(ErrorBody::from)?;
        Ok(raw(&json!({ "matched": matched }))?)
    }

    /// Forgets the event that is retained of a topic.
    pub(super) async fn clear(&self, topic: &str) -> Result<Box<RawValue>, Refusal> {
        allow(topic)?;
        let cleared = self.kernel.clear_retained(topic).await;
        let cleared = cleared.map_err(ErrorBody::from)?;
        Ok(raw(&json!({ "cleared": cleared }))?)
    }
}

/// Runs `future` on a thread of its own, for a handler runs on the thread that calls it, and one
/// that takes long must not hold up the others. Dropped, it drops `future`.
async fn apart<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T, ErrorBody> {
    let handle = Handle::current();
    let (_present, gone) = oneshot::channel::<()>();
    let running = spawn_blocking(move || {
        handle.block_on(async {
            tokio::select! {
                output = future => Some(output),
                _ = gone => None,
            }
        })
    });
    running.await.ok().flatten().ok_or_else(|| ErrorBody {
        kind: "internal".to_owned(),
        message: "the thread of the call ended early".to_owned(),
        ..ErrorBody::default()
    })
}

pub(super) fn text(request: &Request<Bytes>, header: &str) -> Result<Option<String>, ErrorBody> {
    let value = request.headers().get(header);
    let read = value.map(|value| {
        let text = std::str::from_utf8(value.as_bytes());
        text.map(str::to_owned)
            .map_err(|_| invalid(format!("the header `{header}` is not UTF-8"), None))
    });
    read.transpose()
}

/// The key of a call; none where there is no such header.
fn idempotency_key(request: &Request<Bytes>) -> Result<String, ErrorBody> {
    match text(request, IDEMPOTENCY_KEY)? {
        // No key would have it done each time: an unset variable must not do that.
        Some(key) if key.is_empty() => {
            let hint = "leave it out where the call is not to be done once only".to_owned();
            Err(invalid(
                "the idempotency key is empty".to_owned(),
                Some(hint),
            ))
        }
        key => Ok(key.unwrap_or_default()),
    }
}

fn deadline(request: &Request<Bytes>) -> Result<Option<Duration>, ErrorBody> {
    let text = text(request, DEADLINE)?;
    let parsed = text.map(|text| duration::parse(&text));
    parsed
        .transpose()
        .map_err(|error| invalid(format!("the header `Octa-Deadline`: {error}"), None))
}

/// Whether a header is there that is a switch.
pub(super) fn switch(request: &Request<Bytes>, header: &str) -> Result<bool, ErrorBody> {
    match text(request, header)?.as_deref() {
        None | Some("false") => Ok(false),
        Some(TRUE) => Ok(true),
        Some(found) => Err(invalid(
            format!("the header `{header}` is `{found}`, expected `true` or `false`"),
            None,
        )),
    }
}

/// Takes in the whole body of a request.
pub(super) async fn take(body: Incoming) -> Result<Bytes, ErrorBody> {
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => too_large(),
        None => invalid(format!("the body did not arrive whole: {error}"), None),
    })?;
    Ok(body.to_bytes())
}

/// Reads a body that must be JSON; no body is `null`.
pub(super) fn read(bytes: &[u8]) -> Result<Box<RawValue>, ErrorBody> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(RawValue::NULL.to_owned());
    }
    serde_json::from_slice(bytes)
        .map_err(|error| invalid(format!("the body is no JSON: {error}"), None))
}

/// Refuses the topics of the kernel.
fn allow(topic: &str) -> Result<(), ErrorBody> {
    if !topic.starts_with("kernel.") {
        return Ok(());
    }
    Err(ErrorBody {
        kind: "denied".to_owned(),
        message: format!(
            "the topic `{topic}` cannot be published to: `kernel.**` is the kernel's own"
        ),
        ..ErrorBody::default()
    })
}

fn too_large() -> ErrorBody {
    ErrorBody {
        kind: "too-large".to_owned(),
        message: format!("the body has more than {BODY_BYTES_MAX} bytes, the most that is taken"),
        hint: Some("pass large data by its place: a path, a key in the storage".to_owned()),
        ..ErrorBody::default()
    }
}
