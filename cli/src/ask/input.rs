//! The JSON that goes with a command: typed, or read from standard input.

use std::io::{self, Read as _};

use serde_json::value::RawValue;
use thiserror::Error;

use crate::failure::Explain;
use crate::server::BODY_BYTES_MAX;

/// An input that cannot be sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum InputError {
    /// What was typed is no JSON.
    #[error("`{}` is no JSON", shortened(text))]
    Typed {
        /// What was typed.
        text: String,
        /// How the right thing would be typed.
        example: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// What was read is no JSON.
    #[error("standard input is no JSON")]
    Read(#[source] serde_json::Error),
    /// Nothing can be read.
    #[error("cannot read standard input as text")]
    Unreadable(#[source] io::Error),
    /// There is too much of it.
    #[error("the input has more than {BODY_BYTES_MAX} bytes, the most that are taken")]
    TooLarge,
}

impl Explain for InputError {
    fn kind(&self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            _ => "invalid-input",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Typed { example, .. } => Some(format!("try {example}")),
            _ => None,
        }
    }
}

/// The JSON of an argument; `command` is what was typed before it.
pub(crate) fn read(argument: &str, command: &str) -> Result<String, InputError> {
    let text = match argument {
        "-" => from_stdin()?,
        typed => typed.to_owned(),
    };
    if text.len() > BODY_BYTES_MAX {
        return Err(InputError::TooLarge);
    }
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(_) => Ok(text),
        Err(source) if argument == "-" => Err(InputError::Read(source)),
        Err(source) => Err(InputError::Typed {
            example: example(command, argument),
            text,
            source,
        }),
    }
}

fn from_stdin() -> Result<String, InputError> {
    let mut text = String::new();
    // One byte more than allowed, to see that there is more.
    let mut stdin = io::stdin().lock().take(BODY_BYTES_MAX as u64 + 1);
    let read = stdin.read_to_string(&mut text);
    read.map_err(InputError::Unreadable)?;
    Ok(text)
}

/// How it would be typed right: a word as a text, anything else with its quotes kept from the
/// shell.
fn example(command: &str, typed: &str) -> String {
    let is_word = !typed.is_empty() && !typed.starts_with(['{', '[', '"', '\'']);
    if is_word && !typed.contains(['\'', '\n']) && typed.len() < 100 {
        let text = serde_json::Value::from(typed);
        format!("`{command} '{text}'`: a text has its own quotes, inside those of the shell")
    } else {
        format!("`{command} '{{\"key\": 1}}'`: single quotes keep the double ones from the shell")
    }
}

fn shortened(text: &str) -> String {
    crate::show::fit(&crate::show::one_line(text), Some(60)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn check(typed: &str, expect: &str) {
        let error = read(typed, "octa call lamp.on").expect_err("no JSON");
        assert_eq!(Failure::from(error).to_string(), expect);
    }

    #[test]
    fn json_is_passed_on_as_it_is() {
        let text = r#"{"b": 1.50, "a": 123456789012345678901234567890}"#;
        assert_eq!(read(text, "octa call x").expect("JSON"), text);
    }

    #[test]
    fn a_word_is_shown_with_its_quotes() {
        check(
            "lamp_1",
            "error: `lamp_1` is no JSON\n\
             caused by: expected value at line 1 column 1\n\
             hint: try `octa call lamp.on '\"lamp_1\"'`: a text has its own quotes, inside those \
             of the shell",
        );
    }

    #[test]
    fn quotes_that_the_shell_took_are_explained() {
        check(
            "{id: 1}",
            "error: `{id: 1}` is no JSON\n\
             caused by: key must be a string at line 1 column 2\n\
             hint: try `octa call lamp.on '{\"key\": 1}'`: single quotes keep the double ones \
             from the shell",
        );
    }

    #[test]
    fn too_much_is_refused() {
        let error = read(&"1".repeat(BODY_BYTES_MAX + 1), "octa call x").expect_err("too much");
        assert_eq!(error.kind(), "too-large");
    }
}
