//! One file as it was told, and as it is while that has not settled.

use std::time::Instant;

use super::WatchOptions;
use super::route::Route;
use super::stamp::{Sight, Stamp};

/// A file that is watched.
#[derive(Debug)]
pub(super) struct Item {
    /// It was named, not found in the directory: it is watched even while it is missing.
    pub(super) is_single: bool,
    /// The way to it, if that is not just its name in the directory.
    pub(super) route: Option<Route>,
    told: Stamp,
    unsettled: Option<Unsettled>,
}

#[derive(Debug)]
struct Unsettled {
    stamp: Stamp,
    until: Instant,
}

/// What there is to tell of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Changed,
    Removed,
}

impl Item {
    pub(super) fn new(is_single: bool) -> Self {
        Item {
            is_single,
            route: None,
            told: Stamp::Missing,
            unsettled: None,
        }
    }

    /// Takes what is seen now for known, without telling.
    pub(super) fn accept(&mut self, sight: Sight) {
        self.told = self.relevant(sight);
        self.unsettled = None;
    }

    /// Compares what is seen now with what was told; news are what stayed for long enough.
    pub(super) fn see(
        &mut self,
        sight: Sight,
        now: Instant,
        options: &WatchOptions,
    ) -> Option<News> {
        let stamp = self.relevant(sight);
        if stamp == self.told {
            self.unsettled = None;
            return None;
        }
        let (patience, news) = match stamp {
            Stamp::Missing => (options.gone, News::Removed),
            _ => (options.quiet, News::Changed),
        };
        match &self.unsettled {
            Some(unsettled) if unsettled.stamp == stamp => {
                if now < unsettled.until {
                    return None;
                }
                self.told = stamp;
                self.unsettled = None;
                Some(news)
            }
            _ => {
                let until = now + patience;
                self.unsettled = Some(Unsettled { stamp, until });
                None
            }
        }
    }

    /// When to look again even if nothing is heard.
    pub(super) fn due(&self) -> Option<Instant> {
        self.unsettled.as_ref().map(|unsettled| unsettled.until)
    }

    /// True if there is nothing to remember; a link that leads nowhere now may lead there later.
    pub(super) fn is_forgotten(&self) -> bool {
        let is_missing = self.told == Stamp::Missing && self.unsettled.is_none();
        is_missing && !self.is_single && self.route.is_none()
    }

    /// A directory with the name of a library is none, but a link to one is listed as one.
    fn relevant(&self, sight: Sight) -> Stamp {
        match sight.stamp {
            Stamp::Directory if !self.is_single && !sight.is_link => Stamp::Missing,
            stamp => stamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const QUIET: Duration = Duration::from_millis(50);
    const GONE: Duration = Duration::from_millis(500);

    /// Shows sights at points in time, in milliseconds, and checks what is told at each.
    fn check(sights: &[(u64, Stamp, Option<News>)]) {
        let options = WatchOptions {
            quiet: QUIET,
            gone: GONE,
            ..WatchOptions::default()
        };
        let start = Instant::now();
        let mut item = Item::new(false);
        item.accept(seen(HERE));
        for (at, stamp, expected) in sights {
            let now = start + Duration::from_millis(*at);
            let news = item.see(seen(*stamp), now, &options);
            assert_eq!(news, *expected, "{stamp:?} at {at} ms of {sights:?}");
        }
    }

    fn seen(stamp: Stamp) -> Sight {
        Sight {
            stamp,
            is_link: false,
        }
    }

    const HERE: Stamp = Stamp::Hidden(std::io::ErrorKind::Other);
    const OTHER: Stamp = Stamp::Hidden(std::io::ErrorKind::PermissionDenied);
    const THIRD: Stamp = Stamp::Hidden(std::io::ErrorKind::TimedOut);

    #[test]
    fn a_change_is_told_once_when_it_has_stayed() {
        check(&[
            (0, OTHER, None),
            (49, OTHER, None),
            (50, OTHER, Some(News::Changed)),
            (200, OTHER, None),
        ]);
        check(&[
            (0, OTHER, None),
            (40, THIRD, None),
            (80, THIRD, None),
            (90, THIRD, Some(News::Changed)),
        ]);
    }

    #[test]
    fn what_never_settles_is_never_told() {
        check(&[
            (0, OTHER, None),
            (50, THIRD, None),
            (100, OTHER, None),
            (150, THIRD, None),
        ]);
        check(&[(0, OTHER, None), (49, HERE, None), (50, OTHER, None)]);
    }

    #[test]
    fn what_is_missing_has_longer_to_come_back() {
        let missing = Stamp::Missing;
        check(&[
            (0, missing, None),
            (499, missing, None),
            (500, missing, Some(News::Removed)),
            (600, missing, None),
            (700, HERE, None),
            (750, HERE, Some(News::Changed)),
        ]);
        check(&[
            (0, missing, None),
            (499, OTHER, None),
            (549, OTHER, Some(News::Changed)),
        ]);
        // A directory of that name is no file.
        check(&[
            (0, Stamp::Directory, None),
            (500, missing, Some(News::Removed)),
        ]);
    }
}
