//! The course of it all: databases one after another, each with many lives that end by a kill and a last one that
//! ends well, and a look behind each.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use octa_test_servers::{Database, Postgres};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::copy;
use crate::damage::{Damage, Kind};
use crate::found::Found;
use crate::ledger::{Ledger, Look};
use crate::life::{Birth, Life, trouble};
use crate::moment::Moment;
use crate::random::Random;
use crate::report::{Report, Seen};
use crate::store::Store;
use crate::word::Word;
use crate::worker::Bug;

/// After so many kills a new database is begun, so that looking does not take ever longer.
const KILLS_OF_ONE: u32 = 25;
/// How long writers write at most until they are killed.
const LOAD: Duration = Duration::from_millis(250);
/// The same for what begins behind that: a backup, a standby that is made, a server that comes back.
const LONGER: Duration = Duration::from_millis(500);
/// How long it takes a kernel to open a database, about.
const OPENING: Duration = Duration::from_millis(25);
/// How long a server may go on with what a killed kernel asked for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much of the damage of one life is told.
const TOLD: usize = 12;

/// What is to be done on one kind of database.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    /// The server, if it is one.
    pub(crate) server: Option<&'a Postgres>,
    pub(crate) kills: u32,
    pub(crate) seed: u64,
    pub(crate) bug: Option<Bug>,
}

impl Course<'_> {
    fn name(&self) -> &'static str {
        match self.server {
            Some(_) => "postgres",
            None => "sqlite",
        }
    }

    /// Kills as often as it is told, and enters what was seen.
    pub(crate) fn run(&self, report: &mut Report) -> Result<()> {
        let mut killed = 0;
        let mut life = 0;
        while killed < self.kills {
            let mut era = Era::begin(self, life)?;
            let end = self.kills.min(killed + KILLS_OF_ONE);
            while killed < end {
                killed += era.life(report)?;
            }
            era.finish(report)?;
            life = era.life;
            let (name, kills) = (self.name(), self.kills);
            eprintln!("{name}: {killed} of {kills} kills, {era}");
        }
        Ok(())
    }
}

/// One database from its beginning to its end.
struct Era<'a> {
    course: &'a Course<'a>,
    database: Option<Database<'a>>,
    directory: TempDir,
    runtime: Runtime,
    random: Random,
    ledger: Ledger,
    /// How many lives there were on all databases.
    life: u32,
    /// What the ledger had before this life.
    before: (u64, u64, usize),
    facts: usize,
}

impl<'a> Era<'a> {
    fn begin(course: &'a Course<'a>, life: u32) -> Result<Self> {
        Ok(Self {
            course,
            database: course.server.map(|server| server.database("crash")),
            directory: TempDir::with_prefix("octa-crash-")?,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()?,
            random: Random::new(course.seed, &[life.into()]),
            ledger: Ledger::default(),
            life,
            before: (0, 0, 0),
            facts: 0,
        })
    }

    fn store(&self, standby: bool) -> Store {
        Store {
            data: self.directory.path().to_owned(),
            url: self.database.as_ref().map(Database::url),
            standby,
        }
    }

    /// One more life, ended by a kill, and a look; tells how many processes were killed.
    fn life(&mut self, report: &mut Report) -> Result<u32> {
        let moment = self.choose();
        let store = self.store(moment == Moment::Standby);
        let mut seen = Seen::default();
        let mut damages = Vec::new();
        let lived = self.live(moment, &store, &mut seen);
        damages.extend(lived.as_ref().err().map(trouble));
        let told = lived.unwrap_or_default();
        self.wait_for_server()?;
        let found = self.runtime.block_on(store.look());
        match found {
            Ok(found) => {
                let look = match moment {
                    Moment::Telling => Look::Witnessed,
                    _ => Look::Unwitnessed,
                };
                damages.extend(self.ledger.check(&found, look));
                let copies = self.look_at_copies(&store, &told, &found, &mut seen)?;
                damages.extend(copies);
                self.facts = found.facts.len();
            }
            Err(error) => damages.push(trouble(&error)),
        }
        seen.kills = moment.kills().into();
        self.enter(report, Some(moment), seen, &damages);
        Ok(moment.kills())
    }

    fn choose(&mut self) -> Moment {
        self.life += 1;
        Moment::choose(self.database.is_some(), self.life - 1, &mut self.random)
    }

