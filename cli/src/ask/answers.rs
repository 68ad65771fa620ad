//! How a kernel's answers look to people.

use std::time::Duration;

use octa_kernel::lifecycle::State;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::letters::{self, Replayed};
use super::services::{self, Service};
use super::subscriptions;
use super::why::Why;
use crate::args::{self, Command};
use crate::failure::{Explain, Failure};
use crate::reloads::{Generation, Plan, Problem, Reloaded, Retired};
use crate::{output, show, world};

/// A plugin, as far as it is shown.
#[derive(Debug, Deserialize)]
struct Plugin {
    name: String,
    version: String,
    state: State,
    since: u64,
    problems: Vec<Problem>,
    capabilities: Vec<String>,
    generation: Option<Generation>,
    retired: Vec<Retired>,
    waiting: Vec<Problem>,
    #[serde(default)]
    blocked: Vec<Blocked>,
}

/// Code that does not give its thread back.
#[derive(Debug, Deserialize)]
struct Blocked {
    generation: u64,
    what: String,
    thread: String,
    since: u64,
    #[serde(rename = "where")]
    place: String,
}

impl Blocked {
    fn to_text(&self, plugin: &str, now: Duration) -> String {
        let Self {
            generation,
            what,
            thread,
            place,
            ..
        } = self;
        let age = show::age(now.saturating_sub(Duration::from_nanos(self.since)));
        let place = Some(place).filter(|place| !place.is_empty());
        let place = place.map(|place| format!(", {place}")).unwrap_or_default();
        format!("{plugin} gen {generation}: {what} blocks the thread `{thread}` for {age}{place}")
    }
}

#[derive(Debug, Deserialize)]
struct Rejected {
    problem: Problem,
}

#[derive(Debug, Deserialize)]
struct Plugins {
    plugins: Vec<Plugin>,
    rejected: Vec<Rejected>,
}

