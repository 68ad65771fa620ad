//! Where a plugin lives and what it is kept from: `placement`, `group`, `limits` and `sandbox` of
//! `[plugins.X]`.
//!
//! How that is enforced is the business of the process that carries it.

use std::path::PathBuf;

use octa_loader::{Limits, NameKind, Placement, Sandbox};

use super::{
    ConfigError,
    document::{Node, Table},
    read,
};

/// Where one plugin lives, and what it is kept from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containment {
    /// Where; [`Placement::Any`] is for what its manifest wishes.
    pub placement: Placement,
    /// The plugins of one group share one process.
    pub group: Option<String>,
    /// What its process may use.
    pub limits: Limits,
    /// What its process may reach of the system.
    pub sandbox: Sandbox,
}

impl Default for Containment {
    fn default() -> Self {
        Self {
            placement: Placement::Any,
            group: None,
            limits: Limits::default(),
            sandbox: Sandbox::default(),
        }
    }
}

/// The keys of a plugin's table that are read here.
pub(super) const KEYS: [&str; 4] = ["placement", "group", "limits", "sandbox"];

const PATH: &str = "an absolute path";

pub(super) fn containment(table: &Table<'_>) -> Result<Containment, ConfigError> {
    let choices = [
        ("in-process", Placement::InProcess),
        ("process", Placement::Process),
    ];
    Ok(Containment {
        placement: table
            .get("placement")
            .map_or(Ok(Placement::Any), |node| node.choice(&choices))?,
        group: table.get("group").map(group).transpose()?,
        limits: read(table.get("limits"), limits)?,
        sandbox: read(table.get("sandbox"), sandbox)?,
    })
}

fn group(node: Node<'_>) -> Result<String, ConfigError> {
    let expected = "a name: a lowercase letter, then lowercase letters, digits and `-`";
    let name = node.text(expected)?;
    match NameKind::Plugin.check(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(_) => Err(node.mismatch(expected)),
    }
}

fn limits(node: Node<'_>) -> Result<Limits, ConfigError> {
    let table = node.table()?;
    table.only(&["memory", "cpu", "open_files", "core"])?;
    let cpu = table.get("cpu").map(|node| node.duration()).transpose()?;
    let expected = "a whole number above zero";
    let open_files = table.get("open_files").map(|node| {
        let number: u64 = node.whole(expected)?;
        Some(number)
            .filter(|number| *number > 0)
            .ok_or_else(|| node.mismatch(expected))
    });
    Ok(Limits {
        memory: table.optional("memory", |node| node.some_bytes())?,
        // The system counts whole seconds.
        cpu_seconds: cpu.map(|cpu| cpu.as_millis().div_ceil(1_000) as u64),
        open_files: open_files.transpose()?,
        core: table.optional("core", |node| node.bytes())?,
    })
}

fn sandbox(node: Node<'_>) -> Result<Sandbox, ConfigError> {
    let table = node.table()?;
    table.only(&["off", "strict", "read", "write", "network", "exec"])?;
    let flag = |key| table.get(key).map_or(Ok(false), |node| node.boolean());
    let paths = |key| {
        read(table.get(key), |node| {
            node.list(PATH, |node| {
                let path = Some(PathBuf::from(node.text(PATH)?));
                let path = path.filter(|path| path.is_absolute());
                path.ok_or_else(|| node.mismatch(PATH))
            })
        })
    };
    Ok(Sandbox {
        off: flag("off")?,
        strict: flag("strict")?,
        read: paths("read")?,
        write: paths("write")?,
        network: flag("network")?,
        exec: flag("exec")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn parse(toml: &str) -> Result<Containment, String> {
        let text = format!("[plugins.lamp]\n{toml}");
        let config = Config::parse(&text, "octa.toml").map_err(|error| error.to_string())?;
        Ok(config.plugin("lamp").containment)
    }

    #[test]
    fn everything_is_read_and_has_a_default() {
        assert_eq!(parse(""), Ok(Containment::default()));
        let full = "placement = \"process\"\n\
             group = \"radios\"\n\
             limits = { memory = \"512MiB\", cpu = \"1500ms\", open_files = 256, core = \"0\" }\n\
             [plugins.lamp.sandbox]\n\
             strict = true\n\
             read = [\"/etc/lamp\"]\n\
             write = [\"/var/lib/lamp\"]\n\
             network = true\n\
             exec = true\n";
        let expect = Containment {
            placement: Placement::Process,
            group: Some("radios".to_owned()),
            limits: Limits {
                memory: Some(512 << 20),
                cpu_seconds: Some(2),
                open_files: Some(256),
                core: Some(0),
            },
            sandbox: Sandbox {
                off: false,
                strict: true,
                read: vec!["/etc/lamp".into()],
                write: vec!["/var/lib/lamp".into()],
                network: true,
                exec: true,
            },
        };
        assert_eq!(parse(full), Ok(expect));
        let off = parse("placement = \"in-process\"\nsandbox = { off = true }");
        let off = off.unwrap();
        assert_eq!(
            (off.placement, off.sandbox.off),
            (Placement::InProcess, true)
        );
    }

    #[test]
    fn each_mistake_is_told() {
        for (toml, expect) in [
            (
                "placement = \"any\"",
                "octa.toml:2:13: `plugins.lamp.placement` is `\"any\"`, expected \
                 `\"in-process\"` or `\"process\"`",
            ),
            (
                "group = \"Radios\"",
                "octa.toml:2:9: `plugins.lamp.group` is `\"Radios\"`, expected a name: a \
                 lowercase letter, then lowercase letters, digits and `-`",
            ),
            (
                "limits = { memory = \"512\" }",
                "octa.toml:2:21: `plugins.lamp.limits.memory` is `\"512\"` without a unit, \
                 expected an amount such as \"0\", \"64KiB\", \"512MiB\" or \"2GiB\"",
            ),
            (
                "limits = { memory = \"0\" }",
                "octa.toml:2:21: `plugins.lamp.limits.memory` is `\"0\"`, expected an amount \
                 above zero such as \"512MiB\"",
            ),
            (
                "limits = { open_files = 0 }",
                "octa.toml:2:25: `plugins.lamp.limits.open_files` is `0`, expected a whole \
                 number above zero",
            ),
            (
                "sandbox = { read = [\"etc\"] }",
                "octa.toml:2:21: `plugins.lamp.sandbox.read[0]` is `\"etc\"`, expected an \
                 absolute path",
            ),
            (
                "sandbox = { netwrok = true }",
                "octa.toml:2:13: `plugins.lamp.sandbox.netwrok` is an unknown key, expected \
                 `off`, `strict`, `read`, `write`, `network` or `exec`",
            ),
        ] {
            assert_eq!(parse(toml).unwrap_err(), expect, "{toml}");
        }
    }
}
