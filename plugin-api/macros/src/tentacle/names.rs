//! Checks what an author names, at the place where it is named.

use syn::{Error, LitStr, Result};

/// Checks a plugin's name: `[a-z][a-z0-9-]*`, at most 64 characters.
pub(crate) fn plugin(name: &LitStr) -> Result<()> {
    let text = name.value();
    match plugin_fault(&text) {
        Some(fault) => {
            let message = format!("`{text}` is no name for a plugin: it {fault}");
            Err(Error::new(name.span(), message))
        }
        None => Ok(()),
    }
}

/// Checks the name of a capability or namespace: dotted segments.
pub(crate) fn name(name: &LitStr) -> Result<()> {
    check(name, false)
}

/// Checks a pattern over topics or capabilities: segments may be `*`, the last one `**`.
pub(crate) fn pattern(pattern: &LitStr) -> Result<()> {
    check(pattern, true)
}

/// Reads a duration such as `"250ms"`, `"5s"`, `"2m"` or `"1h"`, in milliseconds.
pub(crate) fn milliseconds(duration: &LitStr) -> Result<u64> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    amount(duration, &units).ok_or_else(|| {
        let message = format!(
            "`{}` is no duration: expected a number above 0 and `ms`, `s`, `m` or `h`, such as `\"5s\"`",
            duration.value()
        );
        Error::new(duration.span(), message)
    })
}

/// Reads an amount of memory such as `"64KiB"`, `"16MiB"` or `"1GiB"`.
pub(crate) fn bytes(amount_of_memory: &LitStr) -> Result<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    amount(amount_of_memory, &units).ok_or_else(|| {
        let message = format!(
            "`{}` is no amount of memory: expected a number above 0 and `KiB`, `MiB` or `GiB`, such as `\"16MiB\"`",
            amount_of_memory.value()
        );
        Error::new(amount_of_memory.span(), message)
    })
}

/// Reads a whole number above 0 and a unit, as a number of the smallest ones.
fn amount(written: &LitStr, units: &[(&str, u64)]) -> Option<u64> {
    let text = written.value();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let number = number.parse::<u64>().ok().filter(|number| *number > 0)?;
    number.checked_mul(*factor)
}

/// Checks a requirement on versions, such as `"^1.2"`.
pub(crate) fn version_requirement(requirement: &LitStr) -> Result<()> {
    let text = requirement.value();
    match semver::VersionReq::parse(&text) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!("`{text}` is no requirement on versions: {error}");
            Err(Error::new(requirement.span(), message))
        }
    }
}

fn check(literal: &LitStr, wildcards: bool) -> Result<()> {
    let text = literal.value();
    let Some(fault) = fault(&text, wildcards) else {
        return Ok(());
    };
    let kind = if wildcards { "pattern" } else { "name" };
    Err(Error::new(
        literal.span(),
        format!("`{text}` is no well-formed {kind}: it {fault}"),
    ))
}

fn plugin_fault(text: &str) -> Option<String> {
    length_fault(text, 64).or_else(|| {
        text.chars().enumerate().find_map(|(index, found)| {
            let letter = found.is_ascii_lowercase();
            match index {
                _ if letter => None,
                0 => Some(misplaced(found, 0, "a lowercase letter")),
                _ if found.is_ascii_digit() || found == '-' => None,
                _ => {
                    let expected = "a lowercase letter, a digit or `-`";
                    Some(misplaced(found, index, expected))
                }
            }
        })
    })
}

fn fault(text: &str, wildcards: bool) -> Option<String> {
    if let Some(fault) = length_fault(text, 255) {
        return Some(fault);
    }
    let segments: Vec<&str> = text.split('.').collect();
    let last = segments.len() - 1;
    if segments.len() > 16 {
        let count = segments.len();
        return Some(format!("has {count} segments, at most 16 are allowed"));
    }
    let mut start = 0;
    segments.iter().enumerate().find_map(|(index, segment)| {
        let fault = segment_fault(segment, start, wildcards, index == last);
        // Everything before the first fault is ASCII, so bytes count characters here.
        start += segment.len() + 1;
        fault
    })
}

fn segment_fault(segment: &str, start: usize, wildcards: bool, last: bool) -> Option<String> {
    let position = start + 1;
    match segment {
        "" => return Some(format!("has an empty segment at position {position}")),
        "*" if wildcards => return None,
        "**" if wildcards && last => return None,
        "**" if wildcards => {
            let place = "expected it as the last segment only";
            return Some(format!("has `**` at position {position}, {place}"));
        }
        _ => {}
    }
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let mut letters = segment.chars().enumerate();
    let (index, found) = letters.find(|(_, letter)| !plain(*letter))?;
    let expected = match found {
        '*' if !wildcards => "a letter, a digit, `_` or `-`: `*` is for patterns",
        _ if wildcards => "a letter, a digit, `_`, `-`, or `*` or `**` as a whole segment",
        _ => "a letter, a digit, `_` or `-`",
    };
    Some(misplaced(found, start + index, expected))
}

fn length_fault(text: &str, limit: usize) -> Option<String> {
    match text.len() {
        0 => Some("is empty".to_owned()),
        length if length > limit => Some(format!(
            "is {length} bytes long, at most {limit} are allowed"
        )),
        _ => None,
    }
}

fn misplaced(found: char, index: usize, expected: &str) -> String {
    format!(
        "has `{}` at position {}, expected {expected}",
        found.escape_debug(),
        index + 1
    )
}
