//! An independent tally: what publishers say they sent, against what consumers say they got, with
//! subscriptions that come and go. The bus's own counters are only looked at in the end.
//!
//! `OCTA_TALLY=10000000 cargo test --release -p octa-kernel tally` counts that many deliveries.

use std::collections::HashMap;

use tokio::task::JoinSet;

use super::*;

/// How many deliveries at least, without being told.
const DELIVERIES: u64 = 200_000;
const PUBLISHERS: u64 = 4;
const STEADY: u64 = 4;
const VISITORS: u64 = 3;

fn deliveries() -> u64 {
    let told = option_env!("OCTA_TALLY").map(|told| told.parse().expect("a number"));
    told.unwrap_or(DELIVERIES)
}

/// The number within its topic that an event carries: what its publisher counts.
fn number(event: &Event) -> u64 {
    event.payload.parse().expect("a number")
}

/// What one consumer saw of each topic: the first number, the last, and how many.
type Seen = HashMap<Arc<str>, (u64, u64, u64)>;

/// Takes note of an event: numbers of a topic follow each other without a gap.
fn note(seen: &mut Seen, event: &Event) {
    let number = number(event);
    let (_, last, count) =
        seen.entry(Arc::clone(&event.topic))
            .or_insert((number, number.wrapping_sub(1), 0));
    assert_eq!(number, last.wrapping_add(1), "`{}`", event.topic);
    (*last, *count) = (number, *count + 1);
}

async fn consume(mut subscription: Subscription, most: u64) -> Seen {
    let (mut seen, mut batch, mut count) = (Seen::new(), Vec::new(), 0);
    while count < most && subscription.recv_batch(&mut batch, 32).await > 0 {
        count += batch.len() as u64;
        batch.drain(..).for_each(|event| note(&mut seen, &event));
    }
    let counters = subscription.counters();
    assert_eq!(counters.delivered, count);
    seen
}

/// Every event is retained, so that visitors begin with the last one, wherever that is.
async fn publish_numbers(publisher: Publisher, topic: String, events: u64) {
    for number in 0..events {
        let draft = Draft {
            topic: &topic,
            payload: Payload::json(&number).expect("JSON"),
            content_type: JSON,
            correlation: 0,
        };
        publisher.retain(draft).expect("there is room").await;
    }
}

/// Comes and goes until told otherwise; answers how many events it got in all.
async fn visit(bus: Bus, mut open: tokio::sync::watch::Receiver<bool>, visitor: u64) -> u64 {
    let mut total = 0;
    let mut most = 1 + visitor;
    while *open.borrow_and_update() {
        let capacity = (most % 7) as usize + 1;
        let subscription = subscribe(&bus, "tally.*", capacity, Overflow::BackPressure);
        let seen = consume(subscription, most).await;
        total += seen.values().map(|(_, _, count)| count).sum::<u64>();
        most = (most * 5 + visitor) % 997 + 1;
        tokio::task::yield_now().await;
    }
    total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_sent_is_what_arrives() {
    let events = deliveries() / PUBLISHERS / STEADY;
    let bus = bus();
    let mut steady = JoinSet::new();
    for capacity in 1..=STEADY {
        let capacity = capacity as usize * 16;
        let subscription = subscribe(&bus, "tally.*", capacity, Overflow::BackPressure);
        steady.spawn(consume(subscription, u64::MAX));
    }
    let (close, open) = tokio::sync::watch::channel(true);
    let mut visitors = JoinSet::new();
    for visitor in 0..VISITORS {
        visitors.spawn(visit(bus.clone(), open.clone(), visitor));
    }
    let mut publishers = JoinSet::new();
    for index in 0..PUBLISHERS {
        let publisher = bus.publisher(&format!("p{index}"));
        publishers.spawn(publish_numbers(publisher, format!("tally.{index}"), events));
    }
    publishers.join_all().await;
    close.send_replace(false);
    bus.close();
    let mut total = 0;
    for seen in steady.join_all().await {
        assert_eq!(seen.len() as u64, PUBLISHERS);
        for (topic, found) in seen {
            assert_eq!(found, (0, events - 1, events), "`{topic}`");
            total += found.2;
        }
    }
    assert_eq!(total, events * PUBLISHERS * STEADY);
    let visited: u64 = visitors.join_all().await.into_iter().sum();
    assert!(visited > 0, "nobody came");
    assert!(bus.subscriptions().is_empty());
}
