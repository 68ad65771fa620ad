//! Tests that need a process of their own: the test program, run again for one test alone.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use super::*;

/// Tells a worker apart from the same test in an ordinary run, and where to work.
const ARGUMENT: &str = "octa-sqlite=";

/// Returns where to work, if this is the process of the worker.
pub(super) fn place() -> Option<PathBuf> {
    let place = |argument: OsString| Some(argument.to_str()?.strip_prefix(ARGUMENT)?.into());
    env::args_os().find_map(place)
}

/// Makes the command line that runs the test `name` as a worker in `place`, behind `before`.
pub(super) fn command(before: &[&str], name: &str, place: &Path) -> Command {
    let own = concat!(module_path!(), "");
    let (_crate, own) = own.split_once("::").expect("a module of this crate");
    let name = own.replace("child", name);
    let program = env::current_exe().expect("this program");
    let mut line: Vec<OsString> = before.iter().map(OsString::from).collect();
    line.push(program.into());
    line.extend(["--exact", "--nocapture", &name].map(OsString::from));
    // To the test harness the argument is one more name, of no test.
    let mut argument = OsString::from(ARGUMENT);
    argument.push(place);
    line.push(argument);
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]);
    command
}
