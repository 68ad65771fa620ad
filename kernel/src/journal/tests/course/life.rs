//! One life of a kernel: what it does until it ends, well or not.

use std::time::Duration;

use super::super::faulty::Faulty;
use super::*;
use ledger::Said;

/// What happens in a life.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// What is done, each after so many turns of others, all at once.
    pub(super) steps: Vec<(Step, u8)>,
    pub(super) fates: Vec<Fate>,
    /// Whether events are let out.
    pub(super) opens: bool,
    /// Whether it ends well, if nothing ends it before.
    pub(super) closes: bool,
    pub(super) neighbours: Neighbours,
    /// How many go on under the name of the one consumer.
    pub(super) consumers: usize,
}

impl Life {
    /// One in which nothing is done, and nothing goes wrong.
    pub(super) fn good() -> Self {
        Self {
            steps: Vec::new(),
            fates: Vec::new(),
            opens: true,
            closes: true,
            neighbours: Neighbours::None,
            consumers: 1,
        }
    }

    pub(super) async fn run(self, adapter: Arc<dyn StorageAdapter>, ledger: Arc<Ledger>) {
        let faulty = Faulty::over(adapter, self.fates.clone()).await;
        let mut bench = Bench::on(faulty.clone(), self.neighbours);
        let bus = bench.bus.clone();
        let heard = std::mem::replace(&mut bench.heard, listen(&bus));
        ledger.begin(heard);
        let looks = ledger.clone();
        faulty.look(move |committed| looks.look(committed));
        tokio::select! {
            () = self.live(&bench, &ledger) => {}
            () = faulty.cut() => {}
        }
        ledger.look(u64::MAX);
    }

    async fn live(&self, bench: &Bench, ledger: &Arc<Ledger>) {
        tokio::spawn(bench.journals.run());
        if self.opens {
            bench.journals.open();
        }
        let clock = bench.clock.clone();
        let time = tokio::spawn(async move {
            loop {
                tokio::task::yield_now().await;
                clock.advance(Duration::from_millis(50));
            }
        });
        for stream in 0..STREAMS.len() {
            for _ in 0..self.consumers {
                let (journal, ledger) = (journal(bench, stream), ledger.clone());
                let alone = self.consumers == 1;
                tokio::spawn(consume(journal, stream, alone, ledger));
            }
        }
        let steps = self.steps.iter().map(|&(step, turns)| {
            let (journal, ledger) = (journal(bench, step.stream()), ledger.clone());
            tokio::spawn(async move {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
                step.take(&journal, &ledger).await;
            })
        });
        for step in steps.collect::<Vec<_>>() {
            step.await.expect("a step does not panic");
        }
        if self.closes {
            // An end is given up in time, which goes faster here than a file.
            time.abort();
            bench.journals.close().await;
            // Consumers are done when nothing is left for them.
            while self.steps.is_empty() && !ledger.is_consumed(bench).await {
                tokio::task::yield_now().await;
            }
        }
    }
}

fn listen(bus: &Bus) -> Subscription {
    bus.subscribe(SubscriptionOptions::new(
        "nobody",
        "none".parse().expect("a pattern"),
    ))
}

fn journal(bench: &Bench, stream: usize) -> Journal {
    let journal = bench.journals.journal("meters", STREAMS[stream], "lamps");
    journal.expect("valid names")
}

/// Goes on as the consumer of a stream, in batches of one or two, until the kernel ends.
async fn consume(journal: Journal, stream: usize, alone: bool, ledger: Arc<Ledger>) {
    let consumer = journal.consumer("c").expect("a name");
    loop {
        let before = ledger.acknowledged(stream);
        let Ok(facts) = consumer.next(2).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let positions: Vec<_> = facts.iter().map(|fact| fact.position).collect();
        let first = positions.first().copied().unwrap_or_default();
        ledger.consumed(stream, before, positions, alone);
        ledger.attempted(stream, first);
        if let Ok(done) = consumer.acknowledge(first).await {
            ledger.done(stream, done);
        }
    }
}

impl Step {
    fn stream(self) -> usize {
        match self {
            Self::Record { stream, .. } | Self::Gather { stream, .. } => stream,
        }
    }

    async fn take(self, journal: &Journal, ledger: &Ledger) {
        let notice = (self.stream() == 0).then(|| Notice::from("lamps.told"));
        match self {
            Self::Record { stream, key, fact } => {
                let (key, fact) = (key.to_string(), json!(fact));
                let recorded = journal.record(&key, payload(&fact), notice).await;
                if let Ok(recorded) = recorded {
                    let Recorded { position, novelty } = recorded;
                    let said = Said::Fact(fact, novelty, position);
                    ledger.said(stream, key, said);
                }
            }
            Self::Gather {
                stream,
                key,
                part,
                value,
            } => {
                let (key, value) = (key.to_string(), json!(value));
                let name = PARTS[part];
                let part = Part {
                    name,
                    value: &payload(&value),
                    expected: &PARTS,
                };
                if let Ok(gathered) = journal.gather(&key, part, notice).await {
                    let said = Said::Part(name, value, gathered);
                    ledger.said(stream, key, said);
                }
            }
        }
    }
}
