//! `octa storage`: asks the kernel that runs on a storage, or opens the storage itself where none
//! does.
//!
//! What is answered is the job of `desk`, for the admin socket too; copying that of `copies`.

mod copies;
mod desk;
mod open;
mod place;
mod progress;
mod request;
mod salvage;
mod takeover;
mod texts;

use octa_kernel::storage::{Expect, MAX_PAGE_ENTRIES};
use serde_json::value::RawValue;
use tokio::runtime;

use crate::answer::{Answer, ErrorBody, Meta};
use crate::args::{self, Backup, List, StorageAction};
use crate::ask::{Strange, input, refused};
use crate::client::{Ask, Client};
use crate::failure::Failure;
use crate::output;
use crate::run::ThreadError;
use crate::world::World;
use open::Found;
use progress::Bar;
use texts::Page;

pub(crate) use copies::{BackupAsked, backup};
pub(crate) use desk::Desk;
pub(crate) use request::{EXPECT, FORCE, Request};

/// Who answers.
#[derive(Debug)]
enum Store {
    /// The kernel that has it open.
    Kernel(Client),
    /// This program, which has it open itself.
    Here(Desk),
}

/// Does what was typed.
pub(crate) fn storage(
    typed: &args::Storage,
    kernel: Option<&str>,
    json: bool,
    world: &World,
) -> Result<(), Failure> {
    // The input is read first: with a wrong one, nothing that runs is of any use.
    let request = request(&typed.action)?;
    let find = || open::find(typed, kernel, world);
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ThreadError::from)?;
    let outcome = runtime.block_on(async {
        let answer = match &typed.action {
            StorageAction::Restore(restore) => copies::restore(restore, find()?).await?,
            StorageAction::Migrate(migrate) => copies::migrate(migrate, find, world).await?,
            StorageAction::Salvage(asked) => salvage::salvage(asked, find).await?,
            StorageAction::Takeover => takeover::takeover(find()?.idle()?).await?,
            action => {
                let mut store = Store::of(find()?).await?;
                let answer = match (action, request) {
                    (StorageAction::List(list), _) => store.list(list, json).await?,
                    (StorageAction::Backup(backup), _) => Some(store.backup(backup).await?),
                    (_, Some(request)) => Some(store.ask(&request).await?),
                    (_, None) => None,
                };
                store.close().await;
                match answer {
                    Some(answer) => answer,
                    None => return Ok(()),
                }
            }
        };
        tell(&typed.action, &answer, json)
    });
    runtime.shutdown_background();
    outcome
}

/// Prints an answer, or fails with its error.
fn tell(action: &StorageAction, answer: &Answer, json: bool) -> Result<(), Failure> {
    let refused = refused(answer);
    if json {
        output::print(&answer.to_line())?;
        return refused.map_or(Ok(()), |error| Err(Failure::told(&error.kind)));
    }
    if let Some(error) = refused {
        return Err(error.into());
    }
    let data = answer.data.get();
    let text = match action {
        StorageAction::Get(get) => texts::value(data, get.with_version),
        StorageAction::Set(_) => texts::written(data),
        StorageAction::Delete(_) => texts::deleted(data),
        StorageAction::Stats => texts::stats(data, output::width()),
        StorageAction::Backup(_) => texts::copied(data, "backed up into"),
        StorageAction::Restore(_) => texts::copied(data, "restored"),
        StorageAction::Migrate(_) => texts::copied(data, "copied into"),
        StorageAction::Salvage(_) => salvage::text(data),
        StorageAction::Takeover => takeover::text(data),
        StorageAction::List(_) => return Ok(()),
    };
    Ok(output::print(&text.map_err(Strange::from)?)?)
}

