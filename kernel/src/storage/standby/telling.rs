//! Decides when something is told of a standby; publishing it is left to the follower.

use serde_json::{Value, json};

use super::gauge::{StandbyState, StandbyStatus};

/// A standby that is so far behind is told of,
const BEHIND_MS: u64 = 10_000;
/// and is well again when it is nearer than this.
const WELL_MS: u64 = 1_000;

/// The topics on which it is told how a standby is.
pub const STANDBY_FOLLOWS_TOPIC: &str = "kernel.storage.standby_follows";
/// It has less than it should.
pub const STANDBY_BEHIND_TOPIC: &str = "kernel.storage.standby_behind";
/// It cannot be written.
pub const STANDBY_FAILED_TOPIC: &str = "kernel.storage.standby_failed";

/// What was told last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    #[default]
    Nothing,
    Follows,
    Behind,
    /// With these words.
    Failed(String),
}

impl Told {
    /// Takes note of how a standby is; answers what is to be told of it.
    pub(super) fn next(&mut self, status: &StandbyStatus) -> Option<(&'static str, Value)> {
        let now = Self::of(status)?;
        // One that was late and gives up is told of; one that fails, is late, and fails as before is not.
        let is_told = match (&*self, &now) {
            (Self::Failed(_), Self::Behind) => true,
            (told, now) => told == now,
        };
        if is_told {
            return None;
        }
        let topic = match &now {
            Self::Follows => STANDBY_FOLLOWS_TOPIC,
            Self::Behind => STANDBY_BEHIND_TOPIC,
            Self::Failed(_) => STANDBY_FAILED_TOPIC,
            Self::Nothing => return None,
        };
        *self = now;
        let told = json!({
            "standby": status.path,
            "version": status.version,
            "behind": status.behind,
            "behind_ms": status.behind_ms,
            "problem": status.problem,
        });
        Some((topic, told))
    }

    fn of(status: &StandbyStatus) -> Option<Self> {
        if let Some(problem) = &status.problem {
            return Some(Self::Failed(problem.message.clone()));
        }
        if status.behind_ms >= Some(BEHIND_MS) {
            return Some(Self::Behind);
        }
        let is_well = status.behind_ms.is_some_and(|behind| behind < WELL_MS);
        (status.state == StandbyState::Following && is_well).then_some(Self::Follows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Problem;

    fn status(state: StandbyState, behind: u64, seconds: u64, problem: &str) -> StandbyStatus {
        StandbyStatus {
            path: "b.db".into(),
            primary: "a.db".into(),
            state,
            since: 0,
            version: Some(5),
            behind: Some(behind),
            behind_ms: Some(seconds * 1_000),
            copied: None,
            problem: (!problem.is_empty()).then(|| Problem::new("unavailable", problem, None)),
        }
    }

    #[test]
    fn it_is_told_once_until_it_changes() {
        use StandbyState::{Copying, Failed, Following};
        let mut told = Told::default();
        let mut check = |status: StandbyStatus, expect: Option<&str>| {
            let found = told.next(&status).map(|(topic, _)| topic);
            assert_eq!(found, expect, "{status:?}");
        };
        check(status(Copying, 0, 0, ""), None);
        check(status(Following, 3, 1, ""), None);
        check(status(Following, 3, 0, ""), Some(STANDBY_FOLLOWS_TOPIC));
        check(status(Following, 9, 9, ""), None);
        check(status(Following, 0, 0, ""), None);
        check(status(Following, 9, 10, ""), Some(STANDBY_BEHIND_TOPIC));
        check(status(Following, 9, 11, ""), None);
        check(status(Following, 1, 1, ""), None);
        check(status(Following, 0, 0, ""), Some(STANDBY_FOLLOWS_TOPIC));
        check(status(Failed, 1, 0, "full"), Some(STANDBY_FAILED_TOPIC));
        check(status(Copying, 1, 5, ""), None);
        check(status(Failed, 1, 60, "full"), None);
        check(status(Copying, 1, 60, ""), None);
        check(status(Failed, 1, 60, "gone"), Some(STANDBY_FAILED_TOPIC));
        check(status(Following, 0, 0, ""), Some(STANDBY_FOLLOWS_TOPIC));
    }

    #[test]
    fn an_event_says_how_far_it_is() {
        let behind = status(StandbyState::Following, 9, 10, "");
        let (_, event) = Told::default().next(&behind).expect("it is told");
        let expect = json!({
            "standby": "b.db", "version": 5, "behind": 9, "behind_ms": 10_000, "problem": null,
        });
        assert_eq!(event, expect);
    }
}
