//! The admin socket: HTTP/1.1 and JSON for one running kernel, documented in `docs/admin-api.md`.
//!
//! What a request means is decided in `routes`; here it is taken in, and its answer wrapped.

mod calls;
mod letters;
mod routes;
mod services;
mod storage;
mod tail;

pub(crate) use calls::{DEADLINE, IDEMPOTENCY_KEY, NO_RETRIES, RETAIN, ROUTING_KEY, TRUE};
pub(crate) use routes::RESTORE_SAVED;
pub(crate) use services::FOR;

use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::net;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use octa_kernel::Kernel;
use serde_json::value::RawValue;
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};

use crate::answer::{Answer, ErrorBody, Meta, VERSION};
use crate::meeting::Record;
use crate::storage::Desk;

/// Largest body of a request.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;

/// How long a client may take over the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The header that ties together what a request leads to.
pub(crate) const CORRELATION_ID: &str = "octa-correlation-id";

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What requests are answered from.
#[derive(Debug)]
struct Admin {
    kernel: Kernel,
    record: Record,
    desk: Desk,
    /// Closed when those under way are to come to an end.
    stays: watch::Receiver<()>,
}

/// What a request leads to.
enum Reply {
    /// Data in an envelope.
    Data(Box<RawValue>),
    /// Events, line by line.
    Events(tail::Events),
    /// How far a backup is, line by line, and then the envelope.
    Lines(storage::Lines),
}

/// An error, and the methods that would do where the method was wrong.
#[derive(Debug)]
struct Refusal {
    error: Box<ErrorBody>,
    allowed: Option<&'static str>,
}

impl<E: Into<ErrorBody>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self {
            error: Box::new(error.into()),
            allowed: None,
        }
    }
}

/// Answers requests until `leave` is dropped; then those under way are finished.
pub(crate) async fn serve(
    (kernel, desk): (Kernel, Desk),
    record: Record,
    listener: net::UnixListener,
    leave: oneshot::Receiver<()>,
) {
    let (staying, stays) = watch::channel(());
    let admin = Arc::new(Admin {
        kernel,
        record,
        desk,
        stays,
    });
    let under_way = GracefulShutdown::new();
    tokio::select! {
        () = accept(&admin, listener, &under_way) => {}
        _ = leave => {}
    }
    drop(staying);
    under_way.shutdown().await;
}

async fn accept(admin: &Arc<Admin>, listener: net::UnixListener, under_way: &GracefulShutdown) {
    let listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::error!("the admin socket cannot be served: {error}"),
    };
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, for example; a moment later there may be room again.
                log::warn!("a connection to the admin socket failed: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let admin = admin.clone();
        let service = service_fn(move |request| {
            let admin = admin.clone();
            async move { Ok::<_, Infallible>(admin.respond(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = under_way.watch(connection);
        // It ends with its client, or by `shutdown`; a client that breaks off is its own business.
        tokio::spawn(async move { drop(connection.await) });
    }
}

impl Admin {
    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        // Before any answer: a client that is still writing would miss it.
        let body = calls::take(body).await;
        let is_whole = body.is_ok();
        let given = given_id(&head.headers);
        let correlation = given.as_ref().ok().copied().flatten();
        let correlation = correlation.unwrap_or_else(fresh_id);
        let result = match given.and(body) {
            Ok(body) => {
                let request = Request::from_parts(head, body);
                self.route(request, correlation).await
            }
            Err(error) => Err(error.into()),
        };
        let mut response = self.response_of(result, correlation);
        if !is_whole {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response
    }

    fn meta(&self, correlation: u128) -> Meta {
        Meta {
            kernel: Some(self.record.name.clone()),
            version: VERSION.to_owned(),
            correlation_id: Some(format!("{correlation:032x}")),
        }
    }

    fn response_of(&self, result: Result<Reply, Refusal>, correlation: u128) -> Response<Body> {
        let meta = self.meta(correlation);
        let lines = |body| response(StatusCode::OK, "application/x-ndjson", body);
        match result {
            Ok(Reply::Events(events)) => lines(events.boxed_unsync()),
            Ok(Reply::Lines(told)) => lines(told.boxed_unsync()),
            Ok(Reply::Data(data)) => json(StatusCode::OK, &Answer::of(data, meta)),
            Err(Refusal { error, allowed }) => {
                let status = match allowed {
                    Some(_) => StatusCode::METHOD_NOT_ALLOWED,
                    None => status(&error.kind),
                };
                let mut response = json(status, &Answer::failed(*error, meta));
                if let Some(allowed) = allowed {
                    let value = HeaderValue::from_static(allowed);
                    response.headers_mut().insert(ALLOW, value);
                }
                response
            }
        }
    }
}

/// An id that was not used before, as far as chance goes.
fn fresh_id() -> u128 {
    let random = || u128::from(RandomState::new().hash_one(crate::world::now()));
    (random() << 64 | random()).max(1)
}

fn given_id(headers: &HeaderMap) -> Result<Option<u128>, ErrorBody> {
    let Some(value) = headers.get(CORRELATION_ID) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let id = Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
    match id.and_then(|text| u128::from_str_radix(text, 16).ok()) {
        Some(id) if id != 0 => Ok(Some(id)),
        _ => Err(invalid(
            format!(
                "the header `Octa-Correlation-Id` is {value:?}, expected 1 to 32 hexadecimal digits that are not all 0"
            ),
            None,
        )),
    }
}

/// An input that is not acceptable.
fn invalid(message: impl Into<String>, hint: Option<String>) -> ErrorBody {
    ErrorBody {
        kind: "invalid-input".to_owned(),
        message: message.into(),
        hint,
        ..ErrorBody::default()
    }
}

/// The status for a kind of error.
fn status(kind: &str) -> StatusCode {
    match kind {
        "invalid-input" => StatusCode::BAD_REQUEST,
        "denied" => StatusCode::FORBIDDEN,
        "not-found" | "unknown-capability" => StatusCode::NOT_FOUND,
        "blocked" | "conflict" | "rejected" => StatusCode::CONFLICT,
        "too-large" => StatusCode::PAYLOAD_TOO_LARGE,
        "overloaded" => StatusCode::TOO_MANY_REQUESTS,
        "unsupported" => StatusCode::NOT_IMPLEMENTED,
        "cancelled" | "interrupted" | "unavailable" | "plugin-gone" => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        "deadline" => StatusCode::GATEWAY_TIMEOUT,
        "cycle" => StatusCode::LOOP_DETECTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn json(status: StatusCode, answer: &Answer) -> Response<Body> {
    let line = answer.to_line() + "\n";
    let body = Full::new(Bytes::from(line)).boxed_unsync();
    response(status, "application/json", body)
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status() {
        assert_eq!(status("invalid-input"), StatusCode::BAD_REQUEST);
        assert_eq!(status("unknown-capability"), StatusCode::NOT_FOUND);
        assert_eq!(status("deadline"), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(status("panicked"), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn ids_differ() {
        assert_ne!(fresh_id(), fresh_id());
    }
}
