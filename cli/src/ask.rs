//! The commands that ask a running kernel. How its answers look is the job of `answers`.

mod answers;
mod input;
mod why;

use hyper::Method;
use tokio::runtime;

use crate::answer::{Answer, ErrorBody};
use crate::args::{Call, Command, Tail};
use crate::client::{Ask, Client};
use crate::event_line::EventLine;
use crate::failure::Failure;
use crate::meeting::Meeting;
use crate::run::ThreadError;
use crate::server::{CORRELATION_ID, DEADLINE, IDEMPOTENCY_KEY, RESTORE_SAVED};
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

fn refused(answer: &Answer) -> Option<ErrorBody> {
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
        Command::Publish(typed) => Ok(Ask {
            body: input::read(&typed.data, &format!("octa publish {}", typed.topic))?,
            ..Ask::post(&["publish", &typed.topic])
        }),
        Command::Reload(typed) => Ok(replace(&typed.name, "reload", typed.plan)),
        Command::Rollback(typed) => {
            let query = typed.restore_saved.then_some(RESTORE_SAVED);
            Ok(replace(&typed.name, "rollback", typed.plan).query(query))
        }
        Command::List
        | Command::Run(_)
        | Command::Dev(_)
        | Command::Inspect(_)
        | Command::New(_) => Ok(Ask::get(&["plugins"])),
    }
}

/// A replacement, or what it would do: the same path, asked for instead of acted on.
fn replace(name: &str, action: &str, plan: bool) -> Ask {
    let act = Ask::post(&["plugins", name, action]);
    let method = if plan { Method::GET } else { Method::POST };
    Ask { method, ..act }
}

fn headers(typed: &Call) -> Vec<(&'static str, String)> {
    let headers = [
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
