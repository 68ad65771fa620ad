//! Durations as people write them: a whole number and a unit.

use std::time::Duration;

/// What a duration looks like, for messages.
pub(crate) const EXPECTED: &str =
    "a duration above zero such as \"250ms\", \"10s\", \"2m\" or \"1h\"";

/// Reads `250ms`, `10s`, `2m` or `1h`; zero, and what does not fit, is none.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let total = number.checked_mul(milliseconds)?;
    (total > 0).then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                parse(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let huge = "18446744073709551615h";
        for text in [
            "", "s", "10", "0s", "0ms", "-1s", "+1s", "1.5s", "10 s", "10S", "1d", "١s", huge,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
