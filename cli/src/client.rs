//! Asks a running kernel, over its admin socket.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;

use crate::answer::Answer;
use crate::failure::Explain;
use crate::meeting::{Meeting, Record};

/// How long a kernel may take over what needs no plugin.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a kernel did not answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ClientError {
    /// Nobody listens any more.
    #[error("cannot reach kernel `{kernel}` on `{socket}`")]
    Connect {
        /// The kernel.
        kernel: String,
        /// Its socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It went away, or does not speak as expected.
    #[error("kernel `{kernel}` broke off")]
    Broken {
        /// The kernel.
        kernel: String,
        /// What is known of it.
        source: hyper::Error,
    },
    /// It speaks, but not as expected.
    #[error("kernel `{kernel}` gave an answer that is not understood")]
    Answer {
        /// The kernel.
        kernel: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It does not speak.
    #[error("kernel `{kernel}`, process {pid}, did not answer within {PATIENCE:?}")]
    Silent {
        /// The kernel.
        kernel: String,
        /// Its process.
        pid: u32,
    },
    /// Something cannot be part of a request.
    #[error("`{text}` cannot be sent")]
    Unsendable {
        /// What.
        text: String,
        /// Why.
        source: hyper::http::Error,
    },
}

impl Explain for ClientError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unsendable { .. } => "invalid-input",
            _ => "no-kernel",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Silent { pid, .. } => Some(format!("is process {pid} stopped?")),
            _ => None,
        }
    }
}

/// A request before it is sent.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// The path after the version.
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// Whether the answer may take as long as a plugin takes.
    pub(crate) is_patient: bool,
}

impl Ask {
    /// A question that the kernel answers by itself; the path's segments may be anything.
    pub(crate) fn get(path: &[&str]) -> Self {
        let segments: Vec<String> = path.iter().map(|segment| encode(segment)).collect();
        Self {
            method: Method::GET,
            path: segments.join("/"),
            headers: Vec::new(),
            body: String::new(),
            is_patient: false,
        }
    }

    /// The same with a query, already in the form that it is sent in.
    pub(crate) fn query(mut self, query: Option<&str>) -> Self {
        self.path
            .extend(query.into_iter().flat_map(|query| ["?", query]));
        self
    }

    /// Something that is to be done.
    pub(crate) fn post(path: &[&str]) -> Self {
        Self {
            method: Method::POST,
            is_patient: true,
            ..Self::get(path)
        }
    }
}

/// A connection to one kernel.
#[derive(Debug)]
pub(crate) struct Client {
    record: Record,
    sender: SendRequest<Full<Bytes>>,
}

/// Lines that arrive one by one.
#[derive(Debug)]
pub(crate) struct Lines {
    kernel: String,
    body: Incoming,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects; needs tokio.
    pub(crate) async fn connect(meeting: &Meeting, record: Record) -> Result<Self, ClientError> {
        let socket = meeting.socket(&record.name);
        let stream = UnixStream::connect(&socket).await;
        let stream = stream.map_err(|source| ClientError::Connect {
            kernel: record.name.clone(),
            socket,
            source,
        })?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken(&record.name))?;
        // What ends it shows in the answer that is waited for.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { record, sender })
    }

    /// Asks, and reads the envelope.
    pub(crate) async fn ask(&mut self, ask: Ask) -> Result<Answer, ClientError> {
        let is_patient = ask.is_patient;
        let request = request(&ask)?;
        let answering = async {
            let response = self.sender.send_request(request).await;
            let response = response.map_err(broken(&self.record.name))?;
            read(response, &self.record.name).await
        };
        if is_patient {
            return answering.await;
        }
        within(&self.record, answering).await?
    }

    /// Asks for lines; an answer without any is an error in its envelope.
    pub(crate) async fn lines(
        &mut self,
        ask: Ask,
    ) -> Result<Result<Lines, Box<Answer>>, ClientError> {
        let sending = self.sender.send_request(request(&ask)?);
        let kernel = &self.record.name;
        let response = within(&self.record, sending)
            .await?
            .map_err(broken(kernel))?;
        if !response.status().is_success() {
            return Ok(Err(Box::new(read(response, kernel).await?)));
        }
        Ok(Ok(Lines {
            kernel: kernel.clone(),
            body: response.into_body(),
            buffer: Vec::new(),
        }))
    }
}

impl Lines {
    /// The next line; none when the kernel has stopped.
    pub(crate) async fn next(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).take(end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buffer.extend(frame.data_ref().into_iter().flatten()),
                Some(Err(source)) => return Err(broken(&self.kernel)(source)),
                None => return Ok(None),
            }
        }
    }
}

async fn within<T>(record: &Record, answer: impl Future<Output = T>) -> Result<T, ClientError> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.map_err(|_| ClientError::Silent {
        kernel: record.name.clone(),
        pid: record.pid,
    })
}

async fn read(response: Response<Incoming>, kernel: &str) -> Result<Answer, ClientError> {
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(broken(kernel))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|source| ClientError::Answer {
        kernel: kernel.to_owned(),
        source,
    })
}

fn broken(kernel: &str) -> impl Fn(hyper::Error) -> ClientError {
    move |source| ClientError::Broken {
        kernel: kernel.to_owned(),
        source,
    }
}

fn request(ask: &Ask) -> Result<Request<Full<Bytes>>, ClientError> {
    let path = format!("/v1/{}", ask.path);
    let mut builder = Request::builder()
        .method(ask.method.clone())
        .uri(&path)
        .header(HOST, "octa");
    for (name, value) in &ask.headers {
        builder = builder.header(*name, value);
    }
    let body = Full::new(Bytes::from(ask.body.clone()));
    builder
        .body(body)
        .map_err(|source| ClientError::Unsendable { text: path, source })
}

/// Percent-encodes what cannot stand in a path as it is.
pub(crate) fn encode(segment: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    segment.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths() {
        assert_eq!(encode("lamp_1.turn-on"), "lamp_1.turn-on");
        assert_eq!(encode("sysmon.**"), "sysmon.**");
        assert_eq!(encode("a/b ä?"), "a%2Fb%20%C3%A4%3F");
    }
}
