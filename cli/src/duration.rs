//! Durations as users write them: `250ms`, `10s`, `2m`, `1h`.

use std::time::Duration;

use thiserror::Error;

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{found}` is no duration, expected a number and a unit such as `250ms`, `10s` or `2m`")]
pub(crate) struct DurationError {
    found: String,
}

/// Reads a whole number and its unit: `ms`, `s`, `m` or `h`.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let (number, unit) = text.split_at(digits);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let total = number.parse::<u64>().ok();
    total
        .filter(|_| milliseconds > 0)
        .and_then(|number| number.checked_mul(milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| DurationError {
            found: text.to_owned(),
        })
}

/// Writes it as people do, so that [`parse`] reads it again: `10m`, not `600000ms`.
pub(crate) fn shortest(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let mut fitting = units.into_iter();
    match fitting.find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", milliseconds / unit),
        None => write(duration),
    }
}

/// Writes it so that [`parse`] reads it again.
pub(crate) fn write(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_users_write() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse(&write(Duration::from_secs(3))), parse("3s"));
        for text in ["250ms", "10s", "90s", "2m", "1h", "1500ms", "0ms"] {
            let read = parse(text).expect("a duration");
            assert_eq!(shortest(read), text);
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "10", "s", "-1s", "1.5s", "1 s", "9999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
