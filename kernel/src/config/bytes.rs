//! Amounts of memory as people write them: a whole number and a unit.

/// What an amount looks like, for messages.
pub(crate) const EXPECTED: &str = "an amount such as \"0\", \"64KiB\", \"512MiB\" or \"2GiB\"";

const UNITS: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// What is wrong with an amount, said behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlike {
    /// It has no number in front.
    NotANumber,
    /// Its number is followed by nothing.
    NoUnit,
    /// Its number is followed by something else.
    BadUnit(Option<&'static str>),
    /// It is beyond what can be counted.
    TooLarge,
}

impl Unlike {
    /// The words for it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::NotANumber => "",
            Self::NoUnit => " without a unit",
            Self::BadUnit(_) => " with an unknown unit",
            Self::TooLarge => ", which is beyond 8191 PiB",
        }
    }
}

/// Reads `0`, `64KiB`, `512 MiB` or `2GiB`.
pub(crate) fn parse(text: &str) -> Result<u64, Unlike> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(Unlike::NotANumber);
    }
    let number = number.parse().map_err(|_| Unlike::TooLarge)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    let bytes = match (known, unit) {
        (Some((_, bytes)), _) => *bytes,
        (None, "") if number == 0 => 1,
        (None, "") => return Err(Unlike::NoUnit),
        (None, _) => return Err(Unlike::BadUnit(meant(unit))),
    };
    let total = u64::checked_mul(number, bytes).filter(|total| i64::try_from(*total).is_ok());
    total.ok_or(Unlike::TooLarge)
}

/// The unit that begins with the same letter.
fn meant(unit: &str) -> Option<&'static str> {
    let first = unit.bytes().next()?.to_ascii_uppercase();
    let mut names = UNITS.iter().map(|(name, _)| *name);
    names.find(|name| name.as_bytes().first() == Some(&first))
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
            ("512 MiB", 536_870_912),
            ("2GiB", 2_147_483_648),
            ("1TiB", 1_099_511_627_776),
            ("8388607TiB", 9_223_370_937_343_148_032),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, expect) in [
            ("", Unlike::NotANumber),
            ("KiB", Unlike::NotANumber),
            ("-1MiB", Unlike::NotANumber),
            (" 1MiB", Unlike::NotANumber),
            ("1", Unlike::NoUnit),
            ("1 ", Unlike::NoUnit),
            ("1.5GiB", Unlike::BadUnit(None)),
            ("1MB", Unlike::BadUnit(Some("MiB"))),
            ("1g", Unlike::BadUnit(Some("GiB"))),
            ("1  MiB", Unlike::BadUnit(None)),
            ("8388608TiB", Unlike::TooLarge),
            ("18446744073709551615GiB", Unlike::TooLarge),
            ("18446744073709551616", Unlike::TooLarge),
        ] {
            assert_eq!(parse(text), Err(expect), "{text}");
        }
    }
}
