//! The `octa` program: what was typed becomes what is meant, and that becomes a call of the kernel,
//! in this process (`run`) or over the admin socket of a running one (everything else).
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;

mod answer;
mod args;
mod ask;
mod client;
mod config;
mod dev;
mod duration;
mod event_line;
mod exit;
mod failure;
mod follow;
mod inspect;
mod live;
mod logging;
mod meeting;
mod new;
mod output;
mod plugin_event;
mod reloads;
mod run;
mod server;
mod show;
mod signals;
mod storage;
mod world;

use args::{Args, Command};
use failure::Failure;
use world::World;

fn main() -> ExitCode {
    if let Some(code) = octa_worker::entry() {
        // It was started to carry a plugin.
        return code;
    }
    let args = Args::parse();
    let outcome = act(&args, World::real());
    exit::leave(outcome, args.json)
}

fn act(args: &Args, world: World) -> Result<(), Failure> {
    match &args.command {
        Command::Run(typed) => run::run(typed, args.json, world),
        Command::Dev(typed) => dev::dev(typed, args.json, world),
        Command::Inspect(typed) => inspect::inspect(typed, args.json),
        Command::Storage(typed) => {
            storage::storage(typed, args.kernel.as_deref(), args.json, &world)
        }
        Command::New(typed) => new::new(typed, args.json),
        command => ask::ask(command, args.kernel.as_deref(), args.json, &world),
    }
}
