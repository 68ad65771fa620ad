//! The chain of calls that wait for each other, in the notation that travels with a call: the
//! numbers of their routes, eight hex digits each.

/// How many digits a number has.
pub(super) const DIGITS: usize = 8;
/// The longest chain: a plugin may nest calls so deep, each on the stack of the one before.
pub(super) const LONGEST: usize = 64;

/// A chain with one more call, on the stack.
#[derive(Debug)]
pub(super) struct Chain {
    length: usize,
    text: [u8; DIGITS * LONGEST],
}

/// Why a call cannot be added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The call waits for itself: the numbers from it to it.
    Cycle(Vec<usize>),
    /// There are [`LONGEST`] calls already.
    TooLong,
}

impl Chain {
    pub(super) fn extend(chain: &str, digits: &[u8; DIGITS]) -> Result<Self, Refused> {
        let before = chain.as_bytes();
        if let Some(at) = before.chunks(DIGITS).position(|call| call == digits) {
            let around = before[at * DIGITS..].chunks(DIGITS).chain([&digits[..]]);
            return Err(Refused::Cycle(around.map(number).collect()));
        }
        let length = before.len() + DIGITS;
        let mut this = Self {
            length,
            text: [0; DIGITS * LONGEST],
        };
        let text = this.text.get_mut(..length).ok_or(Refused::TooLong)?;
        text[..before.len()].copy_from_slice(before);
        text[before.len()..].copy_from_slice(digits);
        Ok(this)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
}

/// The digits of a route's number.
pub(super) fn digits(number: usize) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    let text = format!("{number:08x}");
    digits.copy_from_slice(&text.as_bytes()[text.len() - DIGITS..]);
    digits
}

fn number(digits: &[u8]) -> usize {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    usize::from_str_radix(text, 16).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_until_it_meets_itself() {
        let one = Chain::extend("", &digits(1)).expect("empty before");
        let two = Chain::extend(one.as_str(), &digits(0xabc)).expect("another");
        assert_eq!(two.as_str(), "0000000100000abc");
        let refused = Chain::extend(two.as_str(), &digits(1)).err();
        assert_eq!(refused, Some(Refused::Cycle(vec![1, 0xabc, 1])));
    }

    #[test]
    fn ends_somewhere() {
        let mut chain = String::new();
        for number in 0..LONGEST {
            chain = Chain::extend(&chain, &digits(number))
                .expect("room")
                .as_str()
                .to_owned();
        }
        assert_eq!(
            Chain::extend(&chain, &digits(4711)).err(),
            Some(Refused::TooLong)
        );
    }
}
