//! The commands that ask a running kernel. How its answers look is the job of `answers`.

mod answers;
pub(crate) mod input;
mod letters;
mod services;
mod settings;
mod subscriptions;
mod why;

use hyper::Method;
use tokio::runtime;

pub(crate) use answers::Strange;

use crate::answer::{Answer, ErrorBody};
use crate::args::{self, Call, Command, Letters, Publish, Tail};
use crate::client::{Ask, Client};
use crate::event_line::EventLine;
use crate::failure::Failure;
use crate::meeting::Meeting;
use crate::run::ThreadError;
use crate::server::{
    CORRELATION_ID, DEADLINE, FOR, IDEMPOTENCY_KEY, NO_RETRIES, RESTORE_SAVED, RETAIN, ROUTING_KEY,
    TRUE,
};
use crate::world::World;
use crate::{duration, output, show};

/// Asks the kernel that is meant, and shows its answer.
pub(crate) fn ask(
    command: &Command,
    kernel: Option<&str>,
    json: bool,
    world: &World,
) -> Result<(), Failure> {
    // The input is read first: with a wrong one, no kernel is of any use.
    let question = question(command)?;
    let meeting = Meeting::of(world);
    let record = meeting.find(kernel)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ThreadError::from)?.block_on(async {
        let mut client = Client::connect(&meeting, record).await?;
        if let Command::Tail(typed) = command {
            return tail(&mut client, question, typed, json).await;
        }
        let answer = client.ask(question).await?;
        let refused = refused(&answer);
        if json {
            output::print(&answer.to_line())?;
        } else if let Some(error) = refused {
            return Err(error.into());
        } else {
            answers::show(command, &answer.data)?;
        }
        let refused = refused.map(|error| error.kind);
        let obstacle = refused.or_else(|| answers::obstacle(command, &answer.data));
        obstacle.map_or(Ok(()), |kind| Err(Failure::told(&kind)))
    })
}

/// The error of an answer that has no data.
pub(crate) fn refused(answer: &Answer) -> Option<ErrorBody> {
    let error = answer.error.clone();
    error.filter(|_| !answer.ok)
}

/// What a command asks of the kernel.
fn question(command: &Command) -> Result<Ask, Failure> {
    let act = |name: &str, action| Ok(Ask::post(&["plugins", name, action]));
    match command {
        Command::Capabilities => Ok(Ask::get(&["capabilities"])),
        Command::Load(plugin) => act(&plugin.name, "load"),
        Command::Start(plugin) => act(&plugin.name, "start"),
        Command::Stop(plugin) => act(&plugin.name, "stop"),
        Command::Unload(plugin) => act(&plugin.name, "unload"),
        Command::Why(typed) => Ok(Ask::get(&["plugins", &typed.name, "why"])),
        Command::Tail(typed) => Ok(Ask::get(&["tail", &typed.pattern])),
        Command::Call(typed) => Ok(Ask {
            headers: headers(typed),
            body: input::read(&typed.input, &format!("octa call {}", typed.capability))?,
            ..Ask::post(&["call", &typed.capability])
        }),
        Command::Publish(typed) => publish(typed),
        Command::Services(typed) => Ok(services(typed)),
        Command::Subscriptions(typed) => {
            let plugin = typed.plugin.as_deref();
            let path: Vec<&str> = ["subscriptions"].into_iter().chain(plugin).collect();
            Ok(Ask::get(&path))
        }
        Command::DeadLetters(typed) => Ok(dead_letters(&typed.action)),
        Command::Reload(typed) => Ok(replace(&typed.name, "reload", typed.plan)),
        Command::Rollback(typed) => {
            let query = typed.restore_saved.then_some(RESTORE_SAVED);
            Ok(replace(&typed.name, "rollback", typed.plan).query(query))
        }
        Command::List
        | Command::Run(_)
        | Command::Dev(_)
        | Command::Inspect(_)
        | Command::Storage(_)
        | Command::New(_) => Ok(Ask::get(&["plugins"])),
    }
}

/// A replacement, or what it would do: the same path, asked for instead of acted on.
fn replace(name: &str, action: &str, plan: bool) -> Ask {
    let act = Ask::post(&["plugins", name, action]);
    let method = if plan { Method::GET } else { Method::POST };
    Ask { method, ..act }
}

fn publish(typed: &Publish) -> Result<Ask, Failure> {
    if typed.clear {
        return Ok(Ask::post(&["clear", &typed.topic]));
    }
    let retain = typed.retain.then(|| (RETAIN, TRUE.to_owned()));
    Ok(Ask {
        headers: retain.into_iter().collect(),
        body: input::read(&typed.data, &format!("octa publish {}", typed.topic))?,
        ..Ask::post(&["publish", &typed.topic])
    })
}

/// What is measured first takes as long as was typed.
fn services(typed: &args::Services) -> Ask {
    let name = typed.name.as_deref();
    let path: Vec<&str> = ["services"].into_iter().chain(name).collect();
    let query = typed
        .time
        .map(|time| format!("{FOR}={}", duration::write(time)));
    Ask {
        is_patient: query.is_some(),
        ..Ask::get(&path).query(query.as_deref())
    }
}

fn dead_letters(action: &Letters) -> Ask {
    let of = |id: u64, action: &str| Ask::post(&["dead-letters", &id.to_string(), action]);
    match action {
        Letters::List => Ask::get(&["dead-letters"]),
        Letters::Show(letter) => Ask::get(&["dead-letters", &letter.id.to_string()]),
        Letters::Replay(typed) => match typed.id {
            Some(id) => of(id, "replay"),
            None => Ask::post(&["dead-letters", "replay"]),
        },
        Letters::Forget(letter) => of(letter.id, "forget"),
    }
}

fn headers(typed: &Call) -> Vec<(&'static str, String)> {
    let headers = [
        (ROUTING_KEY, typed.routing_key.clone()),
        (NO_RETRIES, typed.no_retries.then(|| TRUE.to_owned())),
        (DEADLINE, typed.deadline.map(duration::write)),
        (IDEMPOTENCY_KEY, typed.idempotency_key.clone()),
        (CORRELATION_ID, typed.correlation_id.clone()),
    ];
    let given = headers.into_iter();
    given
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Prints events until there were enough, or the kernel stops.
async fn tail(client: &mut Client, question: Ask, typed: &Tail, json: bool) -> Result<(), Failure> {
    let mut lines = match client.lines(question).await? {
        Ok(lines) => lines,
        Err(answer) if json => {
            output::print(&answer.to_line())?;
            let kind = refused(&answer).unwrap_or_default().kind;
            return Err(Failure::told(&kind));
        }
        Err(answer) => return Err(refused(&answer).unwrap_or_default().into()),
    };
    let mut left = typed.count.unwrap_or(u64::MAX);
    while left > 0
        && let Some(line) = lines.next().await?
    {
        left -= 1;
        match serde_json::from_str::<EventLine>(&line) {
            Ok(event) if !json => output::print(&show::fit(&event.to_text(), output::width()))?,
            // A newer kernel may tell more than is known here.
            _ => output::print(&line)?,
        }
    }
    Ok(())
}
