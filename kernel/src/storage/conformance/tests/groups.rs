//! Plans of random groups of batches: what the model does with one batch after the other.

use std::convert::Infallible;

use super::super::super::{Address, Found, Plan, Present, StorageError, Usage};
use super::super::model::Model;
use super::super::random::Random;
use super::super::step::{Step, batch};

impl Present for &Model {
    type Error = Infallible;

    fn found(&mut self, at: Address<'_>) -> Result<Option<Found>, Infallible> {
        let found = self.get(at.namespace(), at.key());
        Ok(found.map(|record| Found {
            version: record.version,
            bytes: (at.key().len() + record.value.len()) as u64,
        }))
    }

    fn usage(&mut self, namespace: &str) -> Result<Usage, Infallible> {
        Ok(Model::usage(self)
            .get(namespace)
            .copied()
            .unwrap_or_default())
    }
}

/// A plan of a group and the model, which takes one batch after the other, end the same.
fn check(random: &mut Random, model: &mut Model) {
    let before = model.clone();
    let mut plan = Plan::new(before.last_version());
    for _ in 0..random.below(6) {
        let Step::Apply { writes, bounds } = Step::random(random, false) else {
            continue;
        };
        let batch = batch(&writes, &bounds, model).expect("a valid batch");
        let Ok(found) = plan.add(&batch, &mut &before);
        let found = found.map_err(|refusal| StorageError::from(refusal).to_string());
        let expect = model.apply(&batch).map_err(|error| error.to_string());
        assert_eq!(found, expect, "what becomes of {batch:?}");
    }
    assert_eq!(
        plan.last_version(),
        model.last_version(),
        "the last version"
    );
    assert!(
        plan.changes()
            .iter()
            .eq(&model.changes()[before.changes().len()..]),
        "the changes"
    );
    for (namespace, usage) in plan.usage() {
        let expect = Model::usage(model)
            .get(namespace)
            .copied()
            .unwrap_or_default();
        assert_eq!(usage, expect, "what `{namespace}` holds");
    }
    let records: Vec<_> = plan.records().cloned().collect();
    let mut written = before;
    written.replicate(&records, plan.last_version());
    assert_eq!(
        written.snapshot(),
        model.snapshot(),
        "the records that are written"
    );
}

#[test]
fn a_plan_does_what_the_model_does() {
    for seed in 0..100 {
        let (mut random, mut model) = (Random::new(seed), Model::default());
        for _ in 0..40 {
            check(&mut random, &mut model);
        }
    }
}
