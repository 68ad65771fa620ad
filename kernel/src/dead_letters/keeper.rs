//! Reads the letters of before, and writes down what changes: some at a time, in one task.

use std::{sync::Arc, time::Duration};

use super::{
    DeadLetters, NAMESPACE, Phase,
    record::{self, Key, Partial},
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
    let mut reading = Reading::default();
    let read = reading.go_on(letters, storage).await;
    letters.enter(Phase::Keeping);
    tokio::join!(
        read_later(letters, storage, reading, read),
        write_until_the_end(letters, storage),
    );
}

/// Goes on with what could not be read; what is written meanwhile lies elsewhere.
async fn read_later(
    letters: &DeadLetters,
    storage: &Storage,
    mut reading: Reading,
    mut read: Result<(), StorageError>,
) {
    if let Err(error) = &read {
        log::error!("the dead letters of before cannot be read now: {error}");
    }
    while let Err(error) = read {
        if matches!(error, StorageError::Closed) || letters.has_reached(Phase::Ending) {
            return;
        }
        rest(letters).await;
        read = reading.go_on(letters, storage).await;
    }
    // What made room for others.
    letters.0.changed.notify_one();
}

/// Leaves a storage that refuses alone for a while, unless the end is near.
async fn rest(letters: &DeadLetters) {
    tokio::select! {
        () = letters.0.clock.sleep(RETRY) => {}
        () = letters.reached(Phase::Ending) => {}
    }
}

async fn write_until_the_end(letters: &DeadLetters, storage: &Storage) {
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
                rest(letters).await;
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
            Change::Write(letter, place) => {
                if place.records > 1 {
                    // At once, if it can be: another kernel may be reading.
                    writer.apply().await?;
                }
                // The first record last: without it, the others are known as remains.
                for piece in (0..place.records).rev() {
                    if let Some(value) = record::encode(letter, piece) {
                        let key = place.key(piece);
                        let put = |batch: &mut Batch| {
                            let put = batch.put(NAMESPACE, &key, Expect::Any, value.clone());
                            put.map(drop)
                        };
                        writer.add(put).await?;
                    }
                }
            }
            Change::Delete(_, place) => {
                for piece in 0..place.records {
                    let key = place.key(piece);
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

/// How far everything is read that was written down before.
#[derive(Default)]
struct Reading {
    /// The key of the last record that was read.
    after: Option<Arc<str>>,
    partial: Option<Partial>,
}

impl Reading {
    /// Reads the rest; after an error, it can go on.
    async fn go_on(
        &mut self,
        letters: &DeadLetters,
        storage: &Storage,
    ) -> Result<(), StorageError> {
        loop {
            let query = Query::new(NAMESPACE, "")?.after(self.after.as_deref())?;
            let page = storage.list(query).await?;
            for entry in &page.entries {
                self.take_in(letters, &entry.key, &entry.record.value);
            }
            match page.next {
                Some(next) => self.after = Some(next),
                None => break,
            }
        }
        finish(letters, self.partial.take());
        Ok(())
    }

    /// Takes in one record. What cannot be read stays where it is, unread.
    fn take_in(&mut self, letters: &DeadLetters, key: &str, value: &[u8]) {
        let Some(of) = Key::of(key) else {
            return log::warn!("`{NAMESPACE}/{key}` is no dead letter");
        };
        if *of.kernel == *letters.0.kernel {
            // Written just now, and known.
            return;
        }
        let begun = self.partial.take_if(|partial| !partial.is_of(&of));
        finish(letters, begun);
        let partial = self.partial.get_or_insert_with(|| Partial::new(&of));
        if let Err(error) = partial.push(&of, value) {
            log::warn!("the dead letter {} cannot be read: {error}", of.id);
        }
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
