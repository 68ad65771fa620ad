//! What is stored, read and written from outside, and backups of it while the kernel works.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use hyper::{Method, Request as Http};
use octa_kernel::storage::Expect;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::calls::{read, switch, text};
use super::routes::{decode, only, unsupported};
use super::{Admin, Refusal, invalid};
use crate::answer::{Answer, ErrorBody, Meta};
use crate::args;
use crate::storage::{BackupAsked, EXPECT, FORCE, Request};

/// Lines of a backup that may wait for a client that reads slowly.
const LINES: usize = 16;

impl Admin {
    /// What a request about the storage asks; `rest` is its path behind `storage`.
    pub(super) fn storage_request(
        &self,
        http: &Http<Bytes>,
        rest: &[&str],
    ) -> Result<Request, Refusal> {
        let method = http.method();
        let query = http.uri().query();
        match rest {
            [] => {
                only(method.clone(), Method::GET)?;
                parameters::<0>(query, [])?;
                Ok(Request::Stats)
            }
            [namespace] => {
                only(method.clone(), Method::GET)?;
                Ok(list(namespace, query)?)
            }
            [namespace, key @ ..] => {
                parameters::<0>(query, [])?;
                // The path was taken apart where it may have had more of them.
                record(http, (*namespace).to_owned(), key.join("/"))
            }
        }
    }

    /// Backs up on a thread of its own, and tells how far it is; a client that breaks off ends it.
    pub(super) fn backup(&self, http: &Http<Bytes>, meta: Meta) -> Result<Lines, Refusal> {
        only(http.method().clone(), Method::POST)?;
        let body = read(http.body())?;
        let asked: BackupAsked = serde_json::from_str(body.get()).map_err(|error| {
            let example = r#"send `{"path": "/mnt/backup/home.db", "force": false}`"#;
            invalid(
                format!("the body is no backup to make: {error}"),
                Some(example.to_owned()),
            )
        })?;
        if !asked.path.is_absolute() {
            let path = asked.path.display();
            return Err(invalid(format!("`{path}` is no absolute path"), None).into());
        }
        let (desk, handle) = (self.desk.clone(), Handle::current());
        let (sender, lines) = mpsc::channel(LINES);
        spawn_blocking(move || {
            handle.block_on(async {
                let progress = |at| {
                    // One that does not fit is followed by another soon.
                    drop(sender.try_send(serde_json::to_string(&at).unwrap_or_default()));
                };
                let answer = tokio::select! {
                    biased;
                    () = sender.closed() => return,
                    made = crate::storage::backup(&desk, &asked, progress) => match made {
                        Ok(data) => Answer::of(data, meta),
                        Err(error) => Answer::failed(error, meta),
                    },
                };
                drop(sender.send(answer.to_line()).await);
            });
        });
        Ok(Lines(lines))
    }
}

/// Lines as they come.
#[derive(Debug)]
pub(super) struct Lines(mpsc::Receiver<String>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = ready!(self.0.poll_recv(cx));
        Poll::Ready(line.map(|line| Ok(Frame::data((line + "\n").into()))))
    }
}

fn record(http: &Http<Bytes>, namespace: String, key: String) -> Result<Request, Refusal> {
    let method = http.method();
    if *method == Method::GET {
        return Ok(Request::Get { namespace, key });
    }
    let expect = match text(http, EXPECT)? {
        Some(text) => args::expectation(&text).map_err(|error| {
            invalid(
                format!("the header `Octa-Expect` is `{text}`, {error}"),
                None,
            )
        })?,
        None => Expect::Any,
    };
    let force = switch(http, FORCE)?;
    match *method {
        Method::POST => Ok(Request::Set {
            namespace,
            key,
            value: read(http.body())?.get().to_owned(),
            expect,
            force,
        }),
        Method::DELETE => Ok(Request::Delete {
            namespace,
            key,
            expect,
            force,
        }),
        _ => Err(unsupported(method, "GET, POST, DELETE")),
    }
}

fn list(namespace: &str, query: Option<&str>) -> Result<Request, ErrorBody> {
    let [prefix, after, limit] = parameters(query, ["prefix", "after", "limit"])?;
    let limit = limit.map(|limit| {
        limit.parse().map_err(|_| {
            invalid(
                format!("the query's `limit` is `{limit}`, expected a number of entries"),
                None,
            )
        })
    });
    Ok(Request::List {
        namespace: namespace.to_owned(),
        prefix: prefix.unwrap_or_default(),
        after,
        limit: limit.transpose()?,
    })
}

/// The values of a query by their names; others are refused.
fn parameters<const N: usize>(
    query: Option<&str>,
    names: [&str; N],
) -> Result<[Option<String>; N], ErrorBody> {
    let mut values = names.map(|_| None);
    let query = query.unwrap_or_default().split('&');
    for parameter in query.filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let Some(index) = names.iter().position(|known| *known == name) else {
            let known = names.map(|name| format!("`{name}`")).join(", ");
            let hint = (N > 0).then(|| format!("it may have {known}"));
            return Err(invalid(
                format!("the query's `{name}` has no meaning here"),
                hint,
            ));
        };
        values[index] = Some(decode(value));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read() {
        let request = list("history", Some("prefix=cpu%2F&after=cpu%2F%26&limit=7"));
        let expect = Request::List {
            namespace: "history".into(),
            prefix: "cpu/".into(),
            after: Some("cpu/&".into()),
            limit: Some(7),
        };
        assert_eq!(request, Ok(expect));
        let expect = Request::List {
            namespace: "history".into(),
            prefix: String::new(),
            after: None,
            limit: None,
        };
        assert_eq!(list("history", None), Ok(expect));
    }

    #[test]
    fn a_query_that_means_nothing_is_refused() {
        for (query, expect) in [
            ("prefx=a", "the query's `prefx` has no meaning here"),
            (
                "limit=many",
                "the query's `limit` is `many`, expected a number of entries",
            ),
        ] {
            assert_eq!(list("a", Some(query)).expect_err(query).message, expect);
        }
        assert!(parameters::<0>(Some("limit=1"), []).is_err());
    }
}
