//! The tally of calls, kept outside the kernel: what was answered, by which build, and when.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::{
    latency::{AROUND, Latency},
    load::{Called, Outcome},
    numbers::EachOnce,
    plugins::{Build, COUNTING, PLUGINS},
};

/// What came of all calls.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many have ended.
    pub(crate) calls: u64,
    /// Those that failed.
    pub(crate) failed: Vec<String>,
    /// Answers of no generation that served then.
    pub(crate) strange: Vec<String>,
    /// What the counting plugin answered that it had counted.
    pub(crate) counted: EachOnce,
    /// How many of its calls were answered.
    pub(crate) answered_counting: u64,
    pub(crate) latency: Latency,
    shifts: [Option<Shift>; PLUGINS.len()],
    /// Since when nothing is reloaded.
    quiet_since: Option<Instant>,
}

/// One reload of a plugin, as it is seen from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shift {
    /// The build that serves from then on.
    pub(crate) to: Build,
    /// When the reload was asked for.
    pub(crate) asked: Instant,
    /// When it was told to be done.
    pub(crate) done: Instant,
    /// When the first call was answered by the new generation.
    pub(crate) switched: Instant,
}

impl Tally {
    /// The build that serves a plugin.
    pub(crate) fn serving(&self, plugin: usize) -> Build {
        self.shifts[plugin].map_or(Build::A, |shift| shift.to)
    }

    /// Takes note of calls among which no plugin was reloaded since the last ones.
    pub(crate) fn note(&mut self, calls: Vec<Called>) {
        for call in calls {
            self.note_one(call, None);
        }
    }

    /// Takes note of calls among which a plugin was reloaded.
    pub(crate) fn note_reload(
        &mut self,
        calls: Vec<Called>,
        plugin: usize,
        shift: Shift,
    ) -> Result<()> {
        ensure!(
            shift.to != self.serving(plugin),
            "each reload is to the other build"
        );
        let before = self.shifts[plugin].replace(shift);
        for call in calls {
            let before = before.filter(|_| call.plugin == plugin);
            self.note_one(call, before);
        }
        Ok(())
    }

    /// Nothing is reloaded from now on.
    pub(crate) fn quiet(&mut self) {
        self.quiet_since = Some(Instant::now());
    }

    /// Something will be.
    pub(crate) fn busy(&mut self) {
        self.quiet_since = None;
    }

    fn note_one(&mut self, call: Called, before: Option<Shift>) {
        self.calls += 1;
        if !call.is_later {
            self.note_latency(&call);
        }
        let took = call.ended - call.begun;
        match call.outcome {
            Outcome::Failed(why) => self.failed.push(format!("after {took:?}: {why}")),
            Outcome::Strange(what) => self.strange.push(what),
            Outcome::Answered { by, count } => {
                if call.plugin == COUNTING {
                    self.counted.note(count);
                    self.answered_counting += 1;
                }
                let shift = self.shifts[call.plugin].as_ref();
                if shift.is_none_or(|shift| shift.allows(by, call.begun, call.ended, before)) {
                    return;
                }
                let (plugin, by) = (PLUGINS[call.plugin], by.name());
                self.strange
                    .push(format!("`{plugin}` by build `{by}` after {took:?}"));
            }
        }
    }

    fn note_latency(&mut self, call: &Called) {
        let times = &mut self.latency[call.plugin];
        let is_around = |shift: &Shift| {
            call.begun <= shift.switched + AROUND && call.ended + AROUND >= shift.switched
        };
        if self.shifts[call.plugin].as_ref().is_some_and(is_around) {
            times.around.note(call.ended - call.begun);
        } else if self.quiet_since.is_some_and(|since| call.begun >= since) {
            times.quiet.note(call.ended - call.begun);
        }
    }
}

impl Shift {
    /// Whether a call may be answered by a build, if this was the last reload.
    fn allows(&self, by: Build, begun: Instant, ended: Instant, before: Option<Self>) -> bool {
        if by == self.to {
            // Or by an earlier generation of the same build, if the call is older than the last.
            return ended >= self.asked || before.is_some_and(|before| begun <= before.done);
        }
        begun <= self.done
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_build_answers_in_its_time() {
        let at = Instant::now();
        let ms = |ms| at + Duration::from_millis(ms);
        let shift = |to, from| Shift {
            to,
            asked: ms(from),
            done: ms(from + 20),
            switched: ms(from + 10),
        };
        let (before, last) = (Some(shift(Build::A, 0)), shift(Build::B, 100));
        let check = |by, begun, ended, expect| {
            let found = last.allows(by, ms(begun), ms(ended), before);
            assert_eq!(found, expect, "{by:?} from {begun} to {ended}");
        };
        check(Build::A, 30, 40, true);
        check(Build::B, 30, 40, false);
        check(Build::B, 15, 40, true);
        check(Build::A, 110, 115, true);
        check(Build::B, 90, 101, true);
        check(Build::A, 119, 130, true);
        check(Build::A, 121, 130, false);
        check(Build::B, 121, 130, true);
    }
}
