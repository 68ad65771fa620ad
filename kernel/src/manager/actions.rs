//! The steps of a plugin's life: what is begun, and what follows when it has ended.

use std::sync::Arc;

use super::{
    Event, Manager,
    live::Live,
    make::Numbered,
    record::{Doing, Wanted},
    retire::Ending,
    supervise::Gravity,
};
use crate::{lifecycle::State, status::Problem};

impl Manager {
    pub(super) fn begin(&mut self, name: &str, doing: Doing) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = Some(doing);
        let (core, events, name) = (self.core.clone(), self.core.events.clone(), name.to_owned());
        let runtime = core.commons.runtime.clone();
        match (doing, record.live.clone()) {
            (Doing::Opening, _) => {
                let ingredients = record.ingredients();
                let number = record.next_number();
                let numbered = Numbered {
                    number,
                    on_trial: false,
                };
                runtime.spawn(async move {
                    let result = core.make(ingredients, numbered).await;
                    drop(events.send(Event::Opened(name, result)));
                });
            }
            (Doing::Starting, Some(live)) => {
                runtime.spawn(async move {
                    let result = core.start(&live).await;
                    drop(events.send(Event::Started(name, result)));
                });
            }
            (Doing::Stopping, Some(live)) => {
                core.commons.services.unregister(&name);
                let leaving = live.leave();
                live.instance.close();
                runtime.spawn(async move {
                    core.finish(&live, &leaving).await;
                    drop(events.send(Event::Stopped(name)));
                });
            }
            (Doing::Closing, Some(live)) => {
                let ending = Ending::begin(&core);
                runtime.spawn(async move {
                    core.discard(&live).await;
                    drop(ending);
                    drop(events.send(Event::Closed(name)));
                });
            }
            (Doing::Reloading | Doing::Falling, _) | (_, None) => record.busy = None,
        }
    }

    pub(super) async fn opened(&mut self, name: &str, result: Result<Arc<Live>, Problem>) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        match result {
            Ok(live) => {
                record.live = Some(live);
                self.enter(name, State::Loaded, Vec::new());
            }
            Err(problem) => {
                let gravity = match problem.is_lasting() {
                    true => Gravity::Hopeless,
                    false => Gravity::Failure,
                };
                self.failed(name, problem, gravity).await;
            }
        }
    }

    pub(super) async fn started(&mut self, name: &str, result: Result<(), Problem>) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        if let Err(problem) = result {
            return self.failed(name, problem, Gravity::Failure).await;
        }
        if let Some(live) = &record.live {
            live.takes_over(&self.core);
            live.serve(&self.core, &record.doors, &self.publisher, None);
            drop(self.core.remember(live, None));
            let number = live.number;
            self.recovered(name, number);
        }
        self.enter(name, State::Started, Vec::new());
        self.retry_put_off();
    }

    /// It cannot run: what ran before takes its place, if there is something.
    async fn failed(&mut self, name: &str, problem: Problem, gravity: Gravity) {
        let Some(good) = self.last_good(name).await else {
            return self.failed_to_start(name, problem, gravity);
        };
        self.enter(name, State::Failed, vec![problem.clone()]);
        self.fall_back(name, good, problem);
    }

    pub(super) fn stopped(&mut self, name: &str) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        record.doors.close(&self.publisher);
        if let Some(live) = &record.live {
            live.facilities.close();
        }
        self.enter(name, State::Stopped, Vec::new());
    }

    pub(super) fn closed(&mut self, name: &str) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        record.live = None;
        // What arrived is opened next; a failed plugin stays failed until then.
        let gives_way = record.arrived.is_some() && !record.has_failed();
        if record.wanted == Wanted::Unloaded || gives_way {
            self.enter(name, State::Unloaded, Vec::new());
        }
    }
}
