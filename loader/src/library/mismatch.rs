//! Turns the pages that `abi_stable` prints of a layout mismatch into a few lines.

use octa_plugin_abi::abi_stable::{
    abi_stability::abi_checking::{AbiInstability, AbiInstabilityErrors},
    type_layout::TLFieldOrFunction,
};

/// How many differences are told.
const TOLD: usize = 3;
/// How long a line may be.
const LINE: usize = 160;

/// What differs, a line each; the first few.
pub(super) fn describe(errors: &AbiInstabilityErrors) -> String {
    let mut lines = Vec::new();
    let mut more = 0;
    for error in &errors.errors {
        let place = match error.stack_trace.last().map(|entry| &entry.expected) {
            None => "the root module".to_owned(),
            Some(TLFieldOrFunction::Field(field)) => format!("`{}`", field.full_type()),
            Some(TLFieldOrFunction::Function(function)) => {
                format!("`{}`", first_line(&function.to_string()))
            }
        };
        for difference in &error.errs {
            if lines.len() < TOLD {
                lines.push(cut(&format!("{place}: {}", name(difference))));
            } else {
                more += 1;
            }
        }
    }
    if more > 0 {
        lines.push(format!("and {more} more differences"));
    }
    lines.join("\n")
}

fn name(difference: &AbiInstability) -> String {
    macro_rules! differs {
        ($what:literal, $pair:expr) => {
            format!(
                concat!($what, " {:?}, expected {:?}"),
                $pair.found, $pair.expected
            )
        };
    }
    match difference {
        AbiInstability::Size(pair) => differs!("size", pair),
        AbiInstability::Alignment(pair) => differs!("alignment", pair),
        AbiInstability::FieldCountMismatch(pair) => differs!("number of fields", pair),
        AbiInstability::MismatchedPrefixSize(pair) => {
            differs!("number of first-version fields", pair)
        }
        AbiInstability::Name(pair) => format!("type {}, expected {}", pair.found, pair.expected),
        AbiInstability::Package(pair) => differs!("package", pair),
        AbiInstability::PackageVersion(pair) => {
            format!("package version {}, expected {}", pair.found, pair.expected)
        }
        AbiInstability::UnexpectedField(pair) => {
            let [found, expected] =
                [&pair.found, &pair.expected].map(|f| first_line(&f.to_string()));
            format!("field `{found}`, expected `{expected}`")
        }
        other => first_line(&format!("{other:?}")),
    }
}

/// The first line of a text, without what follows.
pub(super) fn first_line(text: &str) -> String {
    cut(text.trim().lines().next().unwrap_or_default())
}

fn cut(line: &str) -> String {
    line.chars().take(LINE).collect()
}
