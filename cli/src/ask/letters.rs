//! Dead letters as people read them.

use std::time::Duration;

use serde::Deserialize;

use super::answers::Strange;
use crate::answer::ErrorBody;
use crate::args::Letters;
use crate::event_line::EventLine;
use crate::show;

/// A dead letter, with as much of its event as was asked for.
#[derive(Debug, Deserialize)]
struct Letter<E> {
    id: u64,
    time: u64,
    plugin: String,
    subscription: String,
    cause: String,
    kind: String,
    attempts: u32,
    event: E,
}

/// An event without what it says.
#[derive(Debug, Deserialize)]
struct Shell {
    topic: String,
}

/// What came of replaying all.
#[derive(Debug, Deserialize)]
pub(super) struct Replayed {
    replayed: Vec<u64>,
    left: Vec<Left>,
}

/// One that stays, and why.
#[derive(Debug, Deserialize)]
struct Left {
    id: u64,
    error: ErrorBody,
}

/// What an answer says.
pub(super) fn text(
    action: &Letters,
    data: &str,
    now: Duration,
    width: Option<usize>,
) -> Result<String, Strange> {
    Ok(match action {
        Letters::List => list(&serde_json::from_str::<Vec<_>>(data)?, now, width),
        Letters::Show(_) => serde_json::from_str::<Letter<EventLine>>(data)?.to_text(now),
        Letters::Replay(typed) if typed.all => serde_json::from_str::<Replayed>(data)?.to_text(),
        Letters::Replay(_) => {
            let letter: Letter<Shell> = serde_json::from_str(data)?;
            let (id, plugin) = (letter.id, letter.plugin);
            format!("`{plugin}` is given the event of dead letter {id} again")
        }
        Letters::Forget(_) => {
            let letter: Letter<Shell> = serde_json::from_str(data)?;
            format!("dead letter {} is forgotten", letter.id)
        }
    })
}

fn list(letters: &[Letter<Shell>], now: Duration, width: Option<usize>) -> String {
    let row = |letter: &Letter<Shell>| {
        [
            letter.id.to_string(),
            age(letter.time, now),
            letter.plugin.clone(),
            letter.event.topic.clone(),
            letter.attempts.to_string(),
            letter.cause.clone(),
        ]
    };
    let rows: Vec<[String; 6]> = letters.iter().map(row).collect();
    match rows.len() {
        0 => "no dead letters".to_owned(),
        _ => {
            let heading = ["ID", "AGE", "PLUGIN", "TOPIC", "TRIED", "CAUSE"];
            show::table(heading, &rows, width)
        }
    }
}

fn age(time: u64, now: Duration) -> String {
    show::age(now.saturating_sub(Duration::from_nanos(time)))
}

impl Letter<EventLine> {
    fn to_text(&self, now: Duration) -> String {
        let Self {
            id,
            plugin,
            subscription,
            event,
            ..
        } = self;
        let tried = show::count(self.attempts as usize, "attempt");
        let lines = [
            format!("dead letter {id} of `{plugin}`, subscribed to `{subscription}`"),
            format!("given up {} ago after {tried}", age(self.time, now)),
            format!("{}: {}", self.kind, self.cause),
            format!("event {} by `{}`:", event.id, event.source),
            event.to_text(),
        ];
        let lines = lines.iter().map(|line| show::one_line(line));
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Replayed {
    fn to_text(&self) -> String {
        let mut text = match self.replayed.len() {
            0 if self.left.is_empty() => "no dead letters".to_owned(),
            number => format!("replayed {}", show::count(number, "dead letter")),
        };
        for Left { id, error } in &self.left {
            text.push_str(&format!("\n{id} stays: {}", show::one_line(&error.message)));
            if let Some(hint) = &error.hint {
                text.push_str(&format!("\n  hint: {}", show::one_line(hint)));
            }
        }
        text
    }

    /// The kind of what kept the first that stays.
    pub(super) fn obstacle(&self) -> Option<String> {
        self.left.first().map(|left| left.error.kind.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    const NOW: Duration = Duration::from_secs(90);

    #[test]
    fn letters_are_listed_with_their_causes() {
        let answer = r#"[{"id":7,"time":60000000000,"plugin":"lamp","subscription":"sun.*",
            "which":0,"cause":"no\nbulb","kind":"failed","attempts":3,
            "event":{"id":12,"topic":"sun.set","source":"sun","time":1,"bytes":3}}]"#;
        assert_eq!(
            text(&Letters::List, answer, NOW, None).expect("an answer"),
            "ID  AGE  PLUGIN  TOPIC    TRIED  CAUSE\n7   30s  lamp    sun.set  3      no bulb"
        );
        let none = text(&Letters::List, "[]", NOW, None).expect("an answer");
        assert_eq!(none, "no dead letters");
    }

    #[test]
    fn one_is_shown_with_its_event() {
        let answer = r#"{"id":7,"time":60000000000,"plugin":"lamp","subscription":"sun.*",
            "which":0,"cause":"no bulb","kind":"failed","attempts":1,
            "event":{"id":12,"topic":"sun.set","source":"sun","time":1,"sequence":4,
            "correlation_id":null,"data":{"height":-1}}}"#;
        let letter: Letter<EventLine> = serde_json::from_str(answer).expect("an answer");
        let text = letter.to_text(NOW);
        let (told, event) = text.rsplit_once('\n').expect("lines");
        assert_eq!(
            told,
            "\
dead letter 7 of `lamp`, subscribed to `sun.*`
given up 30s ago after 1 attempt
failed: no bulb
event 12 by `sun`:"
        );
        assert!(event.ends_with(r#" sun.set  {"height":-1}"#), "{event}");
    }

    #[test]
    fn what_stays_is_told_with_what_keeps_it() {
        let action = Letters::Replay(args::Replay {
            id: None,
            all: true,
        });
        let answer = r#"{"replayed":[3,4],"left":[{"id":7,"error":{"kind":"unavailable",
            "message":"plugin `lamp` does not listen","hint":"start it","plugin":null,
            "location":null,"details":null}}]}"#;
        assert_eq!(
            text(&action, answer, NOW, None).expect("an answer"),
            "\
replayed 2 dead letters
7 stays: plugin `lamp` does not listen
  hint: start it"
        );
        let replayed: Replayed = serde_json::from_str(answer).expect("an answer");
        assert_eq!(replayed.obstacle().as_deref(), Some("unavailable"));
        let none = text(&action, r#"{"replayed":[],"left":[]}"#, NOW, None);
        assert_eq!(none.expect("an answer"), "no dead letters");
    }
}