    fn birth<'b>(&self, store: &'b Store) -> Birth<'b> {
        Birth {
            store,
            seed: self.course.seed,
            life: self.life,
            witness: false,
            backups: false,
            finish: false,
            bug: self.course.bug,
        }
    }

    /// Starts a worker and kills it at the moment.
    fn live(&mut self, moment: Moment, store: &Store, seen: &mut Seen) -> Result<Told> {
        let mut birth = self.birth(store);
        birth.backups = moment == Moment::Backup;
        birth.witness = moment == Moment::Telling;
        let server = self.course.server;
        let random = &mut self.random;
        let mut life = Life::begin(&birth, &mut self.ledger)?;
        if moment == Moment::Opening {
            life.until("opening", |word| *word == Word::Opening)?;
            life.during(random.before(OPENING));
        } else {
            life.until("writing", |word| *word == Word::Ready)?;
            life.during(random.before(LOAD));
        }
        match (moment, server) {
            (Moment::Backup, _) => {
                life.until("a backup", |word| matches!(word, Word::Backing(_)))?;
                life.during(random.before(LOAD));
            }
            (Moment::Telling, _) => {
                life.until("events", |word| matches!(word, Word::Heard(_)))?;
                life.during(random.before(LONGER));
            }
            (Moment::Standby, _) => life.during(random.before(LONGER)),
            (Moment::Server, Some(server)) => {
                server.kill();
                server.restart()?;
                life.until("writing again", |word| matches!(word, Word::Done(..)))?;
                life.during(random.before(LONGER));
            }
            (Moment::Both, Some(server)) => {
                server.kill();
                life.during(random.before(LOAD));
            }
            _ => {}
        }
        life.kill()?;
        seen.unsure = life.unsure;
        let told = Told {
            backups: std::mem::take(&mut life.backups),
            backed: life.backed.iter().copied().collect(),
            followed: life.followed,
        };
        drop(life);
        if let (Moment::Both, Some(server)) = (moment, server) {
            server.restart()?;
        }
        Ok(told)
    }

    /// A server goes on with what it was asked for, also when nobody waits for it any more.
    #[expect(clippy::disallowed_methods, reason = "another program has to end")]
    fn wait_for_server(&self) -> Result<()> {
        let Some(database) = &self.database else {
            return Ok(());
        };
        let end = Instant::now() + PATIENCE;
        let others = "SELECT count(*) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        while database.sql(others) != "0" {
            ensure!(Instant::now() < end, "a killed kernel is still connected");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Compares standby and backups with what is there.
    fn look_at_copies(
        &self,
        store: &Store,
        told: &Told,
        found: &Found,
        seen: &mut Seen,
    ) -> Result<Vec<Damage>> {
        let mut damages = Vec::new();
        let mut lacks = |what: String| damages.push(Damage::new(Kind::Copy, what));
        let mut copies = Vec::new();
        if store.standby {
            match self.runtime.block_on(store.look_at_standby()) {
                Ok(Some(standby)) if standby.last_version >= told.followed => {
                    copies.push(("the standby".to_owned(), standby));
                }
                Ok(None) if told.followed == 0 => {}
                Ok(_) => lacks(format!("the standby is not at {}", told.followed)),
                Err(error) => lacks(format!("{error:#}")),
            }
        }
        for number in &told.backups {
            match self.runtime.block_on(store.take_backup(*number)) {
                Ok(Some(backup)) => copies.push((format!("backup {number}"), backup)),
                Ok(None) if !told.backed.contains(number) => {}
                Ok(None) => lacks(format!("backup {number} is gone")),
                Err(error) => lacks(format!("backup {number}: {error:#}")),
            }
        }
        seen.copies = copies.len() as u64;
        let checked = copies
            .iter()
            .flat_map(|(name, it)| copy::check(name, it, found));
        damages.extend(checked);
        Ok(damages)
    }

    /// A last life, which finishes everything and ends well.
    fn finish(&mut self, report: &mut Report) -> Result<()> {
        self.life += 1;
        let store = self.store(false);
        let mut birth = self.birth(&store);
        birth.finish = true;
        let mut damages = Vec::new();
        let mut life = Life::begin(&birth, &mut self.ledger)?;
        let drained = life.until("its end", |word| *word == Word::Drained);
        let ended = drained.and_then(|()| life.end());
        damages.extend(ended.err().as_ref().map(trouble));
        let found = self.runtime.block_on(store.look())?;
        damages.extend(self.ledger.check(&found, Look::End));
        self.facts = found.facts.len();
        self.enter(report, None, Seen::default(), &damages);
        if let (false, Some(bug)) = (report.is_clean(), self.course.bug) {
            eprintln!("the bug `{}` was seen", bug.name());
        }
        Ok(())
    }

    fn enter(
        &mut self,
        report: &mut Report,
        moment: Option<Moment>,
        mut seen: Seen,
        damages: &[Damage],
    ) {
        let now = (self.ledger.acknowledged(), self.ledger.heard(), self.facts);
        seen.acknowledged = now.0 - self.before.0;
        seen.events = now.1 - self.before.1;
        seen.facts = now.2.saturating_sub(self.before.2) as u64;
        self.before = now;
        seen.damaged(damages);
        report.add(self.course.name(), moment, &seen);
        let (name, life) = (self.course.name(), self.life);
        for damage in damages.iter().take(TOLD) {
            let moment = moment.map_or("end".to_owned(), |moment| moment.to_string());
            eprintln!("{name}, life {life}, {moment}: {damage}");
        }
        if damages.len() > TOLD {
            eprintln!("{name}, life {life}: and {} more", damages.len() - TOLD);
        }
    }
}

impl std::fmt::Display for Era<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (acknowledged, heard) = (self.ledger.acknowledged(), self.ledger.heard());
        let facts = self.facts;
        write!(
            f,
            "{acknowledged} writes acknowledged, {facts} facts, {heard} events on this database"
        )
    }
}

/// What a life told of copies.
#[derive(Debug, Default)]
struct Told {
    backups: Vec<u32>,
    backed: BTreeSet<u32>,
    followed: u64,
}
