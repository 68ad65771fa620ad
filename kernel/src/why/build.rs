//! The build that lies in the plugin directory and does not serve.

use super::{Cause, Facts, Scene, Why};
use crate::status::Problem;

/// What is wrong with the file of a plugin, whatever runs.
pub(super) fn builds(scene: &Scene, facts: &Facts) -> Vec<Why> {
    let waiting = facts.status.waiting.iter();
    let mut causes: Vec<Why> = waiting.map(|problem| build(facts, problem)).collect();
    let mut rejected = scene.rejected.iter();
    let own = rejected.find(|file| Some(&file.path) == facts.status.path.as_ref());
    causes.extend(own.map(|file| refused(facts, &file.problem)));
    causes
}

fn build(facts: &Facts, problem: &Problem) -> Why {
    let Some(version) = &facts.pending else {
        return refused(facts, problem);
    };
    let text = format!(
        "a newer build, version {version}, waits: {}",
        problem.message
    );
    Why::new(Cause::NewerBuild, &facts.status.name, text).hint(problem.hint.clone())
}

fn refused(facts: &Facts, problem: &Problem) -> Why {
    let text = format!("what its file holds does not serve: {}", problem.message);
    Why::new(Cause::RefusedBuild, &facts.status.name, text).hint(problem.hint.clone())
}
