//! What the code of a plugin is run for, in one word.

use std::fmt;

use octa_plugin_abi::control;

/// Where in the word the part and the kind are; below them is a number.
const PART: u32 = 28;
const KIND: u32 = 30;

/// The kinds; calls have none, since they are the ones that must be quick.
const CALL: u32 = 0;
const EVENT: u32 = 1 << KIND;
const TASK: u32 = 2 << KIND;
const STEP: u32 = 3 << KIND;

const NUMBERS: u32 = (1 << PART) - 1;

/// Steps that are no control of the ABI; their numbers begin where no control is.
const CREATE: u32 = 1 << 16;
const DROP: u32 = CREATE + 1;
const WAKE: u32 = CREATE + 2;
const LOAD: u32 = CREATE + 3;
const UNLOAD: u32 = CREATE + 4;
const LEAVINGS: u32 = CREATE + 5;

/// What code is run for, as the word has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errand(u32);

/// What the code of a plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Doing {
    /// What for.
    pub what: What,
    /// Which part of that.
    pub part: Part,
}

/// What the code of a plugin is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum What {
    /// A call of the capability with this number in the manifest.
    Call(u32),
    /// A delivery to the subscription with this number in the manifest.
    Event(u32),
    /// The task of this number.
    Task(u32),
    /// A step of its life.
    Step(Step),
}

/// A step in the life of an instance, or of a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Step {
    /// `create`.
    Create,
    /// `start`.
    Start,
    /// `stop`.
    Stop,
    /// `save`.
    Save,
    /// `restore`.
    Restore,
    /// The question for its health.
    Health,
    /// The drop of the instance.
    Drop,
    /// A waker of the plugin's own.
    Wake,
    /// The constructors of its library.
    Load,
    /// The destructors of its library.
    Unload,
    /// The destructors of its thread-locals.
    Leavings,
    /// Another one.
    Other(u32),
}

/// Which part of a work runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Its beginning, which may be all of it.
    Begin,
    /// A poll of its future.
    Poll,
    /// The drop of its future.
    Drop,
}

impl Errand {
    /// None: what the host does for itself.
    pub(crate) const NONE: Self = Self(0);

    #[inline(always)]
    pub(crate) const fn call(handler: u32) -> Self {
        // No manifest has room for so many that the number is too large.
        Self(CALL | handler)
    }

    pub(crate) const fn event(handler: u32) -> Self {
        Self(EVENT | handler & NUMBERS)
    }

    pub(crate) const fn task(serial: usize) -> Self {
        Self(TASK | serial as u32 & NUMBERS)
    }

    /// One of the controls of the ABI.
    pub(crate) const fn control(what: u32) -> Self {
        Self(STEP | what & NUMBERS)
    }

    /// A step of its life.
    pub(crate) const fn step(step: Step) -> Self {
        Self::control(match step {
            Step::Create => CREATE,
            Step::Start => control::START,
            Step::Stop => control::STOP,
            Step::Save => control::SAVE,
            Step::Restore => control::RESTORE,
            Step::Health => control::HEALTH,
            Step::Drop => DROP,
            Step::Wake => WAKE,
            Step::Load => LOAD,
            Step::Unload => UNLOAD,
            Step::Leavings => LEAVINGS,
            Step::Other(number) => number,
        })
    }

    /// The same errand, in this part of it.
    #[inline(always)]
    pub(crate) const fn part(self, part: Part) -> Self {
        Self(self.0 | (part as u32) << PART)
    }

    /// The word.
    #[inline(always)]
    pub(super) const fn number(self) -> u32 {
        self.0
    }

    /// That of this word.
    pub(super) const fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// What it is.
    pub(super) fn doing(self) -> Doing {
        let number = self.0 & NUMBERS;
        let what = match self.0 & (3 << KIND) {
            EVENT => What::Event(number),
            TASK => What::Task(number),
            STEP => What::Step(step(number)),
            _ => What::Call(number),
        };
        let part = match (self.0 >> PART) & 3 {
            0 => Part::Begin,
            1 => Part::Poll,
            _ => Part::Drop,
        };
        Doing { what, part }
    }
}

fn step(number: u32) -> Step {
    match number {
        CREATE => Step::Create,
        DROP => Step::Drop,
        WAKE => Step::Wake,
        LOAD => Step::Load,
        UNLOAD => Step::Unload,
        LEAVINGS => Step::Leavings,
        control::START => Step::Start,
        control::STOP => Step::Stop,
        control::SAVE => Step::Save,
        control::RESTORE => Step::Restore,
        control::HEALTH => Step::Health,
        other => Step::Other(other),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "`create`",
            Self::Start => "`start`",
            Self::Stop => "`stop`",
            Self::Save => "`save`",
            Self::Restore => "`restore`",
            Self::Health => "`health`",
            Self::Drop => "`drop`",
            Self::Wake => "a waker of its own",
            Self::Load => "a constructor of its library",
            Self::Unload => "a destructor of its library",
            Self::Leavings => "a destructor of a thread-local",
            Self::Other(number) => return write!(f, "control {number}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_what_for() {
        let check = |errand: Errand, what, part| {
            assert_eq!(errand.part(part).doing(), Doing { what, part });
        };
        for part in [Part::Begin, Part::Poll, Part::Drop] {
            check(Errand::call(0), What::Call(0), part);
            check(Errand::call(70_000), What::Call(70_000), part);
            check(Errand::event(3), What::Event(3), part);
            check(Errand::task((1 << 28) + 5), What::Task(5), part);
            for it in [
                Step::Create,
                Step::Drop,
                Step::Wake,
                Step::Load,
                Step::Unload,
            ] {
                check(Errand::step(it), What::Step(it), part);
            }
            for it in [
                Step::Start,
                Step::Stop,
                Step::Save,
                Step::Restore,
                Step::Health,
            ] {
                check(Errand::step(it), What::Step(it), part);
            }
            check(Errand::control(control::STOP), What::Step(Step::Stop), part);
            check(Errand::control(77), What::Step(Step::Other(77)), part);
        }
    }
}
