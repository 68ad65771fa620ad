//! How a new generation does in its first seconds; when those are over, and what follows if it
//! does badly, is up to the manager.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use octa_plugin_api::{Error, ErrorKind};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::status::Problem;

/// So many panics are too many, however much went well.
const PANICS: u64 = 3;
/// So much must have ended before a share of it says anything.
const ENOUGH: u64 = 8;

/// Counts how calls and deliveries of one generation end.
#[derive(Debug)]
pub(crate) struct Probation {
    plugin: Arc<str>,
    /// A lock, so that a share is one of the same moment; nobody notes anything after the first
    /// seconds.
    counts: Mutex<Counts>,
    verdict: OnceLock<Problem>,
    failed: Notify,
    is_over: AtomicBool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    finished: u64,
    faults: u64,
    /// Those of the faults that are panics.
    panics: u64,
}

/// What an error says of the generation that ended with it.
enum Fault {
    /// Nothing: that is another plugin's fault, or a good answer.
    None,
    /// It may be what the author means to answer, unless it is what most calls end with.
    Possible,
    Panic,
}

impl Probation {
    pub(crate) fn new(plugin: &Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            plugin: plugin.clone(),
            counts: Mutex::default(),
            verdict: OnceLock::new(),
            failed: Notify::new(),
            is_over: AtomicBool::new(false),
        })
    }

    /// Counts a call or a delivery that has ended.
    pub(crate) fn note<T>(&self, result: &Result<T, Error>) {
        match result {
            Ok(_) => self.count(Fault::None, None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => self.count(self.fault(error), Some(error)),
        }
    }

    /// Counts deliveries that have ended: those that were handled well, and how the next one failed.
    pub(crate) fn note_deliveries(&self, handled: u64, result: &Result<(), Error>) {
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        self.counts.lock().finished += handled;
        if result.is_err() {
            self.note(result);
        }
    }

    /// The first seconds are over: nothing is counted any more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Counts a call that was given up at its deadline.
    pub(crate) fn note_late(&self, error: &Error) {
        self.count(Fault::Possible, Some(error));
    }

    /// Why the generation must go, if it must.
    pub(crate) fn verdict(&self) -> Option<&Problem> {
        self.verdict.get()
    }

    /// Waits until the generation must go, for ever if it does well.
    pub(crate) async fn failed(&self) -> Problem {
        loop {
            let told = self.failed.notified();
            if let Some(problem) = self.verdict() {
                return problem.clone();
            }
            told.await;
        }
    }

    fn fault(&self, error: &Error) -> Fault {
        if error.plugin().is_some_and(|plugin| plugin != &*self.plugin) {
            return Fault::None;
        }
        match error.kind() {
            ErrorKind::Panicked => Fault::Panic,
            ErrorKind::Failed | ErrorKind::Internal | ErrorKind::InvalidOutput => Fault::Possible,
            _ => Fault::None,
        }
    }

    fn count(&self, fault: Fault, error: Option<&Error>) {
        let Counts {
            finished,
            faults,
            panics,
        } = self.counts.lock().add(&fault);
        // What ends well makes nothing worse.
        let Some(error) = error.filter(|_| !matches!(fault, Fault::None)) else {
            return;
        };
        let (bad, how) = if panics >= PANICS {
            (panics, "panicked")
        } else if finished >= ENOUGH && faults * 2 > finished {
            (faults, "failed")
        } else {
            return;
        };
        self.condemn(&format!("{bad} of the first {finished}"), how, error);
    }

    #[cold]
    fn condemn(&self, share: &str, how: &str, last: &Error) {
        let message = format!(
            "{share} calls and deliveries of the new generation of plugin `{}` {how}, the last with: {}",
            self.plugin,
            last.message(),
        );
        if self.verdict.set(Problem::new(how, message, None)).is_ok() {
            self.failed.notify_waiters();
        }
    }
}

impl Counts {
    fn add(&mut self, fault: &Fault) -> Self {
        self.finished += 1;
        self.faults += u64::from(!matches!(fault, Fault::None));
        self.panics += u64::from(matches!(fault, Fault::Panic));
        *self
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    fn verdict(results: &[Result<(), Error>]) -> Option<String> {
        let probation = Probation::new(&"lamp".into());
        for result in results {
            probation.note(result);
        }
        probation.verdict().map(|problem| problem.message.clone())
    }

    fn error(kind: ErrorKind) -> Result<(), Error> {
        Err(Error::new(kind, "on purpose").from_plugin("lamp"))
    }

    #[test]
    fn three_panics_are_too_many() {
        let panic = error(ErrorKind::Panicked);
        let mut results = vec![Ok(()); 100];
        results.extend([panic.clone(), panic.clone()]);
        assert_eq!(verdict(&results), None);
        results.push(panic);
        assert_eq!(
            verdict(&results).as_deref(),
            Some(
                "3 of the first 103 calls and deliveries of the new generation of plugin `lamp` \
                 panicked, the last with: on purpose"
            )
        );
    }

    #[test]
    fn more_than_half_of_enough_is_too_much() {
        for kind in [
            ErrorKind::Failed,
            ErrorKind::Internal,
            ErrorKind::InvalidOutput,
        ] {
            assert_eq!(verdict(&vec![error(kind); 7]), None, "not enough");
            assert!(verdict(&vec![error(kind); 8]).is_some());
            let mut half = vec![Ok(()); 4];
            half.extend(vec![error(kind); 4]);
            assert_eq!(verdict(&half), None, "no more than half");
            half.extend([error(kind)]);
            assert!(verdict(&half).is_some_and(|m| m.starts_with("5 of the first 9 ")));
        }
    }

    #[test]
    fn what_is_not_its_fault_does_not_count() {
        let others = Err(Error::new(ErrorKind::Panicked, "elsewhere").from_plugin("switch"));
        assert_eq!(verdict(&vec![others; 20]), None);
        assert_eq!(verdict(&vec![error(ErrorKind::NotFound); 20]), None);
        let mut cut_off = vec![error(ErrorKind::Interrupted); 20];
        cut_off.extend(vec![error(ErrorKind::Failed); 7]);
        assert_eq!(verdict(&cut_off), None, "only 7 have finished");
    }

    #[test]
    fn deliveries_count_like_calls_until_it_is_over() {
        let probation = Probation::new(&"lamp".into());
        probation.note_deliveries(100, &Ok(()));
        let panic = error(ErrorKind::Panicked);
        for _ in 0..2 {
            probation.note_deliveries(0, &panic);
        }
        probation.end();
        probation.note_deliveries(0, &panic);
        assert!(probation.verdict().is_none(), "it is over");
        probation.is_over.store(false, Ordering::Relaxed);
        probation.note_deliveries(0, &panic);
        let verdict = probation.verdict().map(|it| it.message.clone());
        assert!(verdict.is_some_and(|it| it.starts_with("3 of the first 103 ")));
    }

    #[test]
    fn the_verdict_is_told_once_and_stays() {
        let probation = Probation::new(&"lamp".into());
        let mut told = pin!(probation.failed());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(told.as_mut().poll(&mut cx).is_pending());
        for _ in 0..8 {
            probation.note_late(&Error::new(ErrorKind::Deadline, "too late"));
        }
        assert!(told.as_mut().poll(&mut cx).is_ready());
        assert!(pin!(probation.failed()).poll(&mut cx).is_ready());
    }
}
