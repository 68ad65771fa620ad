//! The models: one file for each structure of the product.

mod budget;
mod gate;
mod intake;
mod pool;
mod rings;

/// What a few threads do, and what must hold.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// One execution.
    pub(crate) run: fn(),
    /// How often threads are interrupted at most, in the short form and in the long one; where a
    /// thread waits, others go on as well.
    pub(crate) preemptions: [usize; 2],
}

/// More often than there are steps to interrupt: every interleaving.
pub(crate) const MANY: usize = u8::MAX as usize;

const fn whole(name: &'static str, run: fn()) -> Model {
    bounded(name, [MANY; 2], run)
}

const fn bounded(name: &'static str, preemptions: [usize; 2], run: fn()) -> Model {
    Model {
        name,
        run,
        preemptions,
    }
}

/// All of them.
pub(crate) const MODELS: &[Model] = &[
    bounded(
        "gate: who sees it empty sees all that was done inside",
        [3, 5],
        gate::closes,
    ),
    whole(
        "gate: who follows somebody inside is waited for",
        gate::follows,
    ),
    bounded(
        "gate: after it was opened again, all who enter are counted",
        [4, MANY],
        gate::reopens,
    ),
    whole(
        "budget: no retry is granted twice, none is lost",
        budget::grants,
    ),
    whole("budget: there are never more than ten", budget::is_full),
    bounded(
        "intake: who is turned away by a replaced provider finds the next",
        [6, MANY],
        intake::replaces,
    ),
    whole(
        "intake: who waits is told when nobody comes",
        intake::gives_up,
    ),
    bounded(
        "pool: what is queued is done beside what blocks",
        [2, 3],
        pool::wakes,
    ),
    bounded(
        "pool: a thread is woken each time",
        [5, 7],
        pool::wakes_again,
    ),
    bounded(
        "pool: what two threads queue is done",
        [1, 2],
        pool::wakes_for_two,
    ),
    bounded(
        "pool: the watcher replaces what blocks",
        [1, 2],
        pool::watches,
    ),
    bounded("pool: nothing is kept after the end", [4, MANY], pool::ends),
    bounded(
        "rings: a receiver that sleeps is woken",
        [4, MANY],
        rings::sleeps,
    ),
    bounded(
        "rings: a sender without room is woken",
        [2, 4],
        rings::fills,
    ),
    bounded(
        "rings: room for one frame is enough",
        [4, MANY],
        rings::has_room_for_one,
    ),
    bounded(
        "rings: who finds no room finds it when there is",
        [4, MANY],
        rings::runs_full,
    ),
    bounded(
        "rings: what a holder leaves behind wakes who parks",
        [4, MANY],
        rings::hands_over,
    ),
];
