//! Faults: what a plugin can do to the process that it is in, and what becomes of that, of its
//! callers, and of everybody else. The table in `docs/containment.md` is what is seen here;
//! `OCTA_BLESS=1` writes it anew.

mod fault;
mod holdings;
mod host;
mod inside;
mod kills;
mod loading;
mod outside;
mod table;
