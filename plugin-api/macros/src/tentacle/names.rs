//! Checks what an author names, at the place where it is named.

use syn::{Error, LitStr, Result};

/// Checks a plugin's name: `[a-z][a-z0-9-]*`, at most 64 characters.
pub(crate) fn plugin(name: &LitStr) -> Result<()> {
    let text = name.value();
    let letter = |letter: char| letter.is_ascii_lowercase();
    let rest =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if text.len() <= 64 && text.starts_with(letter) && text.chars().all(rest) {
        return Ok(());
    }
    let message = format!(
        "`{text}` is no name for a plugin: expected 1 to 64 of `a`-`z`, `0`-`9` and `-`, beginning with a letter"
    );
    Err(Error::new(name.span(), message))
}

/// Checks the name of a capability or namespace: dotted segments.
pub(crate) fn name(name: &LitStr) -> Result<()> {
    check(name, false)
}

/// Checks a pattern over topics or capabilities: segments may be `*`, the last one `**`.
pub(crate) fn pattern(pattern: &LitStr) -> Result<()> {
    check(pattern, true)
}

/// Reads a duration such as `"250ms"`, `"5s"` or `"2m"`, in milliseconds.
pub(crate) fn milliseconds(duration: &LitStr) -> Result<u64> {
    let text = duration.value();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| {
            let message = format!(
                "`{text}` is no duration: expected a number and `ms`, `s` or `m`, such as `\"5s\"`"
            );
            Error::new(duration.span(), message)
        })
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
        format!("`{text}` is no well-formed {kind}: {fault}"),
    ))
}

fn fault(text: &str, wildcards: bool) -> Option<String> {
    if text.len() > 255 {
        return Some(format!(
            "it has {} bytes, at most 255 are allowed",
            text.len()
        ));
    }
    let segments: Vec<&str> = text.split('.').collect();
    if segments.len() > 16 {
        return Some(format!(
            "it has {} segments, at most 16 are allowed",
            segments.len()
        ));
    }
    let last = segments.len() - 1;
    segments.iter().enumerate().find_map(|(index, segment)| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        match *segment {
            "" => Some("it has an empty segment".to_owned()),
            "*" if wildcards => None,
            "**" if wildcards && index == last => None,
            "**" if wildcards => Some("`**` may only be the last segment".to_owned()),
            segment if segment.chars().all(plain) => None,
            segment if segment.contains('*') && !wildcards => {
                Some("`*` is for patterns, and this is the name of one thing".to_owned())
            }
            segment => Some(format!(
                "the segment `{segment}` may have letters and digits of ASCII, `-` and `_`"
            )),
        }
    })
}
