//! The functions that a thread is likely in, from what lies on its stack.

use std::path::Path;

use super::{
    memory::{self, Maps},
    symbols::Code,
    task::Task,
    unwind,
};

/// How much of a stack is looked at, in bytes.
const LOOKED_AT: usize = 512 * 1024;
/// How many functions are named.
const NAMED: usize = 8;

/// The functions of `library` that a thread is likely in, each called by the next. `None` if
/// nothing of it can be read.
pub(super) fn likely(task: &Task, on_stack: usize, library: &Path) -> Option<Vec<String>> {
    let maps = Maps::read()?;
    let code = Code::read(library, maps.code_of(library))?;
    let names = match *task {
        Task::Waits { stack, next, .. } => {
            let followed = unwind::addresses(&maps, library, next, stack).into_iter();
            let names: Vec<_> = followed.filter_map(|it| code.function_at(it)).collect();
            if !names.is_empty() {
                return Some(chosen(names));
            }
            let end = maps.around(stack)?.end;
            let words = memory::words(stack..end.min(stack.saturating_add(LOOKED_AT)))?;
            let first = code.function_at(next);
            first.into_iter().chain(ways_back(&code, &words)).collect()
        }
        Task::Runs => {
            // Nobody knows where its stack ends now. What lies further out than that is on it for
            // sure; further in is what calls have left that returned.
            let span = maps.around(on_stack)?;
            let start = span.start.max(span.end.saturating_sub(LOOKED_AT));
            let words = memory::words(start..span.end)?;
            let mut names: Vec<_> = ways_back(&code, &words).collect();
            outermost(&mut names);
            names
        }
    };
    Some(chosen(names))
}

/// The functions that the words on a stack lead back to.
fn ways_back(code: &Code, words: &[usize]) -> impl Iterator<Item = String> {
    let is_way = |word: &&usize| code.is_after_call(**word);
    // The call is before the place that it returns to, which may be in the next function.
    words
        .iter()
        .filter(is_way)
        .filter_map(|word| code.function_at(word - 1))
}

/// Leaves the outermost of the author's functions, and what called it.
fn outermost(names: &mut Vec<String>) {
    if let Some(at) = names.iter().rposition(|name| !is_plumbing(name)) {
        names.drain(..at);
    }
}

/// The author's functions if there are any, at most so many, and none twice in a row.
fn chosen(mut names: Vec<String>) -> Vec<String> {
    if names.iter().any(|name| !is_plumbing(name)) {
        names.retain(|name| !is_plumbing(name));
    }
    names.dedup();
    names.truncate(NAMED);
    names
}

/// Whether a function is of the standard library, or of what surrounds each plugin.
fn is_plumbing(name: &str) -> bool {
    const CRATES: [&str; 6] = [
        "core",
        "std",
        "alloc",
        "abi_stable",
        "octa_plugin_api",
        "octa_plugin_abi",
    ];
    let name = name.trim_start_matches(['<', '&', '*']);
    let name = name.trim_start_matches("mut ").trim_start_matches("dyn ");
    let (first, _) = name.split_once("::").unwrap_or((name, ""));
    CRATES.contains(&first) || first.starts_with("__rust") || first.starts_with("rust_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_comes_first() {
        let check = |names: &[&str], expect: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(chosen(names), expect);
        };
        check(&[], &[]);
        check(&["std::thread::park"], &["std::thread::park"]);
        check(
            &[
                "std::thread::park",
                "lamps::gate::Gate::wait",
                "lamps::gate::Gate::wait",
                "<octa_plugin_api::work::Work as core::future::Future>::poll",
                "<lamps::Lamps as core::ops::Drop>::drop",
                "core::ops::function::FnOnce::call_once",
                "__rust_try",
            ],
            &[
                "lamps::gate::Gate::wait",
                "<lamps::Lamps as core::ops::Drop>::drop",
            ],
        );
    }

    #[test]
    fn what_is_further_in_is_not_known() {
        let check = |names: &[&str], expect: &[&str]| {
            let mut names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
            outermost(&mut names);
            assert_eq!(names, expect);
        };
        check(
            &["lamps::left", "std::left", "lamps::handler", "std::outer"],
            &["lamps::handler", "std::outer"],
        );
        // Left further out, in a frame of what surrounds each plugin.
        check(
            &[
                "lamps::handler",
                "abi_stable::std_types::slices::private::RSlice<T>::as_slice",
            ],
            &[
                "lamps::handler",
                "abi_stable::std_types::slices::private::RSlice<T>::as_slice",
            ],
        );
    }
}
