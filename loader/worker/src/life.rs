//! Libraries and instances come and go: all of it runs code that may block, so each on a thread to
//! spare.

use std::{path::PathBuf, sync::Arc};

use octa_loader::{
    ContentHash, CreateOptions, Generation, Instance, KeptCause, Manifest, Outcome, Staged, Unload,
};
use octa_plugin_api::{Error, Payload};

use crate::{failure::Failure, forward::Forward, seat::Seat, worker::Worker};

/// An instance and its seat; without an instance while that is being made.
pub(crate) struct Lodger {
    seat: Arc<Seat>,
    instance: Option<Instance>,
}

impl Worker {
    /// Answers what `work` comes to, on a thread that it may block.
    fn answer_elsewhere(
        &'static self,
        id: u64,
        work: impl FnOnce() -> Result<Outcome, Error> + Send + 'static,
    ) {
        self.spare.run(move || {
            let outcome = work().unwrap_or_else(Outcome::from);
            self.answer(id, &outcome);
        });
    }

    pub(crate) fn open(
        &'static self,
        id: u64,
        number: u32,
        path: &str,
        hash: &str,
        manifest: &[u8],
    ) {
        let (path, hash, manifest) = (PathBuf::from(path), hash.to_owned(), manifest.to_vec());
        self.answer_elsewhere(id, move || {
            let generation = self.open_library(path, &hash, &manifest)?;
            let before = self.generations.lock().insert(number, generation);
            if before.is_some() {
                let kind = "a library";
                Failure::Twice { kind, number }.end();
            }
            Ok(done(0))
        });
    }

    fn open_library(
        &self,
        path: PathBuf,
        hash: &str,
        manifest: &[u8],
    ) -> Result<Arc<Generation>, Error> {
        let manifest =
            Manifest::from_json(manifest).map_err(|error| hinted(error.hint(), error))?;
        let hash: ContentHash = hash.parse()?;
        let staged = Staged::made_elsewhere(path, hash);
        self.opener
            .open(&staged, Arc::new(manifest))
            .map_err(|error| hinted(error.hint(), error))
    }

    pub(crate) fn close(&'static self, id: u64, number: u32) -> Result<(), Failure> {
        let known = self.generations.lock().get(&number).cloned();
        let generation = match known {
            Some(generation) => generation,
            // Closed by an attempt before, which took longer than it was waited for.
            None => {
                self.answer(id, &done(1));
                return Ok(());
            }
        };
        self.answer_elsewhere(id, move || {
            // They let go of what they keep for it, now or in time for the next attempt.
            self.spare.nudge();
            Ok(match generation.unload() {
                Unload::Unmapped => {
                    self.generations.lock().remove(&number);
                    done(1)
                }
                Unload::Kept(causes) => {
                    let causes: Vec<_> = causes.iter().map(KeptCause::to_string).collect();
                    Outcome::ok(0, Payload::copy_from_slice(causes.join("; ").as_bytes()))
                }
            })
        });
        Ok(())
    }

    pub(crate) fn create(
        &'static self,
        id: u64,
        number: u32,
        generation: u32,
        log_level: u32,
        config: &[u8],
    ) -> Result<(), Failure> {
        let generation = self.generation(generation)?;
        let seat = Seat::new(self, number);
        let lodger = Lodger {
            seat: seat.clone(),
            instance: None,
        };
        if self.lodgers.write().insert(number, lodger).is_some() {
            let kind = "an instance";
            return Err(Failure::Twice { kind, number });
        }
        let level = log::LevelFilter::iter().nth(log_level as usize);
        let options = CreateOptions {
            config: Payload::copy_from_slice(config),
            log_level: level.unwrap_or(log::LevelFilter::Trace),
        };
        self.answer_elsewhere(id, move || {
            let made = Instance::create(&generation, Arc::new(Forward(seat)), &options);
            let mut lodgers = self.lodgers.write();
            match made {
                Ok(instance) => {
                    // Who may come in is decided by the kernel.
                    instance.open();
                    if let Some(lodger) = lodgers.get_mut(&number) {
                        lodger.instance = Some(instance);
                    }
                    Ok(done(0))
                }
                Err(error) => {
                    let lodger = lodgers.remove(&number);
                    drop(lodgers);
                    drop(lodger);
                    Err(error)
                }
            }
        });
        Ok(())
    }

    pub(crate) fn destroy(&'static self, id: u64, number: u32) -> Result<(), Failure> {
        let instance = self.instance(number)?;
        self.answer_elsewhere(id, move || {
            if !instance.destroy() {
                return Ok(done(0));
            }
            let lodger = self.lodgers.write().remove(&number);
            drop(lodger);
            self.spare.nudge();
            Ok(done(1))
        });
        Ok(())
    }

    fn generation(&self, number: u32) -> Result<Arc<Generation>, Failure> {
        let kind = "library";
        let generation = self.generations.lock().get(&number).cloned();
        generation.ok_or(Failure::Unknown { kind, number })
    }

    /// What has no instance any more, or none yet, may have a seat.
    pub(crate) fn seat(&self, number: u32) -> Option<Arc<Seat>> {
        let lodgers = self.lodgers.read();
        lodgers.get(&number).map(|lodger| lodger.seat.clone())
    }

    pub(crate) fn instance(&self, number: u32) -> Result<Instance, Failure> {
        let kind = "instance";
        let lodgers = self.lodgers.read();
        let instance = lodgers.get(&number).and_then(|it| it.instance.clone());
        instance.ok_or(Failure::Unknown { kind, number })
    }

    pub(crate) fn seat_of(&self, number: u32) -> Result<(Arc<Seat>, Instance), Failure> {
        let instance = self.instance(number)?;
        let kind = "instance";
        let seat = self.seat(number).ok_or(Failure::Unknown { kind, number })?;
        Ok((seat, instance))
    }
}

fn done(number: u64) -> Outcome {
    Outcome::ok(number, Payload::empty())
}

/// The whole text of an error, with its causes and the way out.
fn hinted(hint: Option<String>, error: impl std::error::Error) -> Error {
    let error = Error::from(error);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}
