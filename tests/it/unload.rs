//! Unload: the code of a generation is given back when nothing returns to it, and kept with its
//! cause while something may. `stage` is where generations live here, without a kernel.

mod embedded;
mod kept;
mod libraries;
mod locals;
mod many;
mod stage;
mod threads;
