//! An input, read as a list of decisions. One that is used up decides for nothing.

/// What is left of an input.
#[derive(Debug)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// The whole of it.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// What is done next, as a number; none at the end.
    pub fn step(&mut self) -> Option<u8> {
        let (step, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*step)
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        self.step().unwrap_or_default()
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    /// Whether to do something.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    /// Two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number that is small, at the end of its range, or any.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::MAX,
            0xfe => u64::from_le_bytes([(); 8].map(|()| self.byte())),
            0xfd => 1 << (self.byte() % 64),
            small => u64::from(small),
        }
    }

    /// A few bytes of the input itself.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// What of a few bytes is text.
    pub fn text(&mut self) -> &'a str {
        let bytes = self.bytes();
        str::from_utf8(bytes).unwrap_or_else(|error| {
            let valid = &bytes[..error.valid_up_to()];
            str::from_utf8(valid).unwrap_or_default()
        })
    }
}
