//! The process that is killed: a real kernel, and many tasks that write through it and say so.

mod adapter;
mod broken;
mod copies;
mod facts;
mod teller;
mod witness;
mod writer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use octa_kernel::Kernel;
use octa_kernel::bus::Subscription;
use octa_kernel::storage::{Query, Storage};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::adapter::Between;
use self::facts::Facts;
use self::teller::Teller;
use self::witness::Hearing;
use self::writer::Writer;
use crate::layout::{TOPIC, WRITERS};
use crate::store::Store;
use crate::word::{Deed, Id, Word};

pub(crate) use self::broken::Bug;

/// How often it is looked whether everything is done.
const GLANCE: Duration = Duration::from_millis(5);

/// What a worker is told.
#[derive(Debug, Args)]
pub(crate) struct Work {
    #[command(flatten)]
    pub(crate) store: Store,
    /// What the random choices come from.
    #[arg(long)]
    pub(crate) seed: u64,
    /// Which worker on this database it is.
    #[arg(long)]
    pub(crate) life: u32,
    /// Waits with the deletion of events that were published until they were told.
    #[arg(long)]
    pub(crate) witness: bool,
    /// Makes backups all the time.
    #[arg(long)]
    pub(crate) backups: bool,
    /// Writes nothing new, finishes what was begun, and ends well.
    #[arg(long)]
    pub(crate) finish: bool,
    /// The bug to be seen.
    #[arg(long = "break", value_name = "BUG")]
    pub(crate) bug: Option<Bug>,
    /// The facts that were begun and are not there: `ID=DEED`.
    pub(crate) unfinished: Vec<Unfinished>,
}

/// A fact to be recorded again.
#[derive(Debug, Clone)]
pub(crate) struct Unfinished(pub(crate) Id, pub(crate) Deed);

impl std::str::FromStr for Unfinished {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (id, deed) = text.split_once('=').context("expected `ID=DEED`")?;
        Ok(Self(id.parse()?, deed.parse()?))
    }
}

/// What all tasks of a worker share.
struct Scene {
    teller: Teller,
    storage: Storage,
    facts: Facts,
    /// Whether there may be errors: the database is a server, which may be killed too.
    may_fail: bool,
}

/// Works until it is killed, or whoever started it has ended.
pub(crate) async fn work(work: Work) -> Result<()> {
    let teller = Teller::to_output()?;
    let outcome = live(&work, &teller).await;
    if let Err(error) = outcome {
        teller.complain(format!("the worker fails: {error:#}"));
    }
    Ok(())
}

async fn live(work: &Work, teller: &Teller) -> Result<()> {
    teller.tell(&Word::Opening);
    let hearing = Hearing::new();
    let kernel = open(work, &hearing).await?;
    let events = kernel.subscribe(TOPIC).await?;
    hearing.begin(&kernel);
    kernel.start().await?;
    teller.tell(&Word::Ready);
    let may_fail = work.store.url.is_some();
    let scene = Arc::new(Scene {
        teller: teller.clone(),
        storage: kernel.storage().clone(),
        facts: Facts::new(&kernel, teller.clone(), may_fail, work.bug)?,
        may_fail,
    });
    listen(&scene, &hearing, events);
    let reader = scene.clone();
    let reading = spawn(teller, async move { reader.facts.read().await });
    let unfinished = work.unfinished.clone();
    if work.finish {
        record_again(&scene, unfinished).await?;
        drain(&scene, &hearing).await?;
        teller.tell(&Word::Drained);
    } else {
        write(work, &scene, unfinished);
        copy(work, &scene, &kernel);
    }
    // Whoever started this ends it so, or has ended.
    tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new())).await??;
    reading.abort();
    kernel.stop().await;
    Ok(())
}

/// As a configuration says it, or with something in between.
async fn open(work: &Work, hearing: &Arc<Hearing>) -> Result<Kernel> {
    if work.bug == Some(Bug::ForgetOutbox) {
        broken::forget_outbox(&*work.store.open().await?).await?;
    }
    let builder = Kernel::builder();
    let is_between = work.witness || matches!(work.bug, Some(Bug::AckEarly | Bug::Split));
    if work.store.standby || !is_between {
        let builder = builder.data(&work.store.data).config(work.store.config()?);
        return Ok(builder.build()?);
    }
    let adapter = work.store.open().await?;
    let between = Between {
        adapter: match work.bug {
            Some(Bug::AckEarly) => broken::write_behind(adapter).await?,
            _ => adapter,
        },
        hearing: hearing.clone(),
        splits: work.bug == Some(Bug::Split),
    };
    Ok(builder.storage(between).build()?)
}

/// A task whose failure is told.
fn spawn(
    teller: &Teller,
    task: impl Future<Output = Result<()>> + Send + 'static,
) -> JoinHandle<()> {
    let teller = teller.clone();
    tokio::spawn(async move {
        if let Err(error) = task.await {
            teller.complain(format!("{error:#}"));
        }
    })
}

fn listen(scene: &Arc<Scene>, hearing: &Arc<Hearing>, mut events: Subscription) {
    let (heard, mut to_find) = mpsc::unbounded_channel();
    let (finder, listener, hearing) = (scene.clone(), scene.clone(), hearing.clone());
    spawn(&scene.teller, async move {
        while let Some(event) = events.recv().await {
            heard.send(listener.facts.hear(&event.payload)?)?;
            hearing.told();
        }
        Ok(())
    });
    // Beside, so that nothing comes between an event and its telling.
    spawn(&scene.teller, async move {
        while let Some(id) = to_find.recv().await {
            finder.facts.find(id).await;
        }
        Ok(())
    });
}

/// Facts of lives before, under the keys that they had.
async fn record_again(scene: &Scene, unfinished: Vec<Unfinished>) -> Result<()> {
    for Unfinished(id, deed) in unfinished {
        scene.facts.record(id, deed, false).await?;
    }
    Ok(())
}

fn write(work: &Work, scene: &Arc<Scene>, unfinished: Vec<Unfinished>) {
    let again = scene.clone();
    spawn(&scene.teller, async move {
        record_again(&again, unfinished).await
    });
    for number in 0..WRITERS {
        let writer = Writer::new(scene.clone(), work.seed, work.life, number);
        tokio::spawn(writer.run());
    }
}

fn copy(work: &Work, scene: &Arc<Scene>, kernel: &Kernel) {
    if work.backups {
        let (scene, store, life) = (scene.clone(), work.store.clone(), work.life);
        spawn(&scene.teller.clone(), async move {
            copies::back_up(&scene.storage, &store, life, &scene.teller).await
        });
    }
    if work.store.standby {
        let (kernel, teller) = (kernel.clone(), scene.teller.clone());
        tokio::spawn(async move { copies::watch_standby(&kernel, &teller).await });
    }
}

/// Waits until every event was published and heard, and every fact read.
async fn drain(scene: &Scene, hearing: &Hearing) -> Result<()> {
    let query = Query::new("kernel.outbox.crash", "event/")?.limit(1)?;
    loop {
        let is_empty = scene.storage.list(query).await?.entries.is_empty();
        if is_empty && scene.facts.is_read().await? {
            hearing.all_told().await;
            return Ok(());
        }
        tokio::time::sleep(GLANCE).await;
    }
}
