//! Text for people: tables, times, and lines that stay lines.

use std::borrow::Cow;
use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

/// The time of day here, from nanoseconds since 1970.
pub(crate) fn clock(nanos: u64) -> String {
    clock_in(nanos, TimeZone::system())
}

/// A moment, with its day: `2026-11-21 12:03:04`.
pub(crate) fn moment(nanos: u64) -> String {
    moment_in(nanos, TimeZone::system())
}

fn moment_in(nanos: u64, zone: TimeZone) -> String {
    let stamp = Timestamp::from_nanosecond(nanos.into()).unwrap_or_default();
    stamp
        .to_zoned(zone)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

fn clock_in(nanos: u64, zone: TimeZone) -> String {
    let stamp = Timestamp::from_nanosecond(nanos.into()).unwrap_or_default();
    stamp.to_zoned(zone).strftime("%H:%M:%S").to_string()
}

/// How long something has lasted, in one unit: `3s`, `12m`, `5h`, `2d`.
pub(crate) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long something took, in two or three digits: `850 µs`, `3.1 ms`, `1.2 s`.
pub(crate) fn took(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match time.as_micros() {
        0..=999 => format!("{:.0} µs", seconds * 1e6),
        1_000..=9_999 => format!("{:.1} ms", seconds * 1e3),
        10_000..=999_999 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

/// The same text without what would break the line or command the terminal.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect::<String>().into()
}

/// The same text, cut to `width` characters if there is a width.
pub(crate) fn fit(text: &str, width: Option<usize>) -> Cow<'_, str> {
    let Some(width) = width else {
        return text.into();
    };
    if text.chars().count() <= width {
        return text.into();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut.into()
}

/// Rows under their headings, in columns two spaces apart; lines are cut to `width`.
pub(crate) fn table<const N: usize>(
    heading: [&str; N],
    rows: &[[String; N]],
    width: Option<usize>,
) -> String {
    let heading = heading.map(str::to_owned);
    let all: Vec<&[String; N]> = std::iter::once(&heading).chain(rows).collect();
    let length = |column: usize| {
        let cells = all.iter().map(|row| one_line(&row[column]).chars().count());
        cells.max().unwrap_or(0)
    };
    let lengths: Vec<usize> = (0..N).map(length).collect();
    let line = |row: &&[String; N]| {
        let cells = row.iter().zip(&lengths);
        let padded = cells.map(|(cell, length)| format!("{:<length$}", one_line(cell)));
        let line = padded.collect::<Vec<_>>().join("  ");
        fit(line.trim_end(), width).into_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// An amount of memory, in the largest unit that says it exactly: `16MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let mut fitting = units.into_iter();
    match fitting.find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => count(usize::try_from(bytes).unwrap_or(usize::MAX), "byte"),
    }
}

/// An amount of memory, rounded to a tenth of its unit: `1.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => self::bytes(bytes),
    }
}

/// `1 record`, `2 records`.
pub(crate) fn records(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "record")
}

/// `1 plugin`, `2 plugins`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(clock_in(43_384_000_000_000, TimeZone::UTC), "12:03:04");
        let moment = moment_in(1_795_262_584_000_000_000, TimeZone::UTC);
        assert_eq!(moment, "2026-11-21 12:03:04");
        let ages = [0, 119, 120, 7_199, 7_200, 200_000];
        let ages = ages.map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0s", "119s", "2m", "119m", "2h", "2d"]);
        let times = [850, 3_140, 31_400, 314_000, 3_140_000, 65_000_000];
        let times = times.map(|micros| took(Duration::from_micros(micros)));
        let expect = ["850 µs", "3.1 ms", "31 ms", "314 ms", "3.1 s", "65.0 s"];
        assert_eq!(times, expect);
    }

    #[test]
    fn amounts_are_exact() {
        let amounts = [0, 1, 1_023, 3 << 10, 16 << 20, 5 << 30].map(bytes);
        let expect = ["0 bytes", "1 byte", "1023 bytes", "3KiB", "16MiB", "5GiB"];
        assert_eq!(amounts, expect);
    }

    #[test]
    fn sizes_are_rounded() {
        let sizes = [0, 1, 1_023, 1_536, 5 << 20, (5 << 30) + (1 << 29), 3 << 40].map(size);
        let expect = [
            "0 bytes",
            "1 byte",
            "1023 bytes",
            "1.5 KiB",
            "5.0 MiB",
            "5.5 GiB",
            "3.0 TiB",
        ];
        assert_eq!(sizes, expect);
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(one_line("a\nb\u{1b}[31mc"), "a b\u{fffd}[31mc");
        assert_eq!(fit("düsseldorf", Some(5)), "düss…");
        assert_eq!(fit("dorf", Some(5)), "dorf");
        assert_eq!(fit("düsseldorf", None), "düsseldorf");
    }

    #[test]
    fn columns_stand_in_line() {
        let rows = [
            ["lamp".to_owned(), "started".to_owned(), String::new()],
            [
                "sysmon".to_owned(),
                "failed".to_owned(),
                "no fan".to_owned(),
            ],
        ];
        assert_eq!(
            table(["NAME", "STATE", "PROBLEM"], &rows, Some(20)),
            "NAME    STATE    PR…\nlamp    started\nsysmon  failed   no…"
        );
    }
}
