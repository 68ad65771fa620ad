//! Which request means what; calls and events are the job of `calls`.

use hyper::body::Bytes;
use hyper::{Method, Request};
use octa_kernel::lifecycle::State;
use octa_kernel::{PluginStatus, RollbackOptions};
use serde_json::json;
use serde_json::value::RawValue;

use super::tail::Events;
use super::{Admin, Refusal, Reply, invalid, services};
use crate::answer::{ErrorBody, raw};

impl Admin {
    pub(super) async fn route(
        &self,
        request: Request<Bytes>,
        correlation: u128,
    ) -> Result<Reply, Refusal> {
        let path = decode(request.uri().path());
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let method = request.method().clone();
        let data = match segments[..] {
            ["v1", "kernel"] => only(method, Method::GET).and_then(|()| self.kernel())?,
            ["v1", "plugins"] => only(method, Method::GET).and_then(|()| self.plugins())?,
            ["v1", "plugins", name] => {
                only(method, Method::GET)?;
                raw(&self.plugin(name)?)?
            }
            ["v1", "plugins", name, "why"] => {
                only(method, Method::GET)?;
                raw(&self.kernel.why(name).map_err(ErrorBody::from)?)?
            }
            ["v1", "plugins", name, action] if ACTIONS.contains(&action) => {
                only(method, Method::POST)?;
                self.act(name, action).await?
            }
            ["v1", "plugins", name, action] if REPLACEMENTS.contains(&action) => {
                let restore_saved = restore_saved(action, request.uri().query())?;
                let options = RollbackOptions { restore_saved };
                match method {
                    Method::GET => self.plan(name, action, options).await?,
                    Method::POST => self.replace(name, action, options).await?,
                    found => return Err(unsupported(&found, "GET, POST")),
                }
            }
            ["v1", "capabilities"] => only(method, Method::GET).and_then(|()| self.offered())?,
            ["v1", "call", capability] => {
                only(method, Method::POST)?;
                self.call(capability, &request, correlation).await?
            }
            ["v1", "publish", topic] => {
                only(method, Method::POST)?;
                self.publish(topic, &request, correlation).await?
            }
            ["v1", "clear", topic] => {
                only(method, Method::POST)?;
                self.clear(topic).await?
            }
            ["v1", "services", ref name @ ..] if name.len() < 2 => {
                only(method, Method::GET)?;
                let time = services::measured_for(request.uri().query())?;
                self.services(name.first().copied(), time).await?
            }
            ["v1", "subscriptions", ref plugin @ ..] if plugin.len() < 2 => {
                only(method, Method::GET)?;
                self.subscriptions(plugin.first().copied())?
            }
            ["v1", "dead-letters", ref rest @ ..] => self.letters(&method, rest, &path).await?,
            ["v1", "storage", ref rest @ ..] => {
                let asked = self.storage_request(&request, rest)?;
                self.desk.answer(&asked).await?
            }
            ["v1", "backup"] => {
                let lines = self.backup(&request, self.meta(correlation))?;
                return Ok(Reply::Lines(lines));
            }
            ["v1", "tail", pattern] => {
                only(method, Method::GET)?;
                let events = self.kernel.subscribe(pattern).await;
                return Ok(Reply::Events(Events::new(events.map_err(ErrorBody::from)?)));
            }
            _ => return Err(unknown(&path).into()),
        };
        Ok(Reply::Data(data))
    }

    fn kernel(&self) -> Result<Box<RawValue>, Refusal> {
        let plugins = self.kernel.plugins();
        let is_started = |plugin: &&PluginStatus| plugin.state == State::Started;
        let started = plugins.iter().filter(is_started).count();
        Ok(raw(&json!({
            "name": self.record.name,
            "pid": self.record.pid,
            "data": self.record.data,
            "plugins": self.record.plugins,
            "started": self.record.started,
            "plugins_known": plugins.len(),
            "plugins_started": started,
        }))?)
    }

    fn plugins(&self) -> Result<Box<RawValue>, Refusal> {
        Ok(raw(&json!({
            "plugins": self.kernel.plugins(),
            "rejected": self.kernel.rejected(),
        }))?)
    }

    pub(super) fn plugin(&self, name: &str) -> Result<PluginStatus, ErrorBody> {
        let mut plugins = self.kernel.plugins().into_iter();
        let found = plugins.find(|plugin| plugin.name == name);
        found.ok_or_else(|| ErrorBody {
            kind: "not-found".to_owned(),
            message: format!("there is no plugin `{name}`"),
            hint: Some("`octa list` shows the plugins there are".to_owned()),
            ..ErrorBody::default()
        })
    }

    async fn act(&self, name: &str, action: &str) -> Result<Box<RawValue>, Refusal> {
        let done = match action {
            "load" => self.kernel.load_plugin(name).await,
            "start" => self.kernel.start_plugin(name).await,
            "stop" => self.kernel.stop_plugin(name).await,
            _ => self.kernel.unload_plugin(name).await,
        };
        done.map_err(|error| self.about(name, error.into()))?;
        Ok(raw(&self.plugin(name)?)?)
    }

    async fn replace(
        &self,
        name: &str,
        action: &str,
        options: RollbackOptions,
    ) -> Result<Box<RawValue>, Refusal> {
        let replaced = match action {
            "reload" => self.kernel.reload_plugin(name).await,
            _ => self.kernel.rollback_plugin(name, options).await,
        };
        let replaced = replaced.map_err(|error| self.about(name, error.into()))?;
        Ok(raw(&replaced)?)
    }

