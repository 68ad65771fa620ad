//! What one publisher remembers of its topics, so that a known topic costs no search; the search
//! is the job of `matcher`.

use std::collections::HashMap;
use std::sync::Arc;

use octa_loader::{NameError, NameKind};

use super::hub::Hub;
use super::queue::Queue;

/// How many topics a publisher remembers; beyond, it starts anew.
const KEPT: usize = 1024;

/// The subscriptions of the topics published on, as of one version of the hub.
#[derive(Debug, Default)]
pub(super) struct Routes {
    version: u64,
    known: Vec<Route>,
    indices: HashMap<Arc<str>, usize>,
    /// The one used last: many publishers stay with a topic for a while.
    last: usize,
}

/// A valid topic and the subscriptions that match it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) topic: Arc<str>,
    pub(super) queues: Vec<Arc<Queue>>,
}

impl Routes {
    /// Where an event on this topic goes, no older than the last change of subscriptions.
    pub(super) fn find(&mut self, hub: &Hub, topic: &str) -> Result<&Route, NameError> {
        let version = hub.version();
        if self.version != version {
            self.forget();
            self.version = version;
        }
        let last = self.known.get(self.last);
        if last.is_none_or(|route| *route.topic != *topic) {
            self.last = match self.indices.get(topic) {
                Some(index) => *index,
                None => self.add(hub, topic)?,
            };
        }
        Ok(&self.known[self.last])
    }

    #[cold]
    fn add(&mut self, hub: &Hub, topic: &str) -> Result<usize, NameError> {
        NameKind::Topic.check(topic)?;
        if self.known.len() >= KEPT {
            self.forget();
        }
        let index = self.known.len();
        let topic: Arc<str> = topic.into();
        let queues = hub.matches(&topic);
        self.indices.insert(Arc::clone(&topic), index);
        self.known.push(Route { topic, queues });
        Ok(index)
    }

    fn forget(&mut self) {
        self.known.clear();
        self.indices.clear();
    }
}
