//! One life of a worker, seen from outside: it is started, listened to, and killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::damage::{Damage, Kind};
use crate::ledger::Ledger;
use crate::store::Store;
use crate::word::Word;
use crate::worker::Bug;

/// How long is waited for a word that has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a worker is started.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    pub(crate) store: &'a Store,
    pub(crate) seed: u64,
    pub(crate) life: u32,
    pub(crate) witness: bool,
    pub(crate) backups: bool,
    pub(crate) finish: bool,
    pub(crate) bug: Option<Bug>,
}

/// A worker that lives.
#[derive(Debug)]
pub(crate) struct Life<'a> {
    child: Child,
    /// It ends when this is closed.
    input: Option<ChildStdin>,
    words: Receiver<Word>,
    ledger: &'a mut Ledger,
    /// The backups that it began.
    pub(crate) backups: Vec<u32>,
    /// Those that it finished.
    pub(crate) backed: Vec<u32>,
    /// Up to where its standby was told to be.
    pub(crate) followed: u64,
    /// How often it was not sure of a write.
    pub(crate) unsure: u64,
}

impl<'a> Life<'a> {
    pub(crate) fn begin(birth: &Birth<'_>, ledger: &'a mut Ledger) -> Result<Self> {
        let mut worker = Command::new(std::env::current_exe()?);
        worker.arg("work").arg("--data").arg(&birth.store.data);
        worker.args(birth.store.url.iter().flat_map(|url| ["--url", url]));
        worker.args(["--seed", &birth.seed.to_string()]);
        worker.args(["--life", &birth.life.to_string()]);
        worker.args(birth.store.standby.then_some("--standby"));
        worker.args(birth.witness.then_some("--witness"));
        worker.args(birth.backups.then_some("--backups"));
        worker.args(birth.finish.then_some("--finish"));
        worker.args(birth.bug.map(|bug| format!("--break={}", bug.name())));
        let unfinished = ledger.unfinished();
        worker.args(unfinished.iter().map(|(id, deed)| format!("{id}={deed}")));
        worker.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = worker.spawn().context("cannot start a worker")?;
        let output = child.stdout.take().context("it has no output")?;
        let (told, words) = channel();
        thread::spawn(move || listen(output, &told));
        Ok(Self {
            input: child.stdin.take(),
            child,
            words,
            ledger,
            backups: Vec::new(),
            backed: Vec::new(),
            followed: 0,
            unsure: 0,
        })
    }

    /// Listens until there is a word like this; it has to come.
    pub(crate) fn until(&mut self, what: &str, is_it: impl Fn(&Word) -> bool) -> Result<()> {
        let heard = self.listen(Instant::now() + PATIENCE, is_it);
        ensure!(heard, "a worker did not come to {what}");
        Ok(())
    }

    /// Listens for so long.
    pub(crate) fn during(&mut self, time: Duration) {
        self.listen(Instant::now() + time, |_| false);
    }

    /// Kills it, and takes what it told before.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.listen(Instant::now() + PATIENCE, |_| false);
        Ok(())
    }

    /// Has it end by itself.
    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.input.take());
        self.listen(Instant::now() + PATIENCE, |_| false);
        let status = self.child.wait()?;
        ensure!(status.success(), "a worker ended badly: {status}");
        Ok(())
    }

    /// Listens until there is a word like this, the end, or the time; tells whether there was one.
    fn listen(&mut self, end: Instant, is_it: impl Fn(&Word) -> bool) -> bool {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.words.recv_timeout(left) {
                Ok(word) => {
                    self.hear(&word);
                    if is_it(&word) {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn hear(&mut self, word: &Word) {
        match word {
            Word::Backing(number) => self.backups.push(*number),
            Word::Backed(number) => self.backed.push(*number),
            Word::Followed(version) => self.followed = *version,
            Word::Unsure(_) => self.unsure += 1,
            _ => {}
        }
        self.ledger.hear(word);
    }
}

impl Drop for Life<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads whole lines until the worker has ended.
fn listen(output: ChildStdout, told: &Sender<Word>) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|read| read > 0) {
        if let Some(whole) = line.strip_suffix('\n') {
            let word = whole.parse();
            let word = word.unwrap_or_else(|error| Word::Complaint(format!("{error:#}")));
            if told.send(word).is_err() {
                return;
            }
        }
        line.clear();
    }
}

/// What went wrong with a life, as damage.
pub(crate) fn trouble(error: &anyhow::Error) -> Damage {
    Damage::new(Kind::Other, format!("{error:#}"))
}
