//! Makes new builds of a library out of one: a number that its code answers with lies in the
//! file where it can be found. What is written then is what a compiler would have made of another
//! number, in no time. And how the programs that are compared tell what they do.

use std::{
    hint::black_box,
    io::{self, BufRead as _, Write},
    thread,
    time::Duration,
};

/// How long is waited between two questions.
const GLANCE: Duration = Duration::from_micros(200);

/// What the code reads, as it lies in the file.
#[repr(C)]
struct Build {
    /// What the number is found by; nothing else in a library looks like it.
    tag: [u8; 24],
    number: [u8; 8],
}

#[used]
static BUILD: Build = Build {
    tag: *b"the number of this build",
    number: [0; 8],
};

/// The number of the build that this code is part of.
pub fn number() -> u64 {
    u64::from_le_bytes(black_box(&BUILD).number)
}

/// Where the number of a library lies.
#[derive(Debug)]
pub struct Builds {
    file: Vec<u8>,
    at: usize,
}

impl Builds {
    /// Of this library; `None` if it has no number, or several.
    pub fn of(file: Vec<u8>) -> Option<Self> {
        let mut found = file
            .windows(BUILD.tag.len())
            .enumerate()
            .filter(|(_, bytes)| *bytes == BUILD.tag)
            .map(|(start, tag)| start + tag.len());
        let at = found.next().filter(|at| at + 8 <= file.len())?;
        let is_only = found.next().is_none();
        is_only.then_some(Self { file, at })
    }

    /// The file of this build.
    pub fn build(&mut self, number: u64) -> &[u8] {
        self.file[self.at..][..8].copy_from_slice(&number.to_le_bytes());
        &self.file
    }
}

/// Asks for the number again and again, and prints each new one on a line; until nobody reads.
#[expect(
    clippy::disallowed_methods,
    reason = "it is a caller that has other things to do"
)]
pub fn tell_changes(mut answer: impl FnMut() -> Option<u64>) {
    let mut told = None;
    loop {
        let number = answer();
        if number.is_some() && number != told {
            told = number;
            let line = number
                .map(|number| format!("{number}\n"))
                .unwrap_or_default();
            let mut out = io::stdout().lock();
            if out
                .write_all(line.as_bytes())
                .and_then(|()| out.flush())
                .is_err()
            {
                return;
            }
        }
        thread::sleep(GLANCE);
    }
}

/// Reads from each line how often something is to be done, does it, and prints on a line what that
/// took, in nanoseconds; until there are no more lines.
pub fn tell_times(mut work: impl FnMut(u64) -> Duration) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let Ok(count) = line.parse() else {
            return;
        };
        let took = work(count).as_nanos();
        let mut out = io::stdout().lock();
        if writeln!(out, "{took}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
