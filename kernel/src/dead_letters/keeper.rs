//! Reads the letters of before, and writes down what changes: some at a time, in one task.

use std::time::Duration;

use super::{
    DeadLetters, NAMESPACE, Phase,
    record::{self, Partial},
    table::Change,
};
use crate::storage::{Batch, Expect, Query, Storage, StorageError};

/// The most letters that are taken to be written at a time.
const AT_A_TIME: usize = 256;
/// How long a storage that refuses is left alone.
const RETRY: Duration = Duration::from_secs(10);
/// How long an end may take.
const END: Duration = Duration::from_secs(5);

/// Keeps letters until the end, and then in bounded time what is left, also where the storage does
/// not answer.
pub(super) async fn keep(letters: DeadLetters, storage: Storage) {
    let too_late = async {
        letters.reached(Phase::Ending).await;
        letters.0.clock.sleep(END).await;
    };
    tokio::select! {
        () = read_and_write(&letters, &storage) => {}
        () = too_late => log::error!(
            "the storage takes longer than {END:?} for the dead letters: \
             what has changed in them and is not written down is given up"
        ),
    }
    letters.enter(Phase::Ended);
}

async fn read_and_write(letters: &DeadLetters, storage: &Storage) {
    if let Err(error) = read(letters, storage).await {
        // Their numbers are not known: what is written now might overwrite them.
        log::error!("the dead letters of before cannot be read, and new ones not kept: {error}");
        return;
    }
    letters.enter(Phase::Keeping);
    let mut is_told = false;
    loop {
        // Asked first: what comes before the end is written.
        let is_ending = letters.has_reached(Phase::Ending);
        match write_some(letters, storage).await {
            Ok(true) => is_told = false,
            Ok(false) if is_ending => break,
            Ok(false) => letters.0.changed.notified().await,
            Err(error) => {
                if !is_told {
                    log::error!("dead letters are not kept over a restart now: {error}");
                }
                is_told = true;
                if is_ending || matches!(error, StorageError::Closed) {
                    break;
                }
                tokio::select! {
                    () = letters.0.clock.sleep(RETRY) => {}
                    () = letters.reached(Phase::Ending) => {}
                }
            }
        }
    }
}

/// Writes some of what has changed; false if nothing has.
async fn write_some(letters: &DeadLetters, storage: &Storage) -> Result<bool, StorageError> {
    let changes = letters.0.table.lock().changes(AT_A_TIME);
    let written = write(&changes, storage).await;
    if written.is_err() {
        letters.0.table.lock().not_made(&changes);
    }
    written.map(|()| !changes.is_empty())
}

async fn write(changes: &[Change], storage: &Storage) -> Result<(), StorageError> {
    let mut writer = Writer {
        storage,
        batch: Batch::new(),
    };
    for change in changes {
        match change {
            // The first record last: without it, the others are known as remains.
            Change::Write(letter) => {
                for piece in (0..record::count(letter)).rev() {
                    if let Some(value) = record::encode(letter, piece) {
                        let key = record::key(letter.id, piece);
                        let put = |batch: &mut Batch| {
                            let put = batch.put(NAMESPACE, &key, Expect::Any, value.clone());
                            put.map(drop)
                        };
                        writer.add(put).await?;
                    }
                }
            }
            Change::Delete(id, records) => {
                for piece in 0..*records {
                    let key = record::key(*id, piece);
                    let delete =
                        |batch: &mut Batch| batch.delete(NAMESPACE, &key, Expect::Any).map(drop);
                    writer.add(delete).await?;
                }
            }
        }
    }
    writer.apply().await
}

/// Gathers writes, and applies them whenever a batch is full.
struct Writer<'a> {
    storage: &'a Storage,
    batch: Batch,
}

impl Writer<'_> {
    async fn add(
        &mut self,
        write: impl Fn(&mut Batch) -> Result<(), crate::storage::Invalid>,
    ) -> Result<(), StorageError> {
        if write(&mut self.batch).is_err() {
            self.apply().await?;
            write(&mut self.batch)?;
        }
        Ok(())
    }

    async fn apply(&mut self) -> Result<(), StorageError> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.writes().is_empty() {
            self.storage.apply(batch).await?;
        }
        Ok(())
    }
}

/// Reads everything that was written down.
async fn read(letters: &DeadLetters, storage: &Storage) -> Result<(), StorageError> {
    let mut partial = None;
    let mut after: Option<std::sync::Arc<str>> = None;
    loop {
        let query = Query::new(NAMESPACE, "")?.after(after.as_deref())?;
        let page = storage.list(query).await?;
        for entry in &page.entries {
            take_in(letters, &mut partial, &entry.key, &entry.record.value);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    finish(letters, partial);
    Ok(())
}

/// Takes in one record. What cannot be read stays where it is, unread.
fn take_in(letters: &DeadLetters, partial: &mut Option<Partial>, key: &str, value: &[u8]) {
    let Some((id, piece)) = record::of_key(key) else {
        return log::warn!("`{NAMESPACE}/{key}` is no dead letter");
    };
    if partial.as_ref().is_none_or(|partial| partial.id != id) {
        finish(letters, partial.replace(Partial::new(id)));
    }
    if let Some(partial) = partial
        && let Err(error) = partial.push(piece, value)
    {
        log::warn!("the dead letter {id} cannot be read: {error}");
    }
}

fn finish(letters: &DeadLetters, partial: Option<Partial>) {
    let Some(found) = partial.map(Partial::finish) else {
        return;
    };
    let mut table = letters.0.table.lock();
    let dropped = table.load(found);
    drop(table);
    drop(dropped);
}
