//! Tests of the whole over really compiled plugins, which `fixtures` builds once for all.
//!
//! Each module is a field of scenarios; `home` is where they take place.

mod abi;
mod bus;
mod calls;
mod configuration;
mod dependencies;
mod dev;
mod directory;
mod events;
mod facilities;
mod faults;
mod files;
mod fixtures;
mod forge;
mod home;
mod interruption;
mod journal;
mod lifecycle;
mod loading;
mod logs;
mod manifests;
mod panics;
mod permissions;
mod placement;
mod postgres;
mod program;
mod reload;
mod scenarios;
mod services;
mod services_cli;
mod standby;
mod storage_cli;
mod supervision;
mod trees;
mod unload;
mod watchdog;
mod why;
