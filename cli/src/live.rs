//! What happens in the kernel, shown as it happens: how the plugins are once all are started, and
//! one line for each event.

use std::sync::Arc;
use std::thread;

use octa_kernel::bus::{Event, Subscription};
use octa_kernel::{Kernel, PluginStatus, RejectedFile};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::answer::ErrorBody;
use crate::event_line::EventLine;
use crate::failure::Failure;
use crate::output::{self, OutputError};
use crate::{show, world};

/// The topics on which the kernel tells of its plugins.
const PLUGIN_TOPICS: &str = "kernel.plugin.";

/// The topics on which it tells of reloads.
pub(crate) const RELOAD_TOPICS: [&str; 3] = [
    "kernel.plugin.reloaded",
    "kernel.plugin.reload_failed",
    "kernel.plugin.rolled_back",
];

/// The topic on which it tells that nothing is left of a generation.
const UNMAPPED: &str = "kernel.generation.unmapped";

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// For people.
    Lines,
    /// For people who develop plugins, and are told of reloads apart.
    Dev,
    /// One JSON object per line.
    Json,
}

/// A thread that prints. It has no part in anything else, so a terminal that takes no more lines
/// stops nobody.
#[derive(Debug)]
pub(crate) struct Live {
    started: oneshot::Sender<Started>,
    closed: oneshot::Receiver<()>,
}

/// How the plugins are, and since when.
#[derive(Debug)]
struct Started {
    lines: Vec<String>,
    time: u64,
}

impl Live {
    /// Shows events from now on. What the kernel tells people of its plugins is held back until
    /// [`started`](Self::started) sums it up.
    pub(crate) async fn begin(kernel: &Kernel, style: Style) -> Result<Self, Failure> {
        let events = kernel.subscribe("**").await.map_err(ErrorBody::from)?;
        let (started, is_started) = oneshot::channel();
        let (open, closed) = oneshot::channel();
        let handle = Handle::current();
        thread::spawn(move || {
            // A reader that went away shows in `closed`.
            drop(handle.block_on(print(events, style, is_started)));
            drop(open);
        });
        Ok(Self { started, closed })
    }

    /// Shows how the plugins are; answers what waits for the end of the printing.
    pub(crate) fn started(self, kernel: &Kernel) -> oneshot::Receiver<()> {
        let started = Started {
            lines: states(&kernel.plugins(), &kernel.rejected()),
            time: world::now_nanos(),
        };
        // The printer is gone if nobody reads.
        drop(self.started.send(started));
        self.closed
    }

    /// Shows what was held back; answers what waits for the end of the printing.
    pub(crate) fn interrupted(self) -> oneshot::Receiver<()> {
        self.closed
    }
}

async fn print(
    mut events: Subscription,
    style: Style,
    mut started: oneshot::Receiver<Started>,
) -> Result<(), OutputError> {
    // What the kernel tells of plugins until this time is told already.
    let mut told = Some(u64::MAX).filter(|_| style != Style::Json);
    let mut starting = style != Style::Json;
    loop {
        tokio::select! {
            biased;
            result = &mut started, if starting => {
                starting = false;
                told = result.as_ref().ok().map(|started| started.time);
                for line in result.iter().flat_map(|started| &started.lines) {
                    output::print(&show::fit(line, output::width()))?;
                }
            }
            event = events.recv() => match event {
                Some(event) if is_told(&event, told) || is_apart(&event, style) => {}
                Some(event) => output::print(&line(&event, style))?,
                None => return Ok(()),
            },
        }
    }
}

fn is_told(event: &Arc<Event>, told: Option<u64>) -> bool {
    event.topic.starts_with(PLUGIN_TOPICS) && told.is_some_and(|time| event.time <= time)
}

/// Whether it is told apart, or goes without saying where something is reloaded all the time.
fn is_apart(event: &Event, style: Style) -> bool {
    let topic = &*event.topic;
    style == Style::Dev && (RELOAD_TOPICS.contains(&topic) || topic == UNMAPPED)
}

fn line(event: &Event, style: Style) -> String {
    let line = EventLine::of(event);
    match style {
        Style::Json => line.to_json(),
        Style::Lines | Style::Dev => show::fit(&line.to_text(), output::width()).into_owned(),
    }
}

/// A line for each plugin and each file that is none.
fn states(plugins: &[PluginStatus], rejected: &[RejectedFile]) -> Vec<String> {
    let plugins = plugins.iter().map(|plugin| {
        let clock = show::clock(plugin.since);
        let PluginStatus {
            name,
            version,
            state,
            ..
        } = plugin;
        let told = match plugin.problems.first() {
            Some(problem) => format!(": {}", problem.message),
            None => String::new(),
        };
        show::one_line(&format!("{clock} {state:<10} {name} {version}{told}")).into_owned()
    });
    let clock = show::clock(world::now_nanos());
    let rejected = rejected.iter().map(|file| {
        let message = &file.problem.message;
        show::one_line(&format!("{clock} {:<10} {message}", "rejected")).into_owned()
    });
    plugins.chain(rejected).collect()
}