    /// What [`replace`](Self::replace) would do.
    async fn plan(
        &self,
        name: &str,
        action: &str,
        options: RollbackOptions,
    ) -> Result<Box<RawValue>, Refusal> {
        let plan = match action {
            "reload" => self.kernel.plan_reload(name).await,
            _ => self.kernel.plan_rollback(name, options).await,
        };
        let plan = plan.map_err(|error| self.about(name, error.into()))?;
        Ok(raw(&plan)?)
    }

    /// The error with the plugin that it is about, if there is such a plugin.
    fn about(&self, name: &str, error: ErrorBody) -> ErrorBody {
        let known = self.plugin(name).ok().map(|plugin| plugin.name);
        ErrorBody {
            plugin: known,
            ..error
        }
    }

    fn offered(&self) -> Result<Box<RawValue>, Refusal> {
        let offered = self.kernel.capabilities();
        let told = offered.iter().map(|(capability, providers)| {
            json!({
                "name": capability.name,
                "description": capability.description,
                "providers": providers,
                "input": capability.input,
                "output": capability.output,
                "idempotent": capability.idempotent,
                "blocking": capability.blocking,
                "deadline_ms": capability.deadline_ms,
            })
        });
        Ok(raw(&told.collect::<Vec<_>>())?)
    }
}

/// What can be done to a plugin.
const ACTIONS: [&str; 4] = ["load", "start", "stop", "unload"];

/// How a started plugin can be replaced; asked for with `GET`, it is only planned.
const REPLACEMENTS: [&str; 2] = ["reload", "rollback"];

/// The query of a rollback that goes on with the state saved at the switch.
pub(crate) const RESTORE_SAVED: &str = "restore-saved";

/// Whether the query asks for the saved state; any other query is refused.
fn restore_saved(action: &str, query: Option<&str>) -> Result<bool, ErrorBody> {
    match query.unwrap_or_default() {
        "" => Ok(false),
        RESTORE_SAVED if action == "rollback" => Ok(true),
        found => Err(invalid(
            format!("the query `{found}` has no meaning for a {action}"),
            Some(format!("`?{RESTORE_SAVED}` on a rollback is the only one")),
        )),
    }
}

/// Refuses every method but one.
pub(super) fn only(found: Method, expected: Method) -> Result<(), Refusal> {
    match expected {
        expected if found == expected => Ok(()),
        Method::GET => Err(unsupported(&found, "GET")),
        _ => Err(unsupported(&found, "POST")),
    }
}

pub(super) fn unsupported(found: &Method, allowed: &'static str) -> Refusal {
    let expected = allowed.replace(", ", "` or `");
    Refusal {
        error: Box::new(ErrorBody {
            kind: "unsupported".to_owned(),
            message: format!("the method is `{found}`, expected `{expected}`"),
            ..ErrorBody::default()
        }),
        allowed: Some(allowed),
    }
}

pub(super) fn unknown(path: &str) -> ErrorBody {
    ErrorBody {
        kind: "not-found".to_owned(),
        message: format!("there is nothing at `{path}`"),
        hint: Some(
            "the paths are /v1/kernel, /v1/plugins, /v1/plugins/NAME, /v1/plugins/NAME/why, \
             /v1/plugins/NAME/{load,start,stop,unload}, /v1/plugins/NAME/{reload,rollback}, \
             /v1/capabilities, /v1/services, /v1/services/CAPABILITY, /v1/call/CAPABILITY, \
             /v1/publish/TOPIC, /v1/clear/TOPIC, /v1/tail/PATTERN, /v1/subscriptions, \
             /v1/subscriptions/PLUGIN, /v1/dead-letters, /v1/dead-letters/replay, \
             /v1/dead-letters/ID, /v1/dead-letters/ID/{replay,forget}, /v1/storage, \
             /v1/storage/NAMESPACE, /v1/storage/NAMESPACE/KEY and /v1/backup"
                .to_owned(),
        ),
        ..ErrorBody::default()
    }
}

/// Undoes percent-encoding; what is not encoded right stays as it is.
pub(super) fn decode(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::letters;

    /// The documentation of these routes.
    const DOCUMENT: &str = include_str!("../../../docs/admin-api.md");

    #[test]
    fn every_route_is_documented_and_tried_with_curl() {
        let hint = unknown("/").hint.expect("a list of paths");
        let paths = hint
            .split([' ', ','])
            .filter(|word| word.starts_with("/v1/"));
        let mut count = 0;
        for path in paths {
            // `{load,start,stop,unload}` is split with the rest.
            let path = path.split('{').next().unwrap_or(path);
            assert!(DOCUMENT.contains(path), "{path}");
            count += 1;
        }
        assert_eq!(count, 23);
        assert!(DOCUMENT.matches("curl ").count() >= count);
        let of_plugins = ACTIONS.iter().chain(&REPLACEMENTS);
        for action in of_plugins.chain(&letters::ACTIONS) {
            assert!(DOCUMENT.contains(&format!("`{action}`")), "{action}");
        }
    }

    #[test]
    fn a_query_must_mean_something() {
        assert_eq!(restore_saved("rollback", Some(RESTORE_SAVED)), Ok(true));
        assert_eq!(restore_saved("reload", None), Ok(false));
        let error = restore_saved("reload", Some(RESTORE_SAVED)).expect_err("no rollback");
        assert_eq!(
            error.message,
            "the query `restore-saved` has no meaning for a reload"
        );
    }

    #[test]
    fn paths_are_decoded() {
        assert_eq!(decode("/v1/tail/lamp.%2A%2a"), "/v1/tail/lamp.**");
        assert_eq!(decode("/v1/call/l%C3%A4mp%"), "/v1/call/lämp%");
        assert_eq!(decode("/%zz%4"), "/%zz%4");
    }
}
