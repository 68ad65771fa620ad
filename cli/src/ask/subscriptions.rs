//! Subscriptions and what became of their events, as people read it.

use serde::Deserialize;

use crate::show;

/// A subscription, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Subscription {
    plugin: String,
    pattern: String,
    policy: String,
    capacity: usize,
    concurrency: u32,
    matched: u64,
    delivered: u64,
    dropped: u64,
    queued: usize,
    waiting: usize,
    retried: u64,
    dead: u64,
}

/// One line for each.
pub(super) fn all(subscriptions: &[Subscription], width: Option<usize>) -> String {
    let rows: Vec<[String; 11]> = subscriptions.iter().map(row).collect();
    let heading = [
        "PLUGIN",
        "PATTERN",
        "WHEN FULL",
        "AT ONCE",
        "QUEUED",
        "WAITING",
        "MATCHED",
        "DELIVERED",
        "DROPPED",
        "RETRIED",
        "DEAD",
    ];
    match rows.len() {
        0 => "no subscriptions".to_owned(),
        _ => show::table(heading, &rows, width),
    }
}

fn row(it: &Subscription) -> [String; 11] {
    [
        it.plugin.clone(),
        it.pattern.clone(),
        it.policy.clone(),
        it.concurrency.to_string(),
        format!("{}/{}", it.queued, it.capacity),
        it.waiting.to_string(),
        it.matched.to_string(),
        it.delivered.to_string(),
        it.dropped.to_string(),
        it.retried.to_string(),
        it.dead.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_has_its_column() {
        let answer = r#"[{"plugin":"lamp","pattern":"sun.*","declared":true,
            "policy":"drop-oldest","capacity":1024,"concurrency":2,"matched":90,"delivered":70,
            "dropped":9,"queued":8,"waiting":3,"retried":4,"dead":5}]"#;
        let answer: Vec<Subscription> = serde_json::from_str(answer).expect("an answer");
        assert_eq!(
            all(&answer, None),
            "\
PLUGIN  PATTERN  WHEN FULL    AT ONCE  QUEUED  WAITING  MATCHED  DELIVERED  DROPPED  RETRIED  DEAD
lamp    sun.*    drop-oldest  2        8/1024  3        90       70         9        4        5"
        );
        assert_eq!(all(&[], None), "no subscriptions");
    }
}
