//! Each kind of damage is seen, and what is allowed is none.

use super::*;
use crate::found::{Fact, Written};
use crate::layout;

fn id(life: u32, serial: u32) -> Id {
    Id {
        life,
        writer: 1,
        serial,
    }
}

/// A ledger that was told these words.
fn told(words: &[Word]) -> Ledger {
    let mut ledger = Ledger::default();
    words.iter().for_each(|word| ledger.hear(word));
    ledger
}

fn found(last_version: u64) -> Found {
    Found {
        last_version,
        ..Found::default()
    }
}

impl Found {
    fn value(mut self, key: &str, by: Id, version: u64) -> Self {
        let written = Written {
            by,
            version,
            sum: version,
        };
        self.values.insert(key.to_owned(), written);
        self
    }

    fn listed(mut self, version: u64, id: Id) -> Self {
        self.listed.push((version, id));
        self
    }

    fn fact(mut self, position: u64, id: Id) -> Self {
        self.facts.push(Fact {
            position,
            id,
            is_whole: true,
        });
        self
    }

    fn waiting(mut self, id: Id) -> Self {
        self.outbox.insert(id);
        self
    }

    fn cursor(mut self, cursor: u64) -> Self {
        self.cursor = cursor;
        self
    }
}

/// Compares the kinds of damage that are seen with those expected.
fn check(ledger: &mut Ledger, found: &Found, expect: &[Kind]) {
    check_at(ledger, found, Look::Witnessed, expect);
}

fn check_at(ledger: &mut Ledger, found: &Found, look: Look, expect: &[Kind]) {
    let damages = ledger.check(found, look);
    let kinds: Vec<_> = damages.iter().map(|damage| damage.kind).collect();
    assert_eq!(kinds, expect, "{damages:?}");
}

/// Two writes of one key: the first acknowledged, the second begun.
fn two_sets() -> [Word; 3] {
    [
        Word::Intend(id(1, 1), Deed::Set(0)),
        Word::Done(id(1, 1), 5),
        Word::Intend(id(1, 2), Deed::Set(0)),
    ]
}

#[test]
fn of_a_key_the_last_acknowledged_write_is_there_or_one_begun_behind_it() {
    let key = layout::slot(1, 0);
    let words = two_sets();
    check(&mut told(&words), &found(5).value(&key, id(1, 1), 5), &[]);
    check(&mut told(&words), &found(6).value(&key, id(1, 2), 6), &[]);
    check(&mut told(&words), &found(5), &[Kind::Lost]);
    let unknown = found(6).value(&key, id(1, 9), 6);
    check(&mut told(&words), &unknown, &[Kind::Unintended]);
    let moved = found(6).value(&key, id(1, 1), 6);
    check(&mut told(&words), &moved, &[Kind::Backward]);
    check(
        &mut told(&words),
        &found(4).value(&key, id(1, 1), 5),
        &[Kind::Backward],
    );

    let mut both = two_sets().to_vec();
    both.push(Word::Done(id(1, 2), 6));
    let old = found(6).value(&key, id(1, 1), 5);
    check(&mut told(&both), &old, &[Kind::Lost]);
}

#[test]
fn what_was_not_there_after_a_crash_does_not_come_later() {
    let key = layout::slot(1, 0);
    let mut ledger = told(&two_sets());
    check(&mut ledger, &found(5).value(&key, id(1, 1), 5), &[]);
    let late = found(6).value(&key, id(1, 2), 6);
    check(&mut ledger, &late, &[Kind::Lost]);
}

#[test]
fn what_was_deleted_stays_away() {
    let key = layout::slot(1, 0);
    let mut words = two_sets().to_vec();
    words.push(Word::Done(id(1, 2), 6));
    words.push(Word::Intend(id(1, 3), Deed::Delete(0)));
    check(&mut told(&words), &found(7), &[]);
    check(&mut told(&words), &found(7).value(&key, id(1, 2), 6), &[]);
    words.push(Word::Done(id(1, 3), 7));
    check(&mut told(&words), &found(7), &[]);
    let back = found(7).value(&key, id(1, 2), 6);
    check(&mut told(&words), &back, &[Kind::Lost]);
}

#[test]
fn a_batch_is_there_whole() {
    let words = [Word::Intend(id(1, 1), Deed::Batch)];
    let some = |count| {
        let keys = (0..count).map(|number| layout::member(1, number).1);
        keys.fold(found(9), |found, key| found.value(&key, id(1, 1), 4))
    };
    check(&mut told(&words), &some(0), &[]);
    check(&mut told(&words), &some(layout::TOGETHER), &[]);
    check(&mut told(&words), &some(2), &[Kind::Half]);
}

#[test]
fn a_counter_counts_what_was_acknowledged_and_at_most_what_was_intended() {
    let words = [
        Word::Intend(id(1, 1), Deed::Add(0)),
        Word::Done(id(1, 1), 3),
        Word::Intend(id(1, 2), Deed::Add(0)),
        Word::Refused(id(1, 2)),
        Word::Intend(id(1, 3), Deed::Add(0)),
    ];
    // The sum of a value here is its version.
    let sum = |sum| found(9).value(&layout::counter(0), id(1, 1), sum);
    check(&mut told(&words), &sum(0), &[Kind::Lost]);
    check(&mut told(&words), &sum(1), &[]);
    check(&mut told(&words), &sum(2), &[]);
    check(&mut told(&words), &sum(3), &[Kind::Unintended]);
}

