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
    /// How often threads are interrupted in the short form, where every interleaving takes too
    /// long.
    pub(crate) preemptions: Option<usize>,
}

const fn whole(name: &'static str, run: fn()) -> Model {
    Model {
        name,
        run,
        preemptions: None,
    }
}

const fn bounded(name: &'static str, preemptions: usize, run: fn()) -> Model {
    Model {
        name,
        run,
        preemptions: Some(preemptions),
    }
}

/// All of them.
pub(crate) const MODELS: &[Model] = &[
    whole("gate: who sees it empty sees all that was done inside", gate::closes),
    whole("gate: who follows somebody inside is waited for", gate::follows),
    whole("gate: after it was opened again, all who enter are counted", gate::reopens),
    whole("budget: no retry is granted twice, none is lost", budget::grants),
    whole("budget: there are never more than ten", budget::is_full),
    whole("intake: who is turned away by a replaced provider finds the next", intake::replaces),
    whole("intake: who waits is told when nobody comes", intake::gives_up),
    bounded("pool: what is queued is done beside what blocks", 2, pool::wakes),
    bounded("pool: what two threads queue is done", 2, pool::wakes_for_two),
    bounded("pool: the watcher replaces what blocks", 2, pool::watches),
    bounded("pool: nothing is kept after the end", 2, pool::ends),
    whole("rings: a receiver that sleeps is woken", rings::sleeps),
    whole("rings: a sender without room is woken", rings::fills),
    whole("rings: what a holder leaves behind wakes who parks", rings::hands_over),
];
