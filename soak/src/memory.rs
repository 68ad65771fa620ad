//! What this process holds, as the system sees it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result};

use crate::plugins::PLUGINS;

/// What is held at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
    /// How many mappings there are.
    pub(crate) mappings: u64,
}

impl Held {
    /// What is held now.
    pub(crate) fn now() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let words = line.and_then(|line| line.split_whitespace().next());
        let kilobytes: u64 = words.context("no `VmRSS`")?.parse()?;
        Ok(Self {
            resident: kilobytes * 1024,
            mappings: maps()?.lines().count() as u64,
        })
    }

    /// What was held in general: the median of several looks, for each.
    pub(crate) fn median(looks: &[Self]) -> Self {
        let median = |of: fn(&Self) -> u64| {
            let mut values: Vec<_> = looks.iter().map(of).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        Self {
            resident: median(|it| it.resident),
            mappings: median(|it| it.mappings),
        }
    }
}

/// Brings the whole program into memory, so that code which is used late does not look like
/// growth.
pub(crate) fn touch_program() -> Result<()> {
    let mut memory = File::open("/proc/self/mem")?;
    for line in maps()?.lines().filter(|line| line.contains('/')) {
        let words = line.split_once(' ').and_then(|(range, rest)| {
            let (from, to) = range.split_once('-')?;
            rest.starts_with('r').then_some((from, to))
        });
        if let Some((from, to)) = words {
            let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
            memory.seek(SeekFrom::Start(from))?;
            io::copy(&mut (&memory).take(to - from), &mut io::sink())?;
        }
    }
    Ok(())
}

/// How often each plugin's code is mapped, by the files in the kernel's data directory; last, how
/// often something else there is.
pub(crate) fn copies(data: &Path) -> Result<[usize; PLUGINS.len() + 1]> {
    Ok(copies_in(&maps()?, data))
}

fn maps() -> Result<String> {
    fs::read_to_string("/proc/self/maps").context("cannot read `/proc/self/maps`")
}

fn copies_in(maps: &str, data: &Path) -> [usize; PLUGINS.len() + 1] {
    let mut copies = [0; PLUGINS.len() + 1];
    let mut last = None;
    for line in maps.lines() {
        let file = line.find('/').map(|at| Path::new(&line[at..]));
        let Some(file) = file.filter(|file| file.starts_with(data)) else {
            continue;
        };
        // The mappings of one library lie together.
        if last.replace(file) != Some(file) {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let mine = |plugin: &&str| name.starts_with(&format!("{plugin}-"));
            copies[PLUGINS.iter().position(mine).unwrap_or(PLUGINS.len())] += 1;
        }
    }
    copies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_copy_of_a_library_is_counted_once() {
        let maps = "\
            1000-2000 r--p 00000000 08:01 7 /d/staged/1-0/stateless-ab-1.so\n\
            2000-3000 r-xp 00001000 08:01 7 /d/staged/1-0/stateless-ab-1.so\n\
            3000-4000 rw-p 00000000 00:00 0 \n\
            4000-5000 r--p 00000000 08:01 8 /d/staged/1-0/counting-ab-2.so\n\
            5000-6000 r--p 00000000 08:01 9 /d/staged/1-0/counting-cd-3.so (deleted)\n\
            6000-7000 r--p 00000000 08:01 5 /usr/lib/libc.so.6\n\
            7000-8000 r--p 00000000 08:01 6 /d/other.so\n\
            8000-9000 rw-p 00000000 00:00 0 [stack]\n";
        assert_eq!(copies_in(maps, Path::new("/d")), [1, 2, 0, 1]);
    }
}
