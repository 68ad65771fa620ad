//! What the suite itself is worth: it passes what keeps the contract, and refuses each adapter that breaks it.

mod faulty;
mod forgetful;
mod groups;

use faulty::{Fault, Faulty};
use forgetful::{Disk, Lapse};

use super::super::Memory;
use super::*;

#[test]
fn memory_walks_beside_the_model() {
    for seed in 0..40 {
        run_model(Memory::new, seed, 300);
    }
}

/// What breaks a promise, the check that tells, and whether a random course tells too.
const FAULTS: [(Fault, &str, bool); 38] = [
    (Fault::LosesAWrite, "keeps_values_byte_for_byte", true),
    (
        Fault::KeepsTheBeginningOfARefusedBatch,
        "applies_batches_whole",
        true,
    ),
    (Fault::AppliesBatchesInParts, "applies_batches_whole", true),
    (
        Fault::ReportsOtherVersions,
        "keeps_values_byte_for_byte",
        true,
    ),
    (Fault::IgnoresExpectations, "meets_expectations", true),
    (
        Fault::TakesVersionsWhenRefusing,
        "a_batch_over_its_quota_is_refused_whole",
        true,
    ),
    (Fault::ChangesValues, "keeps_values_byte_for_byte", false),
    (Fault::ReadsWhatWas, "keeps_values_byte_for_byte", true),
    (
        Fault::AppendsInTheOrderOfArrival,
        "an_appended_key_ends_in_its_version",
        true,
    ),
    (Fault::IgnoresQuotas, "a_quota_is_exact", true),
    (
        Fault::CountsOverwritingTwice,
        "overwriting_counts_the_difference",
        true,
    ),
    (
        Fault::ChecksQuotasBeforeItsTurn,
        "many_writers_never_exceed_a_quota",
        false,
    ),
    (
        Fault::TellsTheUsageOfBefore,
        "usage_counts_keys_and_values",
        true,
    ),
    (
        Fault::ListsEmptyNamespaces,
        "usage_lists_what_holds_anything",
        true,
    ),
    (Fault::ListsOutOfOrder, "orders_keys_by_their_bytes", true),
    (
        Fault::ListsWithoutPrefix,
        "orders_keys_by_their_bytes",
        true,
    ),
    (Fault::ListsNoFurther, "orders_keys_by_their_bytes", true),
    (Fault::DropsAChange, "changes_are_told_once_in_order", true),
    (
        Fault::RepeatsAChange,
        "changes_are_told_once_in_order",
        true,
    ),
    (
        Fault::ReordersChanges,
        "changes_are_told_once_in_order",
        true,
    ),
    (
        Fault::TellsRefusedBatches,
        "refused_batches_are_not_told",
        true,
    ),
    (
        Fault::TellsWhatCannotBeRead,
        "what_is_told_can_be_read",
        false,
    ),
    (
        Fault::TellsWhatWasNotAskedFor,
        "a_watcher_is_told_what_it_asked_for",
        true,
    ),
    (
        Fault::CutsPagesSilently,
        "large_batches_are_told_in_pieces",
        false,
    ),
    (Fault::NeverTells, "changes_are_told_once_in_order", false),
    (Fault::WaitsForTheFuture, "who_is_ahead_is_told_so", false),
    (
        Fault::MissesWhatIsWatched,
        "changes_are_told_once_in_order",
        true,
    ),
    (
        Fault::StartsFromTheBeginning,
        "changes_are_told_once_in_order",
        true,
    ),
    (
        Fault::TakesSnapshotsLater,
        "writes_go_on_beside_a_snapshot",
        true,
    ),
    (
        Fault::TakesSnapshotsOutOfOrder,
        "a_snapshot_has_everything_in_order",
        true,
    ),
    (
        Fault::MiscountsSnapshots,
        "an_empty_snapshot_has_nothing",
        true,
    ),
    (
        Fault::ReadsSnapshotsInOnePiece,
        "a_large_snapshot_comes_in_pieces",
        false,
    ),
    (
        Fault::RenumbersReplicas,
        "changes_are_written_as_they_are",
        true,
    ),
    (
        Fault::KeepsTheCounterOfReplicas,
        "changes_are_written_as_they_are",
        true,
    ),
    (
        Fault::ReplicatesNoDeletions,
        "changes_are_written_as_they_are",
        true,
    ),
    (
        Fault::TellsReplicasInPart,
        "what_is_replicated_is_told",
        true,
    ),
    (Fault::AnswersWhenClosed, "is_closed_for_good", false),
    (
        Fault::LeavesWatchersWaiting,
        "closing_ends_all_waiting",
        false,
    ),
];

