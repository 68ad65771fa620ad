//! What a reload would do, told before it is done.

use std::collections::BTreeSet;

use octa_loader::Manifest;

use super::{
    Manager,
    record::Record,
    reload::Handover,
    replace::{Successor, how},
};
use crate::{
    plan::Plan,
    reload::{ReloadKind, ReloadPlan, RollbackOptions},
    status::Problem,
};

impl Manager {
    pub(super) async fn plan_reload(&mut self, name: &str) -> Result<ReloadPlan, Problem> {
        let successor = self.in_file(name).await?;
        self.preview(name, &successor)
    }

    pub(super) async fn plan_rollback(
        &mut self,
        name: &str,
        options: RollbackOptions,
    ) -> Result<ReloadPlan, Problem> {
        let successor = self.served_before(name, options).await?;
        self.preview(name, &successor)
    }

    fn preview(&self, name: &str, successor: &Successor) -> Result<ReloadPlan, Problem> {
        let record = self.records.get(name).ok_or_else(|| self.unknown(name))?;
        let Some(live) = &record.live else {
            let message = format!("plugin `{name}` is `{}`, not started", record.state);
            return Err(Problem::new("unavailable", message, None));
        };
        let (kind, state) = how(&Some(record.manifest.clone()), successor);
        let (now, then) = (traits(&record.manifest), traits(&successor.manifest));
        Ok(ReloadPlan {
            plugin: name.to_owned(),
            kind,
            from: live.status(),
            version: successor.manifest.version.to_string(),
            hash: successor
                .source
                .hash()
                .map(|hash| hash.to_string())
                .unwrap_or_default(),
            state: state_in_words(&record.manifest, &state),
            dependents: self.dependents(name),
            added: then.difference(&now).cloned().collect(),
            removed: now.difference(&then).cloned().collect(),
            loses: loses(record, kind, &state, &successor.manifest),
            problems: self.in_the_way(name, successor),
        })
    }

    fn dependents(&self, name: &str) -> Vec<String> {
        let plan = Plan::new(self.records.values().map(Record::member));
        let affected = plan.affected_by(name);
        affected.into_iter().map(str::to_owned).collect()
    }
}

/// What a plugin offers, listens to and asks for.
fn traits(manifest: &Manifest) -> BTreeSet<String> {
    let capabilities = manifest.capabilities.iter();
    let mut traits: BTreeSet<String> = capabilities
        .map(|it| format!("capability {}", it.name))
        .collect();
    let subscriptions = manifest.subscriptions.iter();
    traits.extend(subscriptions.map(|it| format!("subscription {}", it.pattern.as_str())));
    let asked = &manifest.permissions;
    let patterns = [
        ("call", &asked.call),
        ("publish", &asked.publish),
        ("subscribe", &asked.subscribe),
    ];
    for (what, targets) in patterns {
        let targets = targets.iter().map(octa_loader::Pattern::as_str);
        traits.extend(targets.map(|it| format!("permission to {what} {it}")));
    }
    for (what, namespaces) in [("storage", &asked.storage), ("state", &asked.state)] {
        traits.extend(
            namespaces
                .iter()
                .map(|it| format!("permission for {what} {it}")),
        );
    }
    traits
}

fn state_in_words(old: &Manifest, state: &Handover) -> String {
    match (state, old.state_version) {
        (Handover::Nothing, None) => "there is none to hand over".to_owned(),
        (Handover::Nothing, Some(version)) => format!("that of version {version} is left behind"),
        (Handover::Current | Handover::CurrentOr(_), version) => {
            format!("that of version {} is handed over", version.unwrap_or(0))
        }
        (Handover::Saved(saved), _) => format!(
            "that of version {}, saved at the switch ({} bytes), is restored",
            saved.version,
            saved.bytes.len()
        ),
    }
}

fn loses(record: &Record, kind: ReloadKind, state: &Handover, new: &Manifest) -> Vec<String> {
    let mut loses = Vec::new();
    if let (Some(live), Handover::Saved(_)) = (&record.live, state) {
        loses.push(format!(
            "what changed in the state since generation {} took over",
            live.number
        ));
    }
    if kind == ReloadKind::Overlap && record.manifest.state_version.is_some() {
        loses.push("the state of the generation that runs".to_owned());
    }
    let still = |pattern: &str| {
        let mut subscriptions = new.subscriptions.iter();
        subscriptions.any(|it| it.pattern.as_str() == pattern)
    };
    for handle in record.doors.subscriptions() {
        let queued = handle.counters().queued;
        if queued > 0 && !still(handle.pattern().as_str()) {
            loses.push(format!(
                "{queued} events that wait on `{}`",
                handle.pattern()
            ));
        }
    }
    loses
}
