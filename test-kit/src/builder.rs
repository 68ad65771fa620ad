//! Puts a kernel together for a test; what can be done with it is the job of `test_kernel`.

use std::collections::BTreeMap;

use octa_kernel::{Config, Kernel, Linked, Problem, lifecycle::State};
use octa_plugin_api::{
    Error, ErrorKind, Input, Output, Result,
    export::{self, Exported},
};
use serde_json::{Map, Value, json};

use crate::{
    clock::TestClock,
    stand_in::{self, Answer},
    test_kernel::TestKernel,
    wait::wait,
};

/// What errors call the configuration that a test builds.
const CONFIG: &str = "the test's configuration";

/// A kernel to be started; see [`TestKernel::plugin`].
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    plugins: Vec<Plugin>,
    stand_ins: Vec<(String, Answer)>,
}

struct Plugin {
    linked: export::Linked,
    config: Value,
    allow: BTreeMap<String, Vec<String>>,
}

impl Builder {
    pub(crate) fn new<T: Exported>() -> Self {
        let builder = Self {
            plugins: Vec::new(),
            stand_ins: Vec::new(),
        };
        builder.plugin::<T>()
    }

    /// Adds another plugin; what follows is about it.
    pub fn plugin<T: Exported>(mut self) -> Self {
        self.plugins.push(Plugin {
            linked: export::linked::<T>(),
            config: json!({}),
            allow: BTreeMap::new(),
        });
        self
    }

    /// The configuration of the plugin, as in its `config` section of `octa.toml`.
    pub fn config(mut self, config: Value) -> Self {
        self.last().config = config;
        self
    }

    /// Grants the plugin what lies beyond its own namespace, as its `allow` section of
    /// `octa.toml` does: `allow("call", "devices.**")`.
    pub fn allow(mut self, reach: &str, pattern: &str) -> Self {
        let granted = self.last().allow.entry(reach.to_owned()).or_default();
        granted.push(pattern.to_owned());
        self
    }

    /// Offers a capability of a plugin that is not part of the test.
    pub fn provide<I, O>(
        mut self,
        capability: &str,
        answer: impl Fn(I) -> Result<O> + Send + Sync + 'static,
    ) -> Self
    where
        I: Input,
        O: Output,
    {
        let answer = stand_in::answer(answer);
        self.stand_ins.push((capability.to_owned(), answer));
        self
    }

    /// Starts the kernel and all plugins, with storage in memory and a clock that stands still.
    ///
    /// # Errors
    ///
    /// Why a plugin did not start: its configuration, a missing permission or dependency, or its
    /// own error.
    pub fn start(self) -> Result<TestKernel> {
        let clock = TestClock::default();
        let mut sections = Map::new();
        let mut builder = Kernel::builder().clock(clock.clone());
        for (linked, section) in self.linked()? {
            let name = linked.manifest().name.to_string();
            if sections.contains_key(&name) {
                return Err(Error::msg(format!("plugin `{name}` is added twice")));
            }
            sections.insert(name, section);
            builder = builder.plugin(linked);
        }
        let built = builder.config(config(sections)?).build();
        let kernel = built.map_err(|e| hinted(&e, e.hint()))?;
        wait("the start of the kernel", kernel.start())??;
        check_started(&kernel)?;
        Ok(TestKernel::new(kernel, clock))
    }

    /// The plugins, stand-ins included, and their sections of the configuration.
    fn linked(self) -> Result<Vec<(Linked, Value)>> {
        let mut linked = Vec::new();
        for plugin in self.plugins {
            let section = json!({ "config": plugin.config, "allow": plugin.allow });
            linked.push((Linked::new(&plugin.linked)?, section));
        }
        for (number, (capability, answer)) in self.stand_ins.into_iter().enumerate() {
            let config = json!({ "answer": stand_in::keep(answer) });
            let section = json!({ "config": config, "allow": { "provide": [capability] } });
            let plugin = stand_in::plugin(&format!("stand-in-{number}"), &capability)?;
            linked.push((plugin, section));
        }
        Ok(linked)
    }

    fn last(&mut self) -> &mut Plugin {
        let last = self.plugins.len() - 1;
        &mut self.plugins[last]
    }
}

/// Goes by way of the text, so that a test's configuration is read as any other.
fn config(sections: Map<String, Value>) -> Result<Config> {
    let text = toml::to_string(&json!({ "plugins": sections })).map_err(|e| {
        let error = Error::msg(format!("{CONFIG} cannot be written as TOML: {e}"));
        error.with_hint("TOML has no null: leave the key out")
    })?;
    Config::parse(&text, CONFIG).map_err(|e| hinted(&e, e.hint()))
}

fn check_started(kernel: &Kernel) -> Result<()> {
    for plugin in kernel.plugins() {
        if plugin.state != State::Started {
            let told = plugin.problems.first();
            let error = told.map_or_else(|| Error::msg("nobody knows why"), problem);
            let lead = format!("plugin `{}` is {}", plugin.name, plugin.state);
            return Err(error.context(lead));
        }
    }
    Ok(())
}

/// What the kernel says of a plugin, as an error of the plugin's author.
pub(crate) fn problem(problem: &Problem) -> Error {
    let kind = ErrorKind::from_label(&problem.kind);
    let error = Error::new(kind, problem.message.clone());
    match &problem.hint {
        Some(hint) => error.with_hint(hint.clone()),
        None => error,
    }
}

fn hinted(error: &dyn std::error::Error, hint: Option<String>) -> Error {
    let error = Error::msg(error.to_string());
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stand_ins = self.stand_ins.iter().map(|(capability, _)| capability);
        f.debug_struct("Builder")
            .field("plugins", &self.plugins.len())
            .field("stand_ins", &stand_ins.collect::<Vec<_>>())
            .finish()
    }
}
