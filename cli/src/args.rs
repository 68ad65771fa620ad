//! What can be typed, and the help for it; what is meant by it is the job of `config`.

mod storage;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::duration;
use crate::exit;

pub(crate) use storage::{
    Action as StorageAction, Backup, List, Migrate, Restore, Salvage, Storage, expectation,
};

/// Runs compiled plugins, and talks to a kernel that runs.
#[derive(Debug, Parser)]
#[command(name = "octa", version, after_help = exit::HELP, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Answers in JSON: one envelope, or one event per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Which running kernel is meant: its name, or its data directory
    #[arg(long, global = true, value_name = "NAME|DATA_DIR")]
    pub(crate) kernel: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the plugins of a directory until it is interrupted
    #[command(
        after_help = "Example: octa run --plugins plugins --config octa.toml\n\n\
        Events go to standard output, the log to standard error; `RUST_LOG` chooses what is \
        logged, by plugin name: RUST_LOG=warn,sysmon=debug\n\
        Plugins and a configuration that are saved anew are taken up while it runs.\n\
        The first Ctrl-C stops all plugins in reverse order, the second one ends at once."
    )]
    Run(Run),
    /// Shows the plugins, and the files that are none
    #[command(after_help = "Example: octa list")]
    List,
    /// Explains why a plugin is where it is, or why calls go where they go, as a tree of causes
    #[command(after_help = "Examples:\n  octa why lamp\n  octa why liblamp.so\n  \
        octa why devices.turn_on")]
    Why(Why),
    /// Shows how capabilities do: who offers them, health, breakers, limits, rates, latencies
    #[command(
        after_help = "Examples:\n  octa services --for 2s\n  octa services devices.turn_on\n\n\
        Plain calls are not measured unless somebody looks: `--for` measures for so long first; \
        with `measure = true` in `[kernel]` the kernel always does."
    )]
    Services(Services),
    /// Shows who listens to what, and what became of the events
    #[command(after_help = "Examples:\n  octa subscriptions\n  octa subscriptions lamp")]
    Subscriptions(Subscriptions),
    /// Shows events that could not be handled, and gives them to their plugins again
    #[command(
        arg_required_else_help = true,
        after_help = "Examples:\n  octa dead-letters list\n  octa dead-letters show 7\n  \
        octa dead-letters replay 7\n  octa dead-letters replay --all\n  \
        octa dead-letters forget 7"
    )]
    DeadLetters(DeadLetters),
    /// Reads and writes what is stored, backs it up and moves it, with a kernel running or none
    #[command(
        arg_required_else_help = true,
        after_help = "Examples:\n  octa storage stats\n  octa storage get lamps lamp_1\n  \
        octa storage backup /mnt/backup/home.db\n\n\
        A running kernel is asked; where none runs, the storage that `--config` and `--data` name \
        is opened, and kept from others meanwhile."
    )]
    Storage(Storage),
    /// Shows what can be called
    #[command(after_help = "Example: octa capabilities --json")]
    Capabilities,
    /// Loads a plugin without starting it
    #[command(after_help = "Example: octa load sysmon")]
    Load(Plugin),
    /// Starts a plugin, loading it first if need be
    #[command(after_help = "Example: octa start sysmon")]
    Start(Plugin),
    /// Stops a plugin, and before it those that depend on it
    #[command(after_help = "Example: octa stop sysmon")]
    Stop(Plugin),
    /// Stops a plugin and destroys its instance
    #[command(after_help = "Example: octa unload sysmon")]
    Unload(Plugin),
    /// Replaces a plugin by what its file holds now; if that fails, the old one goes on serving
    #[command(after_help = "Examples:\n  octa reload lamp --plan\n  octa reload lamp")]
    Reload(Reload),
    /// Replaces a plugin by what served before it
    #[command(
        after_help = "Examples:\n  octa rollback lamp --plan\n  octa rollback lamp\n\n\
        Where the code from before cannot read the state of the present one, nothing is done; \
        `--restore-saved` goes on with the state that was saved when it was replaced, and loses \
        what came later."
    )]
    Rollback(Rollback),
    /// Calls a capability and prints what it answers
    #[command(after_help = "Examples:\n  octa call devices.turn_on '\"lamp_1\"'\n  \
        echo '\"lamp_1\"' | octa call devices.get -\n  \
        octa call devices.turn_on '\"lamp_1\"' --deadline 2s --routing-key lamp_1 --no-retries")]
    Call(Call),
    /// Publishes an event, or forgets the one that is retained of a topic
    #[command(
        after_help = "Examples:\n  octa publish alert.test '{\"text\": \"hello\"}'\n  \
        octa publish house.mode '\"night\"' --retain\n  octa publish --clear house.mode"
    )]
    Publish(Publish),
    /// Prints events as they are published
    #[command(after_help = "Examples:\n  octa tail 'sysmon.*'\n  octa tail '**' --count 10 --json")]
    Tail(Tail),
    /// Looks into a plugin file without loading it; no kernel is needed
    #[command(after_help = "Example: octa inspect target/debug/liblamp.so")]
    Inspect(Inspect),
    /// Builds plugins and runs them, and builds and reloads them after every save
    #[command(
        after_help = "Examples:\n  octa dev\n  octa dev plugins/lamp --release\n  \
        octa dev -- --features night --offline\n\n\
        Whatever does not compile, load or start changes nothing in what runs. Without \
        `--config`, plugins are granted what they ask for."
    )]
    Dev(Dev),
    /// Writes the crate of a new plugin, which builds and runs as it is
    #[command(after_help = "Example: octa new lamp")]
    New(New),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The directory of compiled plugins
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: PathBuf,
    /// The configuration; without it, the defaults hold
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The directory for the database and private copies of plugins, made if it is missing
    /// [default: `octa` in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// What the kernel is called; without it, eight digits made from its data directory
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Stops by itself this long after its launch, such as `10s` or `2m`
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) limit: Option<Duration>,
    /// Prints no events, and logs warnings only
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Plugin {
    /// The plugin, as `octa list` shows it
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Why {
    /// The plugin, a rejected file, or a capability
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Services {
    /// The capability to show in detail
    pub(crate) name: Option<String>,
    /// Measures for this long first, such as `2s`
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) time: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Subscriptions {
    /// The plugin whose subscriptions are shown, or `host`; without it, all are
    pub(crate) plugin: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    pub(crate) action: Letters,
}

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Letters {
    /// Lists them, the oldest first
    #[command(after_help = "Example: octa dead-letters list")]
    List,
    /// Shows one with its event
    #[command(after_help = "Example: octa dead-letters show 7")]
    Show(Letter),
    /// Gives events to the plugins again that could not handle them, and to nobody else
    #[command(
        after_help = "Examples:\n  octa dead-letters replay 7\n  octa dead-letters replay --all\n\n\
        An event that cannot be handled now either becomes a dead letter again, with another number."
    )]
    Replay(Replay),
    /// Forgets one
    #[command(after_help = "Example: octa dead-letters forget 7")]
    Forget(Letter),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Letter {
    /// Its number, as `octa dead-letters list` shows it
    pub(crate) id: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// Its number, as `octa dead-letters list` shows it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) id: Option<u64>,
    /// Replays all that there are
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reload {
    /// The plugin, as `octa list` shows it
    pub(crate) name: String,
    /// Shows what would happen, and does nothing
    #[arg(long)]
    pub(crate) plan: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    /// The plugin, as `octa list` shows it
    pub(crate) name: String,
    /// Shows what would happen, and does nothing
    #[arg(long)]
    pub(crate) plan: bool,
    /// Goes on with the state saved at the switch; what came later is lost
    #[arg(long)]
    pub(crate) restore_saved: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    /// Crates of plugins, or workspaces with some in them
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,
    /// Builds with optimizations
    #[arg(long)]
    pub(crate) release: bool,
    /// The configuration; without it, the defaults hold, and what plugins ask for is granted
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory, made if it is missing [default: `octa-dev` in cargo's target directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// What else `cargo build` is given
    #[arg(last = true, value_name = "CARGO_ARGS")]
    pub(crate) cargo: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Call {
    /// The capability, as `octa capabilities` shows it
    pub(crate) capability: String,
    /// The input; `-` reads it from standard input
    #[arg(
        value_name = "JSON",
        default_value = "null",
        allow_negative_numbers = true
    )]
    pub(crate) input: String,
    /// Gives up after this time, such as `250ms` or `10s`
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(crate) deadline: Option<Duration>,
    /// What makes repeated calls one: 1 to 256 bytes
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// What a provider is chosen by, where the routing of the capability is `by-key`
    #[arg(long, value_name = "KEY")]
    pub(crate) routing_key: Option<String>,
    /// Takes an error for the end, also where the call would be tried again
    #[arg(long)]
    pub(crate) no_retries: bool,
    /// What ties together everything that the call leads to: up to 32 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    pub(crate) correlation_id: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    /// The topic, such as `alert.test`
    pub(crate) topic: String,
    /// The data; `-` reads it from standard input
    #[arg(
        value_name = "JSON",
        default_value = "null",
        allow_negative_numbers = true
    )]
    pub(crate) data: String,
    /// Keeps it as the last event of its topic, which subscribers to come are handed first
    #[arg(long)]
    pub(crate) retain: bool,
    /// Publishes nothing, and forgets the event that is retained of the topic
    #[arg(long, conflicts_with_all = ["data", "retain"])]
    pub(crate) clear: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    /// The topics: `*` stands for one segment, a last `**` for all that remain
    #[arg(default_value = "**")]
    pub(crate) pattern: String,
    /// Ends after this many events
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The file
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The plugin: lower-case letters, digits and hyphens
    pub(crate) name: String,
    /// The directory to put the crate's own directory into
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) path: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Subcommand as _};

    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Args::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let example = format!("octa {}", command.get_name());
            assert!(help.contains(&example), "{}: {help}", command.get_name());
        }
    }

    #[test]
    fn every_action_on_dead_letters_shows_an_example() {
        for action in Letters::augment_subcommands(clap::Command::new("x")).get_subcommands() {
            let help = action.get_after_help().map(ToString::to_string);
            let example = format!("octa dead-letters {}", action.get_name());
            assert!(help.unwrap_or_default().contains(&example), "{example}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            "octa publish a.b 1 --clear",
            "octa publish a.b --clear --retain",
            "octa dead-letters replay",
            "octa dead-letters replay 7 --all",
            "octa dead-letters show seven",
            "octa dead-letters",
            "octa services --for soon",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        for line in ["octa publish --clear a.b", "octa dead-letters replay --all"] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn options_of_all_commands_stand_anywhere() {
        let args = parse("octa list --json --kernel home").expect("a command");
        assert!(args.json);
        assert_eq!(args.kernel.as_deref(), Some("home"));
    }

    #[test]
    fn a_negative_number_is_an_input() {
        let args = parse("octa call lamp.dim -5 --json").expect("a command");
        assert!(args.json);
        let Command::Call(call) = args.command else {
            panic!("{args:?}");
        };
        assert_eq!(call.input, "-5");
    }

    #[test]
    fn what_follows_two_hyphens_is_for_cargo() {
        let args = parse("octa dev a b --release -- --features night").expect("a command");
        let Command::Dev(dev) = args.command else {
            panic!("{args:?}");
        };
        assert_eq!(dev.paths, ["a", "b"].map(PathBuf::from));
        assert_eq!(dev.cargo, ["--features", "night"]);
        let args = parse("octa dev -- --offline").expect("a command");
        let Command::Dev(dev) = args.command else {
            panic!("{args:?}");
        };
        assert_eq!(dev.paths, [PathBuf::from(".")]);
    }

    #[test]
    fn durations_are_checked_where_they_are_typed() {
        let error = parse("octa run --plugins p --for soon").expect_err("no duration");
        assert!(error.contains("such as `250ms`"), "{error}");
    }
}
