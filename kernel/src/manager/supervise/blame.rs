//! Whose fault a breakdown seems to be: the plugin's own, its caller's, or that of one event.

use super::breakdown::{CallUnderWay, Death};
use crate::{fate::Casualty, status::Blame};

/// Nobody is blamed for being there once.
const TIMES: u32 = 2;

/// The one call that was under way, alone, in the last deaths.
#[derive(Debug, Default)]
pub(super) struct Suspect {
    call: Option<CallUnderWay>,
    times: u32,
}

impl Suspect {
    /// Whose fault a death seems to be, after those before.
    pub(super) fn blame(&mut self, death: &Death, casualties: &[Casualty]) -> Blame {
        let alone = match (&*death.calls, casualties) {
            ([call], []) => Some(call.clone()),
            _ => None,
        };
        self.times = match &alone {
            Some(_) if alone == self.call => self.times + 1,
            Some(_) => 1,
            None => 0,
        };
        self.call = alone;
        if let Some(event) = casualties.iter().find(|event| event.is_given_up()) {
            return Blame::Event {
                id: event.id,
                topic: event.topic.to_string(),
                times: event.times,
            };
        }
        match &self.call {
            Some(call) if self.times >= TIMES => Blame::Caller {
                caller: call.caller.clone(),
                capability: call.capability.clone(),
                times: self.times,
            },
            _ => Blame::Plugin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn death(callers: &[&str]) -> Death {
        let call = |caller: &&str| CallUnderWay {
            caller: (*caller).to_owned(),
            capability: "lamp.on".to_owned(),
        };
        Death {
            cause: "was ended".to_owned(),
            is_failure: true,
            last_lines: Vec::new(),
            calls: callers.iter().map(call).collect(),
        }
    }

    fn event(times: u32) -> Casualty {
        Casualty {
            id: 7,
            topic: "lamp.ping".into(),
            times,
        }
    }

    fn by_caller(times: u32) -> Blame {
        Blame::Caller {
            caller: "cat".to_owned(),
            capability: "lamp.on".to_owned(),
            times,
        }
    }

    #[test]
    fn a_caller_is_blamed_who_was_alone_in_two_deaths_in_a_row() {
        let mut suspect = Suspect::default();
        let mut check = |callers: &[&str], expect| {
            assert_eq!(suspect.blame(&death(callers), &[]), expect, "{callers:?}");
        };
        check(&["cat"], Blame::Plugin);
        check(&["cat"], by_caller(2));
        check(&["cat"], by_caller(3));
        check(&["dog"], Blame::Plugin);
        check(&["cat"], Blame::Plugin);
        check(&["cat", "dog"], Blame::Plugin);
        check(&["cat"], Blame::Plugin);
        check(&[], Blame::Plugin);
        check(&["cat"], Blame::Plugin);
        check(&["cat"], by_caller(2));
    }

    #[test]
    fn an_event_is_blamed_when_it_is_given_up() {
        let mut suspect = Suspect::default();
        assert_eq!(suspect.blame(&death(&[]), &[event(1)]), Blame::Plugin);
        let blamed = suspect.blame(&death(&["cat"]), &[event(1), event(2)]);
        let expect = Blame::Event {
            id: 7,
            topic: "lamp.ping".to_owned(),
            times: 2,
        };
        assert_eq!(blamed, expect);
        assert_eq!(suspect.blame(&death(&["cat"]), &[]), Blame::Plugin);
        assert_eq!(suspect.blame(&death(&["cat"]), &[]), by_caller(2));
    }
}
