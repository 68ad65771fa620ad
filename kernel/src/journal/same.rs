//! Whether two JSON texts say the same, however they are written.

use serde_json::Value;

/// Whether two JSON texts say the same. What cannot be held in memory must be written the same.
pub(super) fn says_same(one: &[u8], other: &[u8]) -> bool {
    one == other || matches!((read(one), read(other)), (Ok(one), Ok(other)) if one == other)
}

/// Reads a text with its numbers as strings: as numbers, long ones would be rounded.
fn read(json: &[u8]) -> serde_json::Result<Value> {
    let mut marked = Vec::with_capacity(json.len() + json.len() / 4);
    let mut rest = json;
    while let Some(&first) = rest.first() {
        let (token, behind) = rest.split_at(match first {
            b'"' => string(rest),
            b'-' | b'0'..=b'9' => rest.iter().take_while(|byte| is_of_number(**byte)).count(),
            _ => 1,
        });
        rest = behind;
        match first {
            // No string is taken for a number.
            b'"' => {
                marked.extend(b"\"s");
                marked.extend(&token[1..]);
            }
            b'-' | b'0'..=b'9' => {
                marked.extend(b"\"n");
                marked.extend(plain(token).as_deref().unwrap_or(token));
                marked.push(b'"');
            }
            _ => marked.extend(token),
        }
    }
    serde_json::from_slice(&marked)
}

/// The bytes of the string that a text begins with.
fn string(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// A number as digits without zeros around them, and an exponent; none if that is too large.
fn plain(number: &[u8]) -> Option<Vec<u8>> {
    let number = std::str::from_utf8(number).ok()?;
    let (number, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (sign, whole) = whole
        .strip_prefix('-')
        .map_or(("", whole), |whole| ("-", whole));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let short = digits.trim_end_matches('0');
    if short.is_empty() {
        return Some(b"0".to_vec());
    }
    let zeros = digits.len() - short.len();
    let exponent = exponent.parse::<i64>().ok()?;
    let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let exponent = exponent.checked_add(i64::try_from(zeros).ok()?)?;
    Some(format!("{sign}{short}e{exponent}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::says_same;

    #[test]
    fn what_says_the_same_may_be_written_in_other_ways() {
        let check = |one: &str, other: &str, expect: bool| {
            for (one, other) in [(one, other), (other, one)] {
                let found = says_same(one.as_bytes(), other.as_bytes());
                assert_eq!(found, expect, "`{one}` and `{other}`");
            }
        };
        for (one, other) in [
            ("[1]", " [ 1.0 ] "),
            ("1200", "1.2e3"),
            ("1200", "0.0012E+6"),
            ("-0.5", "-5e-1"),
            ("0", "-0.0e7"),
            (r#"{"a":1,"b":[2]}"#, r#"{"b":[2.0], "a":1}"#),
            (r#""\u0041\"1""#, r#""A\"1""#),
            ("1e99999999999999999999", "1e99999999999999999999"),
            ("null", "null "),
        ] {
            check(one, other, true);
        }
        for (one, other) in [
            (
                "340282366920938463463374607431768211455",
                "340282366920938463463374607431768211454",
            ),
            ("18446744073709551616", "18446744073709551617"),
            ("0.12345678901234567890", "0.12345678901234567891"),
            ("1e400", "1e401"),
            ("10", "1"),
            ("1", "-1"),
            ("1", r#""1""#),
            ("1", r#""n1e0""#),
            (r#""a""#, r#""sa""#),
            (r#"{"a":1}"#, r#"{"a":2}"#),
            ("[1,2]", "[2,1]"),
            ("1e99999999999999999999", "1e99999999999999999998"),
            ("null", "0"),
        ] {
            check(one, other, false);
        }
    }
}