/// What hangs is told by patience alone.
fn patience(fault: Fault) -> Duration {
    match fault {
        Fault::NeverTells | Fault::WaitsForTheFuture | Fault::LeavesWatchersWaiting => {
            Duration::from_millis(300)
        }
        _ => PATIENCE,
    }
}

/// Runs a suite that must refuse, and returns its words.
fn refusal(what: &dyn std::fmt::Debug, suite: impl FnOnce()) -> String {
    let refused = catch_unwind(AssertUnwindSafe(suite));
    let panic = refused.expect_err(&format!("{what:?} passes"));
    words(&*panic)
}

#[test]
fn each_fault_breaks_its_promise() {
    run(|| Faulty::new(Fault::None));
    let told = FAULTS.map(|(fault, promise, _)| {
        let told = refusal(&fault, || {
            run_within(patience(fault), || Faulty::new(fault))
        });
        let expect = format!("the promise `{promise}` is broken: ");
        (!told.starts_with(&expect)).then(|| format!("{fault:?}: {told:.200}"))
    });
    let wrong: Vec<_> = told.into_iter().flatten().collect();
    assert!(
        wrong.is_empty(),
        "faults that another promise tells: {wrong:#?}"
    );
}

#[test]
fn random_courses_find_faults() {
    for seed in 0..20 {
        run_model(|| Faulty::new(Fault::None), seed, 300);
    }
    for (fault, ..) in FAULTS.into_iter().filter(|(.., is_found)| *is_found) {
        let told = refusal(&fault, || {
            for seed in 0..20 {
                run_model(|| Faulty::new(fault), seed, 300);
            }
        });
        assert!(
            told.starts_with("the course with seed "),
            "{fault:?} is told as: {told}"
        );
    }
}

#[test]
fn what_is_forgotten_is_missed() {
    let disk = Disk::new(Lapse::None);
    run_durable(|| disk.open());
    let lapses = [
        (Lapse::TheLastWrite, "goes on after a reopening"),
        (Lapse::TheCounter, "goes on after a reopening"),
        (
            Lapse::HalfOfABatch,
            "keeps what was acknowledged while it was closed",
        ),
        (
            Lapse::WhatIsWrittenWhileClosing,
            "keeps what was acknowledged while it was closed",
        ),
    ];
    for (lapse, promise) in lapses {
        let disk = Disk::new(lapse);
        let told = refusal(&lapse, || run_durable(|| disk.open()));
        let expect = format!("the promise `{promise}` is broken: ");
        assert!(told.starts_with(&expect), "{lapse:?} is told as: {told}");
    }
}

#[test]
fn random_courses_find_what_is_forgotten() {
    let place = |lapse| {
        move || {
            let disk = Disk::new(lapse);
            move || disk.open()
        }
    };
    for seed in 0..20 {
        run_model_durable(place(Lapse::None), seed, 300);
    }
    for lapse in [Lapse::TheLastWrite, Lapse::TheCounter] {
        let told = refusal(&lapse, || {
            for seed in 0..20 {
                run_model_durable(place(lapse), seed, 300);
            }
        });
        assert!(
            told.starts_with("the course with seed "),
            "{lapse:?} is told as: {told}"
        );
    }
}
