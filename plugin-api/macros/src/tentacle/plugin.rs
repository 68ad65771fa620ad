//! What `#[tentacle(…)]` says of the plugin as a whole.

use proc_macro2::{Span, TokenStream};
use syn::{Error, LitStr, Result};

use super::names;
use super::settings::Settings;

/// The plugin's settings.
pub(crate) struct Plugin {
    /// The name, if it is not that of the package.
    pub(crate) name: Option<LitStr>,
    /// The description, if it is not that of the package.
    pub(crate) docs: String,
    pub(crate) needs: Vec<Need>,
    pub(crate) state_version: Option<u32>,
    pub(crate) reload: Option<String>,
    pub(crate) placement: Option<String>,
    pub(crate) own_allocator: bool,
    publishes: Vec<LitStr>,
    subscribes: Vec<LitStr>,
    calls: Vec<LitStr>,
    storage: Vec<LitStr>,
    state: Vec<LitStr>,
}

/// Something that the plugin depends on.
pub(crate) struct Need {
    /// `capability` or `plugin`.
    pub(crate) kind: &'static str,
    pub(crate) name: LitStr,
    pub(crate) version: Option<LitStr>,
    pub(crate) optional: bool,
}

const KNOWN: [&str; 11] = [
    "name",
    "storage",
    "state",
    "publishes",
    "subscribes",
    "calls",
    "needs",
    "state_version",
    "reload",
    "placement",
    "allocator",
];

impl Plugin {
    /// Reads the settings of the attribute; `docs` is the description.
    pub(crate) fn parse(settings: TokenStream, docs: String) -> Result<Self> {
        let mut settings: Settings = syn::parse2(settings)?;
        settings.check("tentacle", &KNOWN, &["needs"])?;
        let placements = ["any", "process", "in-process"];
        let allocator = settings.word("allocator", &["counting", "own"])?;
        let plugin = Self {
            name: settings.text("name")?,
            docs,
            needs: needs(&mut settings)?,
            state_version: settings.number("state_version", 0)?,
            reload: settings.word("reload", &["overlap", "exclusive"])?,
            placement: settings.word("placement", &placements)?,
            own_allocator: allocator.is_some_and(|allocator| allocator == "own"),
            publishes: settings.texts("publishes")?,
            subscribes: settings.texts("subscribes")?,
            calls: settings.texts("calls")?,
            storage: settings.texts("storage")?,
            state: settings.texts("state")?,
        };
        plugin.name.iter().try_for_each(names::plugin)?;
        plugin
            .publishes
            .iter()
            .chain(&plugin.subscribes)
            .chain(&plugin.calls)
            .try_for_each(names::pattern)?;
        plugin
            .storage
            .iter()
            .chain(&plugin.state)
            .try_for_each(names::name)?;
        Ok(plugin)
    }

    /// What the plugin asks to reach, by the manifest's names.
    pub(crate) fn permissions(&self) -> [(&'static str, &[LitStr]); 5] {
        [
            ("publish", &self.publishes),
            ("subscribe", &self.subscribes),
            ("call", &self.calls),
            ("storage", &self.storage),
            ("state", &self.state),
        ]
    }
}

fn needs(settings: &mut Settings) -> Result<Vec<Need>> {
    let mut needs = Vec::new();
    while let Some((span, mut settings)) = settings.nested("needs")? {
        settings.check(
            "needs",
            &["capability", "plugin", "version", "optional"],
            &[],
        )?;
        needs.push(need(span, &mut settings)?);
    }
    Ok(needs)
}

fn need(span: Span, settings: &mut Settings) -> Result<Need> {
    let (kind, name) = match (settings.text("capability")?, settings.text("plugin")?) {
        (Some(name), None) => ("capability", name),
        (None, Some(name)) => ("plugin", name),
        _ => {
            let message = "a need names either a `capability` or a `plugin`";
            return Err(Error::new(span, message));
        }
    };
    if kind == "plugin" {
        names::plugin(&name)?
    } else {
        names::name(&name)?
    }
    let version = settings.text("version")?;
    version.iter().try_for_each(names::version_requirement)?;
    Ok(Need {
        kind,
        name,
        version,
        optional: settings.flag("optional")?,
    })
}
