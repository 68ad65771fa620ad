//! Whether a standby or a backup is the database as it was at one moment: whole, and nothing else.

use crate::damage::{Damage, Kind};
use crate::found::Found;
use crate::layout::{TOGETHER, WRITERS, member};

/// Compares a copy with its original as it is later; `name` is what the copy is called.
pub(crate) fn check(name: &str, copy: &Found, original: &Found) -> Vec<Damage> {
    let mut damages = Vec::new();
    let mut add = |what: String| damages.push(Damage::new(Kind::Copy, format!("{name} {what}")));
    let moment = copy.last_version;
    if moment > original.last_version {
        let last = original.last_version;
        add(format!("is at {moment}, its original at {last}"));
    }
    for ((namespace, key), (version, value)) in &copy.records {
        let at = (namespace.clone(), key.clone());
        match original.records.get(&at) {
            Some((now, _)) if now > version && *now > moment => {}
            Some((now, there)) if now == version && there == value => {}
            // It was deleted later.
            None => {}
            Some((now, _)) => add(format!(
                "at {moment} has version {version} of `{namespace}/{key}`, its original has {now}"
            )),
        }
    }
    for ((namespace, key), (version, _)) in &original.records {
        let at = (namespace.clone(), key.clone());
        if *version <= moment && !copy.records.contains_key(&at) {
            add(format!(
                "at {moment} lacks version {version} of `{namespace}/{key}`"
            ));
        }
    }
    for writer in 0..WRITERS {
        let keys = (0..TOGETHER).map(|number| member(writer, number).1);
        let mut authors = keys.map(|key| copy.values.get(&key).map(|it| it.by));
        let first = authors.next().flatten();
        if authors.any(|author| author != first) {
            add(format!("at {moment} has half a batch of writer {writer}"));
        }
    }
    damages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::Written;
    use crate::word::Id;

    /// A database with these versions of keys.
    fn database(last_version: u64, records: &[(&str, u64)]) -> Found {
        let record = |(key, version): &(&str, u64)| {
            let at = ("crash".to_owned(), (*key).to_owned());
            (at, (*version, version.to_string().into_bytes()))
        };
        Found {
            last_version,
            records: records.iter().map(record).collect(),
            ..Found::default()
        }
    }

    fn check_copy(copy: &Found, expect: &[&str]) {
        // `b` was written again and `d` deleted since version 4.
        let original = database(7, &[("a", 1), ("b", 6), ("c", 3), ("e", 5)]);
        let damages = check("it", copy, &original);
        let found: Vec<_> = damages.iter().map(|damage| &*damage.what).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn a_copy_is_its_original_as_it_was() {
        check_copy(&database(0, &[]), &[]);
        let whole = [("a", 1), ("b", 2), ("c", 3), ("d", 4)];
        check_copy(&database(4, &whole), &[]);
        check_copy(
            &database(4, &whole[1..]),
            &["it at 4 lacks version 1 of `crash/a`"],
        );
        check_copy(
            &database(5, &whole),
            &["it at 5 lacks version 5 of `crash/e`"],
        );
        check_copy(
            &database(6, &[("a", 1), ("b", 2), ("c", 3), ("e", 5)]),
            &["it at 6 has version 2 of `crash/b`, its original has 6"],
        );
        let ahead = database(8, &[("a", 1), ("b", 6), ("c", 3), ("e", 5)]);
        check_copy(&ahead, &["it is at 8, its original at 7"]);
    }

    #[test]
    fn half_a_batch_is_seen() {
        let by = Id {
            life: 1,
            writer: 0,
            serial: 1,
        };
        let written = Written {
            by,
            version: 2,
            sum: 0,
        };
        let mut copy = database(2, &[]);
        copy.values.insert(member(0, 0).1, written);
        let damages = check("it", &copy, &database(7, &[]));
        let found: Vec<_> = damages.iter().map(|damage| &*damage.what).collect();
        assert_eq!(found, ["it at 2 has half a batch of writer 0"]);
    }
}
