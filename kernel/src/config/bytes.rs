//! Amounts of memory as people write them: a whole number and a unit.

/// What an amount looks like, for messages.
pub(crate) const EXPECTED: &str = "an amount such as \"0\", \"64KiB\", \"512MiB\" or \"2GiB\"";

/// Reads `0`, `64KiB`, `512MiB` or `2GiB`; what does not fit is none.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let bytes = match unit {
        "" if number == 0 => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("0MiB", 0),
            ("64KiB", 65_536),
            ("512MiB", 536_870_912),
            ("2GiB", 2_147_483_648),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "1",
            "KiB",
            "-1MiB",
            "1.5GiB",
            "1MB",
            "1 MiB",
            "18446744073709551615GiB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
