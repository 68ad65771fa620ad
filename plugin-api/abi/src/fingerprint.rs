//! A short name of this ABI's layout, for messages and caches; the check itself compares the
//! layouts that each library carries.

/// FNV-1a over the committed `layout.txt`, as 16 hex digits.
pub const FINGERPRINT: &str = {
    const DIGITS: [u8; 16] = hex(fnv_1a(include_bytes!("../layout.txt")));
    match core::str::from_utf8(&DIGITS) {
        Ok(text) => text,
        Err(_) => panic!("hex digits are ASCII"),
    }
};

const fn fnv_1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

const fn hex(number: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    let mut index = 0;
    while index < 16 {
        digits[index] = b"0123456789abcdef"[(number >> (60 - 4 * index)) as usize & 15];
        index += 1;
    }
    digits
}
