//! What a group writes, and the arrays that one statement takes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::change::{Change, Usage};
use super::super::plan::Plan;
use super::known::{Known, signed};

/// All that one transaction changes.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) changes: Vec<Change>,
    /// Whether each is the last change of its key.
    stands: Vec<bool>,
    usage: Vec<(Arc<str>, Usage)>,
    before: u64,
    pub(super) last_version: u64,
    /// Whether who watches is told; else there is a gap for them.
    pub(super) is_told: bool,
}

impl Written {
    pub(super) fn planned(plan: Plan, before: u64) -> Self {
        let mut stands = vec![false; plan.changes().len()];
        for change in plan.records() {
            let at = plan
                .changes()
                .partition_point(|it| it.version < change.version);
            stands[at] = true;
        }
        let usage = plan.usage().map(|(name, usage)| (name.into(), usage));
        Self {
            usage: usage.collect(),
            stands,
            before,
            last_version: plan.last_version(),
            changes: plan.into_changes(),
            is_told: true,
        }
    }

    /// Changes of another database. They are told if they follow on what was told before, which the pages of a
    /// copy do not.
    pub(super) fn replicated(changes: Vec<Change>, last_version: u64, known: &Known) -> Self {
        let before = known.last_version;
        let versions = changes.iter().map(|change| change.version);
        let highest = versions.clone().fold(before, u64::max);
        let (mut stands, mut last) = (vec![false; changes.len()], HashMap::new());
        let mut usage: BTreeMap<&Arc<str>, Usage> = BTreeMap::new();
        for (at, change) in changes.iter().enumerate() {
            let Change { namespace, key, .. } = change;
            let bytes = change.value.is_some().then(|| change.bytes() as u64);
            let had = match last.insert((namespace, key), (at, bytes)) {
                Some((at, bytes)) => {
                    stands[at] = false;
                    bytes
                }
                None => known.record(namespace, key).map(|found| found.bytes),
            };
            stands[at] = true;
            let usage = usage
                .entry(namespace)
                .or_insert_with(|| known.used(namespace));
            *usage = usage.replaced(had, bytes);
        }
        let usage = usage.into_iter().map(|(name, usage)| (name.clone(), usage));
        Self {
            usage: usage.collect(),
            stands,
            before,
            last_version: last_version.max(highest),
            is_told: std::iter::once(before)
                .chain(versions)
                .is_sorted_by(|a, b| a < b),
            changes,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.changes.iter().map(Change::bytes).sum()
    }

    pub(super) fn columns(&self) -> Columns<'_> {
        let mut columns = Columns::default();
        let mut previous = self.before;
        for (change, stands) in self.changes.iter().zip(&self.stands) {
            let told = self.is_told.then(|| signed(previous));
            let value = change.value.as_deref();
            let at = (Some(&*change.namespace), Some(&*change.key));
            columns.push(change.version, told, at, value, *stands);
            previous = change.version;
        }
        if self.is_told && previous < self.last_version {
            let told = Some(signed(previous));
            columns.push(self.last_version, told, (None, None), None, false);
        }
        for (namespace, usage) in &self.usage {
            columns.used.push(namespace);
            columns.records.push(signed(usage.records));
            columns.bytes.push(signed(usage.bytes));
        }
        columns
    }
}

/// The parameters of `write.sql`.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub(super) versions: Vec<i64>,
    /// The version of the change before each; none if it is not told.
    pub(super) previous: Vec<Option<i64>>,
    pub(super) namespaces: Vec<Option<&'a str>>,
    pub(super) keys: Vec<Option<&'a str>>,
    pub(super) values: Vec<Option<&'a [u8]>>,
    pub(super) stands: Vec<bool>,
    pub(super) used: Vec<&'a str>,
    pub(super) records: Vec<i64>,
    pub(super) bytes: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn push(
        &mut self,
        version: u64,
        previous: Option<i64>,
        (namespace, key): (Option<&'a str>, Option<&'a str>),
        value: Option<&'a [u8]>,
        stands: bool,
    ) {
        self.versions.push(signed(version));
        self.previous.push(previous);
        self.namespaces.push(namespace);
        self.keys.push(key);
        self.values.push(value);
        self.stands.push(stands);
    }
}
