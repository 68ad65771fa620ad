//! How long calls take, in the 100 ms around a switch of their plugin and in quiet times.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::plugins::PLUGINS;

/// How far from a switch a call is still one of those around it.
pub(crate) const AROUND: Duration = Duration::from_millis(50);

/// The latencies of calls, by plugin.
pub(crate) type Latency = [Latencies; PLUGINS.len()];

/// The latencies of the calls of one plugin.
#[derive(Debug, Default, Clone)]
pub(crate) struct Latencies {
    pub(crate) quiet: Times,
    pub(crate) around: Times,
}

/// Many times, each to about 1 %, in memory that does not grow.
#[derive(Debug, Clone)]
pub(crate) struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        let minute = 60_000_000_000;
        let mut histogram = Histogram::new_with_bounds(1, minute, 2).expect("bounds in order");
        // Each page is touched now, so that later ones do not look like a leak.
        histogram.saturating_record(minute);
        histogram.reset();
        Self(histogram)
    }
}

impl Times {
    pub(crate) fn note(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time within which so much of them lies; 0.5 is the median.
    pub(crate) fn at(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }

    /// The longest.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }
}
