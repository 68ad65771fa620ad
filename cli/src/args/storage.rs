//! What can be typed behind `octa storage`.

use std::path::PathBuf;

use clap::Subcommand;
use octa_kernel::storage::Expect;
use thiserror::Error;

/// The storage that is meant, and what is to be done with it.
#[derive(Debug, clap::Args)]
pub(crate) struct Storage {
    /// The configuration that names the storage, where no kernel runs; without it, the defaults hold
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory that it lies in
    /// [default: `octa` in $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) action: Action,
}

/// What can be done with a storage.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Action {
    /// Prints a value
    #[command(after_help = "Examples:\n  octa storage get history cpu\n  \
        octa storage get history cpu --with-version")]
    Get(Get),
    /// Writes a value
    #[command(
        after_help = "Examples:\n  octa storage set lamps lamp_1 '{\"on\": true}'\n  \
        echo '{\"on\": true}' | octa storage set lamps lamp_1 -\n  \
        octa storage set lamps lamp_1 '{\"on\": true}' --expect absent\n\n\
        `--expect` writes only what nobody else has written meanwhile: the version is the one \
        that `octa storage get --with-version` shows."
    )]
    Set(Set),
    /// Deletes a value, and tells whether there was one
    #[command(after_help = "Example: octa storage delete lamps lamp_1")]
    Delete(Delete),
    /// Lists the keys of a namespace with their versions and values, in their order
    #[command(after_help = "Examples:\n  octa storage list history\n  \
        octa storage list history --prefix cpu/ --limit 10\n  \
        octa storage list history --json > history.jsonl\n\n\
        With `--json`, each record is one line.")]
    List(List),
    /// Shows what is stored where, and how much of what is allowed
    #[command(after_help = "Example: octa storage stats")]
    Stats,
    /// Copies everything into a file, as it is at one moment, while the kernel works on
    #[command(
        after_help = "Examples:\n  octa storage backup /mnt/backup/home.db\n  \
        octa storage backup /mnt/backup/home.db --force\n\n\
        The file is an SQLite database, whatever the storage is kept in. It appears under its name \
        only when it is complete, on the disk and compared."
    )]
    Backup(Backup),
    /// Brings back what a backup holds; no kernel may run on that storage
    #[command(
        after_help = "Examples:\n  octa storage restore /mnt/backup/home.db\n  \
        octa storage restore /mnt/backup/home.db --force --config octa.toml\n\n\
        The backup is only read."
    )]
    Restore(Restore),
    /// Makes the standby the primary, when the one that was it is lost, or is to rest; no kernel may run
    #[command(after_help = "Example: octa storage takeover --config octa.toml\n\n\
        Says what is lost, if anything is and it can be known. The former primary is kept under \
        another name; the next `octa run` makes a new standby in its place.")]
    Takeover,
    /// Copies everything into an empty storage of any kind; no kernel may run on either
    #[command(
        after_help = "Examples:\n  octa storage migrate --to sqlite:/data/home.db\n  \
        octa storage migrate --to postgres://octa@db.example/octa\n  \
        octa storage migrate --config new.toml --from sqlite:/data/home.db\n\n\
        Whichever of `--from` and `--to` is left out is the configured storage. A password is \
        taken from the configuration, or for an address typed here from PGPASSWORD."
    )]
    Migrate(Migrate),
    /// Saves what can still be read of a damaged SQLite file into a new one; no kernel may run on it
    #[command(
        after_help = "Examples:\n  octa storage salvage --to saved.db --config octa.toml\n  \
        octa storage salvage /old/octa.db --to saved.db\n\n\
        The damaged file is only copied. What cannot be read is told, and is no error as long as \
        something can; each record that is saved matches its checksum. Then: octa storage restore \
        saved.db --force"
    )]
    Salvage(Salvage),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Get {
    /// The namespace, as `octa storage stats` shows it
    pub(crate) namespace: String,
    /// The key
    pub(crate) key: String,
    /// Prints the version too: `{"version": 7, "value": …}`
    #[arg(long)]
    pub(crate) with_version: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Set {
    /// The namespace
    pub(crate) namespace: String,
    /// The key
    pub(crate) key: String,
    /// The value; `-` reads it from standard input
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    pub(crate) value: String,
    /// Writes only if this is what is there: a version, or `absent`
    #[arg(long, value_name = "VERSION|absent", value_parser = expectation)]
    pub(crate) expect: Option<Expect>,
    /// Writes to a namespace of the kernel's own too
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// The namespace
    pub(crate) namespace: String,
    /// The key
    pub(crate) key: String,
    /// Deletes from a namespace of the kernel's own too
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// The namespace, as `octa storage stats` shows it
    pub(crate) namespace: String,
    /// Only keys that start so
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// The file to make
    pub(crate) file: PathBuf,
    /// Replaces what is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The backup
    pub(crate) file: PathBuf,
    /// Also where something is stored already, which is kept aside under another name
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Salvage {
    /// The damaged file [default: the configured storage]
    pub(crate) file: Option<PathBuf>,
    /// The file to make
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// Also in the place of a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    /// What is copied
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: Option<String>,
    /// Where it is copied to: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`
    #[arg(long, value_name = "PLACE", required_unless_present = "from")]
    pub(crate) to: Option<String>,
}

/// Why a text is no expectation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a version, such as `7`, or `absent`")]
pub(crate) struct ExpectationError;

/// Reads what a write expects to find.
pub(crate) fn expectation(text: &str) -> Result<Expect, ExpectationError> {
    match text {
        "absent" => Ok(Expect::Absent),
        _ => match text.parse() {
            Ok(version) => Ok(Expect::Version(version)),
            Err(_) => Err(ExpectationError),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::args::{Args, Command};

    fn parse(line: &str) -> Result<Storage, String> {
        let args = Args::try_parse_from(line.split_whitespace());
        match args.map_err(|error| error.to_string())?.command {
            Command::Storage(storage) => Ok(storage),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_action_shows_an_example() {
        let mut args = Args::command();
        let storage = args.find_subcommand_mut("storage").expect("a command");
        for action in storage.get_subcommands() {
            let help = action.get_after_help().map(ToString::to_string);
            let example = format!("octa storage {}", action.get_name());
            assert!(help.unwrap_or_default().contains(&example), "{example}");
        }
    }

    #[test]
    fn where_it_is_stands_anywhere() {
        for line in [
            "octa storage --config a.toml --data d stats",
            "octa storage stats --data d --config a.toml",
        ] {
            let storage = parse(line).expect("a command");
            assert_eq!(storage.config, Some("a.toml".into()), "{line}");
            assert_eq!(storage.data, Some("d".into()), "{line}");
        }
    }

    #[test]
    fn what_is_expected_is_a_version_or_absent() {
        let expect = |text: &str| -> Result<_, String> {
            let storage = parse(&format!("octa storage set a b -1 --expect {text}"))?;
            match storage.action {
                Action::Set(set) => Ok((set.value, set.expect)),
                other => panic!("{other:?}"),
            }
        };
        let value = "-1".to_owned();
        assert_eq!(expect("absent"), Ok((value.clone(), Some(Expect::Absent))));
        assert_eq!(expect("7"), Ok((value, Some(Expect::Version(7)))));
        for text in ["any", "7.0", "18446744073709551616"] {
            let error = expect(text).expect_err(text);
            assert!(error.contains("such as `7`, or `absent`"), "{error}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            "octa storage",
            "octa storage get a",
            "octa storage set a b",
            "octa storage migrate",
            "octa storage list a --limit -1",
            "octa storage restore",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(parse("octa storage migrate --from sqlite:a").is_ok());
    }
}
