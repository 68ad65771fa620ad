//! How a kernel's answers look to people.

use std::time::Duration;

use octa_kernel::lifecycle::State;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::args::Command;
use crate::failure::{Explain, Failure};
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
}

#[derive(Debug, Deserialize)]
struct Problem {
    message: String,
    hint: Option<String>,
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

/// An answer of another shape than this program knows.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not understood")]
struct Strange(#[from] serde_json::Error);

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

fn text(command: &Command, data: &str) -> Result<String, Strange> {
    let width = output::width();
    Ok(match command {
        Command::List => list(&serde_json::from_str(data)?, world::now(), width),
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
        Command::Publish(_) => {
            let Published { matched } = serde_json::from_str(data)?;
            format!("matched {}", show::count(matched, "subscription"))
        }
        // What a capability answers is shown as it was answered, for other programs to read.
        _ => data.to_owned(),
    })
}

fn list(answer: &Plugins, now: Duration, width: Option<usize>) -> String {
    let rows: Vec<[String; 6]> = answer.plugins.iter().map(|it| row(it, now)).collect();
    let heading = [
        "NAME",
        "VERSION",
        "STATE",
        "SINCE",
        "CAPABILITIES",
        "PROBLEM",
    ];
    let mut text = match rows.len() {
        0 => "no plugins".to_owned(),
        _ => show::table(heading, &rows, width),
    };
    if !answer.rejected.is_empty() {
        text.push_str("\n\nrejected:");
    }
    for Rejected { problem } in &answer.rejected {
        text.push_str(&format!("\n  {}", show::one_line(&problem.message)));
        if let Some(hint) = &problem.hint {
            text.push_str(&format!("\n    hint: {}", show::one_line(hint)));
        }
    }
    text
}

fn row(plugin: &Plugin, now: Duration) -> [String; 6] {
    let age = now.saturating_sub(Duration::from_nanos(plugin.since));
    let problem = plugin.problems.first().map(|problem| match &problem.hint {
        Some(hint) => format!("{} (hint: {hint})", problem.message),
        None => problem.message.clone(),
    });
    [
        plugin.name.clone(),
        plugin.version.clone(),
        plugin.state.to_string(),
        show::age(age),
        plugin.capabilities.len().to_string(),
        problem.unwrap_or_default(),
    ]
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
    fn plugins_are_listed_before_the_files_that_are_none() {
        let answer = r#"{"plugins":[
            {"name":"lamp","version":"0.1.0","state":"started","since":60000000000,
             "problems":[],"capabilities":["lamp.on","lamp.off"]},
            {"name":"sysmon","version":"1.2.0","state":"failed","since":0,
             "problems":[{"message":"no\nfan","hint":"buy one"}],"capabilities":[]}],
            "rejected":[{"problem":{"message":"file `a.so` is empty","hint":"remove it"}}]}"#;
        let answer = serde_json::from_str(answer).expect("an answer");
        assert_eq!(
            list(&answer, Duration::from_secs(90), None),
            "\
NAME    VERSION  STATE    SINCE  CAPABILITIES  PROBLEM
lamp    0.1.0    started  30s    2
sysmon  1.2.0    failed   90s    0             no fan (hint: buy one)

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