/// What is asked by a command that asks once.
fn request(action: &StorageAction) -> Result<Option<Request>, Failure> {
    Ok(Some(match action {
        StorageAction::Stats => Request::Stats,
        StorageAction::Get(typed) => Request::Get {
            namespace: typed.namespace.clone(),
            key: typed.key.clone(),
        },
        StorageAction::Set(typed) => Request::Set {
            namespace: typed.namespace.clone(),
            key: typed.key.clone(),
            value: input::read(
                &typed.value,
                &format!("octa storage set {} {}", typed.namespace, typed.key),
            )?
            .trim()
            .to_owned(),
            expect: typed.expect.unwrap_or(Expect::Any),
            force: typed.force,
        },
        StorageAction::Delete(typed) => Request::Delete {
            namespace: typed.namespace.clone(),
            key: typed.key.clone(),
            expect: Expect::Any,
            force: typed.force,
        },
        _ => return Ok(None),
    }))
}

impl Store {
    async fn of(found: Found) -> Result<Self, Failure> {
        Ok(match found {
            Found::Running(meeting, record) => {
                Self::Kernel(Client::connect(&meeting, record).await?)
            }
            Found::Idle(configured) => Self::Here(configured.open().await?),
        })
    }

    async fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        Ok(match self {
            Self::Kernel(client) => client.ask(request.ask()).await?,
            Self::Here(desk) => local(desk.answer(request).await),
        })
    }

    /// Prints all pages; answers an error in the place of one.
    async fn list(&mut self, typed: &List, json: bool) -> Result<Option<Answer>, Failure> {
        let mut left = typed.limit.unwrap_or(u64::MAX);
        let mut after = None;
        while left > 0 {
            let limit = usize::try_from(left).unwrap_or(MAX_PAGE_ENTRIES);
            let is_first = after.is_none();
            let request = Request::List {
                namespace: typed.namespace.clone(),
                prefix: typed.prefix.clone(),
                after,
                limit: Some(limit.min(MAX_PAGE_ENTRIES)),
            };
            let answer = self.ask(&request).await?;
            if !answer.ok {
                return Ok(Some(answer));
            }
            let page: Page = serde_json::from_str(answer.data.get()).map_err(Strange::from)?;
            if page.entries.is_empty() && is_first && !json {
                output::say(&texts::none(&typed.namespace, &typed.prefix));
            }
            left -= page.entries.len() as u64;
            print_page(&page.entries, json)?;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(None)
    }

    async fn backup(&mut self, typed: &Backup) -> Result<Answer, Failure> {
        let mut bar = Bar::new();
        let asked = BackupAsked::of(typed);
        let client = match self {
            Self::Kernel(client) => client,
            Self::Here(desk) => {
                let backup = copies::backup(desk, &asked, |progress| bar.show(&progress));
                return Ok(local(copies::unless_interrupted(backup).await?));
            }
        };
        let ask = Ask {
            body: serde_json::to_string(&asked).map_err(Strange::from)?,
            ..Ask::post(&["backup"])
        };
        let mut lines = match client.lines(ask).await? {
            Ok(lines) => lines,
            Err(answer) => return Ok(*answer),
        };
        while let Some(line) = lines.next().await? {
            match serde_json::from_str(&line) {
                Ok(progress) => bar.show(&progress),
                Err(_) => return Ok(serde_json::from_str(&line).map_err(Strange::from)?),
            }
        }
        Err(open::StoppedError.into())
    }

    async fn close(self) {
        if let Self::Here(desk) = self
            && let Err(error) = desk.storage.close().await
        {
            log::warn!("the storage did not close well: {error}");
        }
    }
}

fn print_page(entries: &[Box<RawValue>], json: bool) -> Result<(), Failure> {
    let width = output::width();
    for entry in entries {
        match json {
            true => output::print(entry.get())?,
            false => output::print(&texts::line(entry.get(), width).map_err(Strange::from)?)?,
        }
    }
    Ok(())
}

/// The answer of this program itself.
fn local(result: Result<Box<RawValue>, ErrorBody>) -> Answer {
    match result {
        Ok(data) => Answer::of(data, Meta::local()),
        Err(error) => Answer::failed(error, Meta::local()),
    }
}
