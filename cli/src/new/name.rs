//! Which names a new plugin can have: those of plugins, as far as they do as names of crates.

use octa_loader::NameKind;

use super::NewError;

/// Names that are well-formed and still somebody else's.
const TAKEN: &[(&str, &[&str])] = &[
    (
        "a keyword of Rust",
        &[
            "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
            "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen",
            "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override",
            "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
            "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while",
            "yield",
        ],
    ),
    (
        "a crate that comes with Rust",
        &["alloc", "core", "proc-macro", "std", "test"],
    ),
    (
        "a directory that cargo makes",
        &["build", "deps", "examples", "incremental"],
    ),
    (
        "a device on Windows",
        &[
            "aux", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "con",
            "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "nul", "prn",
        ],
    ),
    (
        "a crate that plugins depend on",
        &["octa-plugin-api", "octa-test-kit", "serde"],
    ),
    ("a name of the kernel's own", &["host", "kernel"]),
];

/// Checks the name of a new plugin.
pub(super) fn check(name: &str) -> Result<(), NewError> {
    NameKind::Plugin.check(name)?;
    let taken = TAKEN.iter().find(|(_, names)| names.contains(&name));
    match taken {
        None => Ok(()),
        Some((taken, _)) => Err(NewError::Taken {
            name: name.to_owned(),
            taken,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn refusal(name: &str) -> String {
        Failure::from(check(name).expect_err("no name")).to_string()
    }

    #[test]
    fn names_of_plugins_will_do() {
        for name in ["lamp", "living-room", "x", "event", "lamp2"] {
            check(name).expect("a name");
        }
    }

    #[test]
    fn other_names_are_refused_with_a_reason() {
        assert_eq!(
            refusal("match"),
            "error: `match` cannot be the name of a plugin: it is a keyword of Rust\n\
             hint: try `my-match`"
        );
        assert_eq!(
            refusal("core"),
            "error: `core` cannot be the name of a plugin: it is a crate that comes with Rust\n\
             hint: try `my-core`"
        );
        for name in [
            "",
            "Lamp",
            "2lamps",
            "my_lamp",
            "лампа",
            "a/b",
            "../x",
            "a b",
            "-x",
        ] {
            let refusal = refusal(name);
            assert!(refusal.contains("hint: a plugin name is"), "{refusal}");
        }
        let long = refusal(&"a".repeat(200));
        assert!(long.contains("200 bytes long, at most 64"), "{long}");
    }
}