#[test]
fn a_list_has_what_was_appended_once_and_in_order() {
    let words = [
        Word::Intend(id(1, 1), Deed::Append),
        Word::Done(id(1, 1), 3),
        Word::Intend(id(1, 2), Deed::Append),
    ];
    let first = || found(9).listed(3, id(1, 1));
    check(&mut told(&words), &first(), &[]);
    check(&mut told(&words), &first().listed(4, id(1, 2)), &[]);
    check(&mut told(&words), &found(9), &[Kind::Lost]);
    let twice = first().listed(4, id(1, 2)).listed(5, id(1, 2));
    check(&mut told(&words), &twice, &[Kind::Doubled]);
    let turned = found(9).listed(2, id(1, 2)).listed(3, id(1, 1));
    check(&mut told(&words), &turned, &[Kind::Backward]);
    let strange = first().listed(4, id(1, 7));
    check(&mut told(&words), &strange, &[Kind::Unintended]);
}

/// A fact that was acknowledged, and whose event was heard.
fn fact() -> Vec<Word> {
    vec![
        Word::Intend(id(1, 1), Deed::Fact),
        Word::Done(id(1, 1), 3),
        Word::Heard(id(1, 1)),
    ]
}

#[test]
fn a_fact_is_there_once_and_whole() {
    let words = fact();
    check(&mut told(&words), &found(9).fact(3, id(1, 1)), &[]);
    check(&mut told(&words), &found(9), &[Kind::Lost, Kind::Early]);
    let twice = found(9).fact(3, id(1, 1)).fact(4, id(1, 1));
    check(&mut told(&words), &twice, &[Kind::Doubled, Kind::Doubled]);
    let mut half = found(9).fact(3, id(1, 1));
    half.facts[0].is_whole = false;
    check(&mut told(&words), &half, &[Kind::Half]);
    let mut elsewhere = fact();
    elsewhere.push(Word::Done(id(1, 1), 4));
    let moved = found(9).fact(4, id(1, 1));
    check(&mut told(&elsewhere), &moved, &[Kind::Doubled]);
}

#[test]
fn an_unfinished_fact_is_recorded_again() {
    let mut ledger = told(&[Word::Intend(id(1, 1), Deed::Fact)]);
    check(&mut ledger, &found(9), &[]);
    assert_eq!(ledger.unfinished(), [(id(1, 1), Deed::Fact)]);
    ledger.hear(&Word::Intend(id(1, 1), Deed::Fact));
    ledger.hear(&Word::Done(id(1, 1), 12));
    let there = found(12).fact(12, id(1, 1)).waiting(id(1, 1));
    check(&mut ledger, &there, &[]);
    assert_eq!(ledger.unfinished(), []);
}

#[test]
fn the_event_of_a_fact_comes_behind_it_and_sometime() {
    let words = &fact()[..2];
    let there = || found(9).fact(3, id(1, 1));
    check(&mut told(words), &there(), &[Kind::Silent]);
    check(&mut told(words), &there().waiting(id(1, 1)), &[]);
    check_at(
        &mut told(words),
        &there().waiting(id(1, 1)),
        Look::End,
        &[Kind::Silent, Kind::Skipped],
    );
    let mut unwitnessed = told(words);
    check_at(&mut unwitnessed, &there(), Look::Unwitnessed, &[]);
    let mut forgotten = told(words);
    check(&mut forgotten, &there().waiting(id(1, 1)), &[]);
    check_at(&mut forgotten, &there(), Look::Unwitnessed, &[Kind::Silent]);
    let begun = [Word::Intend(id(1, 1), Deed::Fact), Word::Heard(id(1, 1))];
    check(&mut told(&begun), &found(9), &[Kind::Early]);
    check(
        &mut told(&begun[..1]),
        &found(9).waiting(id(1, 1)),
        &[Kind::Half],
    );
    let seen = [fact(), vec![Word::Early(id(1, 1))]].concat();
    check(&mut told(&seen), &there(), &[Kind::Early]);
}

#[test]
fn a_consumer_leaves_nothing_out_and_goes_on_from_its_cursor() {
    let facts = (1..4).flat_map(|serial| {
        [
            Word::Intend(id(1, serial), Deed::Fact),
            Word::Done(id(1, serial), u64::from(serial)),
            Word::Heard(id(1, serial)),
        ]
    });
    let facts: Vec<_> = facts.collect();
    let there = || (1..4).fold(found(9), |it, n| it.fact(u64::from(n), id(1, n)));
    let after = |words: &[Word]| told(&[facts.as_slice(), words].concat());
    let took = |serial: u32| Word::Took(serial.into(), id(1, serial));

    let mut ledger = after(&[took(1), Word::Kept(1), took(2)]);
    check(&mut ledger, &there().cursor(1), &[]);
    // It was not kept that the second was taken.
    ledger.hear(&took(2));
    ledger.hear(&took(3));
    check_at(&mut ledger, &there().cursor(2), Look::End, &[]);

    check(&mut after(&[took(1), took(3)]), &there(), &[Kind::Skipped]);
    check(&mut after(&[took(1)]), &there().cursor(2), &[Kind::Skipped]);
    let kept = [took(1), Word::Kept(1)];
    check(&mut after(&kept), &there(), &[Kind::Lost]);
    check_at(
        &mut after(&[took(1)]),
        &there().cursor(1),
        Look::End,
        &[Kind::Skipped],
    );
}

#[test]
fn versions_are_given_once() {
    let words = [
        Word::Intend(id(1, 1), Deed::Append),
        Word::Done(id(1, 1), 3),
        Word::Intend(id(1, 2), Deed::Set(0)),
        Word::Done(id(1, 2), 3),
    ];
    let there = found(9)
        .listed(3, id(1, 1))
        .value(&layout::slot(1, 0), id(1, 2), 3);
    check(&mut told(&words), &there, &[Kind::Backward]);
}
