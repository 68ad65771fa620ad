//! Text under construction in constant functions: strings, numbers, and the commas between.

/// Where the text goes; with `N` = 0 it is only counted.
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
    /// The last byte written: tells whether a comma is due.
    last: u8,
}

impl<const N: usize> Text<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
            last: 0,
        }
    }

    /// How many bytes were written.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// The bytes; those that were not written are 0.
    pub(super) const fn bytes(self) -> [u8; N] {
        self.bytes
    }

    /// Writes a schema's `type`.
    pub(super) const fn kind(&mut self, kind: &str) {
        self.key("type");
        self.raw("\"");
        self.raw(kind);
        self.raw("\"");
    }

    /// Writes a member's name that needs no escapes, after a comma if one is due.
    ///
    /// Looking at each byte is what takes time in a constant.
    pub(super) const fn key(&mut self, name: &str) {
        self.separate();
        self.raw("\"");
        self.raw(name);
        self.raw("\":");
    }

    /// Writes an author's name for a member, after a comma if one is due.
    pub(super) const fn name(&mut self, name: &str) {
        self.item(name);
        self.raw(":");
    }

    /// Writes a string that is an item of an array or a name, after a comma if one is due.
    pub(super) const fn item(&mut self, text: &str) {
        self.separate();
        self.string(text);
    }

    /// Writes a comma if one is due.
    pub(super) const fn separate(&mut self) {
        if !matches!(self.last, b'{' | b'[') {
            self.raw(",");
        }
    }

    /// Writes a number in digits.
    pub(super) const fn number(&mut self, number: u64) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.push(&[b'0' + (number % 10) as u8]);
    }

    /// Writes a string with its quotes and escapes.
    pub(super) const fn string(&mut self, text: &str) {
        self.raw("\"");
        let (mut run, mut rest) = (0, text.as_bytes());
        while run < rest.len() {
            let byte = rest[run];
            if byte >= b' ' && byte != b'"' && byte != b'\\' {
                run += 1;
                continue;
            }
            let (plain, tail) = rest.split_at(run);
            self.push(plain);
            self.escape(byte);
            (run, rest) = (0, tail.split_at(1).1);
        }
        self.push(rest);
        self.raw("\"");
    }

    const fn escape(&mut self, byte: u8) {
        match byte {
            b'"' => self.raw("\\\""),
            b'\\' => self.raw("\\\\"),
            b'\n' => self.raw("\\n"),
            _ => {
                let digits = b"0123456789abcdef";
                self.raw("\\u00");
                self.push(&[digits[(byte >> 4) as usize], digits[(byte & 15) as usize]]);
            }
        }
    }

    /// Writes text as it is.
    pub(super) const fn raw(&mut self, text: &str) {
        self.push(text.as_bytes());
    }

    // Raw pointers, since the many small functions of slices are what the compiler counts before
    // it gives up on a constant.
    const fn push(&mut self, bytes: &[u8]) {
        let Some(end) = self.length.checked_add(bytes.len()) else {
            panic!("no text is that long")
        };
        if N > 0 {
            assert!(end <= N, "the length is not that of the text");
            // SAFETY: `length` is at most `end`, which is at most `N`: within `bytes`.
            let free = unsafe { self.bytes.as_mut_ptr().add(self.length) };
            // SAFETY: `free` has room for `end - length` bytes, as many as are copied; the
            // source is another borrow, so it cannot overlap what `self` holds exclusively.
            unsafe { free.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        }
        if let [.., last] = bytes {
            self.last = *last;
        }
        self.length = end;
    }
}