#[derive(Debug, Deserialize)]
struct Capability {
    name: String,
    description: String,
    providers: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Published {
    matched: usize,
}

#[derive(Debug, Deserialize)]
struct Cleared {
    cleared: bool,
}

/// An answer of another shape than this program knows.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not understood")]
pub(crate) struct Strange(#[from] serde_json::Error);

impl Explain for Strange {
    fn kind(&self) -> &'static str {
        "failed"
    }

    fn hint(&self) -> Option<String> {
        Some("the kernel runs another version of octa; `--json` shows the answer as it is".into())
    }
}

/// Prints the data of an answer to `command`.
pub(super) fn show(command: &Command, data: &RawValue) -> Result<(), Failure> {
    let text = text(command, data.get())?;
    if !text.is_empty() {
        output::print(&text)?;
    }
    Ok(())
}

/// The kind of what stands in the way of what was planned. It is told in the plan, and decides how
/// the command ends: whoever asks before they act need not read.
pub(super) fn obstacle(command: &Command, data: &RawValue) -> Option<String> {
    let is_plan = match command {
        Command::DeadLetters(_) => {
            let replayed = serde_json::from_str::<Replayed>(data.get());
            return replayed.ok()?.obstacle();
        }
        Command::Reload(typed) => typed.plan,
        Command::Rollback(typed) => typed.plan,
        _ => false,
    };
    let plan = is_plan.then(|| serde_json::from_str::<Plan>(data.get()));
    let problems = plan?.ok()?.problems.into_iter();
    problems.map(|problem| problem.kind).next()
}

fn text(command: &Command, data: &str) -> Result<String, Strange> {
    let width = output::width();
    Ok(match command {
        Command::List => list(&serde_json::from_str(data)?, world::now(), width),
        Command::Why(_) => serde_json::from_str::<Why>(data)?.to_text(world::now()),
        Command::Capabilities => capabilities(&serde_json::from_str::<Vec<_>>(data)?, width),
        Command::Load(_) | Command::Start(_) | Command::Stop(_) | Command::Unload(_) => {
            let Plugin {
                name,
                version,
                state,
                ..
            } = serde_json::from_str(data)?;
            format!("{name} {version} is {state}")
        }
        Command::Reload(args::Reload { plan: true, .. })
        | Command::Rollback(args::Rollback { plan: true, .. }) => {
            serde_json::from_str::<Plan>(data)?.to_text()
        }
        Command::Reload(_) | Command::Rollback(_) => {
            serde_json::from_str::<Reloaded>(data)?.to_text()
        }
        Command::Services(args::Services { name: Some(_), .. }) => {
            services::one(&serde_json::from_str::<Service>(data)?)
        }
        Command::Services(_) => services::all(&serde_json::from_str::<Vec<_>>(data)?, width),
        Command::Subscriptions(_) => {
            subscriptions::all(&serde_json::from_str::<Vec<_>>(data)?, width)
        }
        Command::DeadLetters(typed) => letters::text(&typed.action, data, world::now(), width)?,
        Command::Publish(typed) if typed.clear => {
            let Cleared { cleared } = serde_json::from_str(data)?;
            match cleared {
                true => format!("nothing is retained of `{}` any more", typed.topic),
                false => format!("nothing was retained of `{}`", typed.topic),
            }
        }
        Command::Publish(_) => {
            let Published { matched } = serde_json::from_str(data)?;
            format!("matched {}", show::count(matched, "subscription"))
        }
        // What a capability answers is shown as it was answered, for other programs to read.
        _ => data.to_owned(),
    })
}

fn list(answer: &Plugins, now: Duration, width: Option<usize>) -> String {
    let rows: Vec<[String; 7]> = answer.plugins.iter().map(|it| row(it, now)).collect();
    let heading = [
        "NAME",
        "VERSION",
        "STATE",
        "SINCE",
        "GEN",
        "HASH",
        "CAPABILITIES",
    ];
    let mut text = match rows.len() {
        0 => "no plugins".to_owned(),
        _ => show::table(heading, &rows, width),
    };
    let notes: Vec<String> = answer
        .plugins
        .iter()
        .flat_map(|it| notes(it, now))
        .collect();
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in &notes {
        text.push_str(&format!("\n{}", show::one_line(note)));
    }
    let mut idle = answer
        .plugins
        .iter()
        .filter(|it| it.state != State::Started);
    if let Some(idle) = idle.next() {
        let hint = format!(
            "\n\nhint: `octa why {}` tells why it is {}",
            idle.name, idle.state
        );
        text.push_str(&hint);
    }
    if !answer.rejected.is_empty() {
        text.push_str("\n\nrejected:");
    }
    let rejected = answer.rejected.iter();
    for line in rejected.flat_map(|rejected| rejected.problem.lines()) {
        text.push_str(&format!("\n  {}", show::one_line(&line)));
    }
    text
}

fn row(plugin: &Plugin, now: Duration) -> [String; 7] {
    let age = now.saturating_sub(Duration::from_nanos(plugin.since));
    let generation = plugin.generation.as_ref();
    let number = generation.map(|generation| generation.number.to_string());
    let hash = generation.map(|generation| generation.short_hash().to_owned());
    [
        plugin.name.clone(),
        plugin.version.clone(),
        plugin.state.to_string(),
        show::age(age),
        number.unwrap_or_default(),
        hash.unwrap_or_default(),
        plugin.capabilities.len().to_string(),
    ]
}

/// What the table has no room for: why a plugin, or a newer build of it, does not serve, what is
/// left of those that did, and what of them blocks a thread.
fn notes(plugin: &Plugin, now: Duration) -> Vec<String> {
    let Plugin { name, .. } = plugin;
    let named = |said: &str, problem: &Problem| {
        let mut lines: Vec<String> = problem.lines().collect();
        lines[0] = format!("{name}: {said}{}", lines[0]);
        lines
    };
    let problems = plugin.problems.iter().flat_map(|it| named("", it));
    let waiting = plugin.waiting.iter();
    let waiting = waiting.flat_map(|it| named("a newer build does not serve: ", it));
    let retired = plugin.retired.iter().map(|it| it.to_text(name));
    let blocked = plugin.blocked.iter().map(|it| it.to_text(name, now));
    let notes = problems.chain(waiting).chain(retired).chain(blocked);
    notes.collect()
}

fn capabilities(answer: &[Capability], width: Option<usize>) -> String {
    let row = |capability: &Capability| {
        let description = capability.description.lines().next().unwrap_or_default();
        [
            capability.name.clone(),
            capability.providers.join(", "),
            description.to_owned(),
        ]
    };
    let rows: Vec<[String; 3]> = answer.iter().map(row).collect();
    match rows.len() {
        0 => "no capabilities".to_owned(),
        _ => show::table(["NAME", "PROVIDERS", "DESCRIPTION"], &rows, width),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_listed_before_what_is_wrong_with_them() {
        let answer = r#"{"plugins":[
            {"name":"counter","version":"1.0.0","state":"started","since":60000000000,
             "problems":[],"capabilities":["counter.next"],
             "generation":{"number":4,"version":"1.0.0","hash":"1a2b3c4d5e6f","since":1},
             "retired":[{"generation":{"number":3,"version":"0.9.0","hash":"5e6f7a8b9c0d",
              "since":1},"causes":["2 threads still running"],"is_final":false}],
             "waiting":[{"kind":"blocked","message":"no storage","hint":"grant it"}],
             "blocked":[{"generation":4,"what":"the handler of `counter.next`",
              "thread":"octa-pool","since":85000000000,"where":"in `counter::wait`"}]},
            {"name":"sysmon","version":"1.2.0","state":"failed","since":0,
             "problems":[{"kind":"failed","message":"no\nfan","hint":"buy one"}],
             "capabilities":[],"generation":null,"retired":[],"waiting":[]}],
            "rejected":[{"problem":{"kind":"rejected","message":"file `a.so` is empty",
             "hint":"remove it"}}]}"#;
        let answer = serde_json::from_str(answer).expect("an answer");
        assert_eq!(
            list(&answer, Duration::from_secs(90), None),
            "\
NAME     VERSION  STATE    SINCE  GEN  HASH      CAPABILITIES
counter  1.0.0    started  30s    4    1a2b3c4d  1
sysmon   1.2.0    failed   90s                   0

counter: a newer build does not serve: no storage
  hint: grant it
counter gen 3 (0.9.0, 5e6f7a8b) is still mapped: 2 threads still running
counter gen 4: the handler of `counter.next` blocks the thread `octa-pool` for 5s, in `counter::wait`
sysmon: no fan
  hint: buy one

hint: `octa why sysmon` tells why it is failed

rejected:
  file `a.so` is empty
    hint: remove it"
        );
    }

    #[test]
    fn capabilities_name_their_providers() {
        let answer = r#"[{"name":"lamp.on","description":"Turns it on.\nAt once.",
            "providers":["lamp","spare"]}]"#;
        let answer: Vec<Capability> = serde_json::from_str(answer).expect("an answer");
        assert_eq!(
            capabilities(&answer, None),
            "NAME     PROVIDERS    DESCRIPTION\nlamp.on  lamp, spare  Turns it on."
        );
        assert_eq!(capabilities(&[], None), "no capabilities");
    }
}
