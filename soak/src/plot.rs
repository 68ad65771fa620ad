//! Draws the latencies of calls: for each plugin, the part of the calls that takes longer than a
//! time, around switches and in quiet times.

use std::ops::RangeInclusive;

use octa_bench_plot::{Axis, Line, Panel, Plot, place_of};

use crate::{
    latency::{Latency, Times},
    plugins::PLUGINS,
};

/// The vertical axis: from 1 µs to 1 s.
const TIMES: RangeInclusive<u8> = 3..=9;
/// The horizontal axis: so many nines. Every other one is told, for there is no room.
const PARTS: [&str; 6] = ["0", "", "99 %", "", "99.99 %", ""];

/// What a reload of each plugin is like.
const KINDS: [&str; PLUGINS.len()] = [
    "nobody waits",
    "calls wait for its state",
    "calls wait for its port",
];

/// The plot, as SVG.
pub(crate) fn draw(latency: &Latency) -> String {
    let ticks = (0..).map(f64::from).zip(PARTS.map(str::to_owned));
    let across = Axis {
        title: "part of the calls answered in time".to_owned(),
        ticks: ticks.collect(),
    };
    let panels = PLUGINS.iter().zip(KINDS).zip(latency);
    let panels = panels.map(|((plugin, kind), of)| Panel {
        title: format!("{plugin}: {kind}"),
        across: across.clone(),
        lines: vec![
            line("in quiet times", &of.quiet),
            line("in the 100 ms around a switch", &of.around),
        ],
    });
    let plot = Plot {
        title: "How long calls take around reloads".to_owned(),
        up: Axis::of_times(TIMES),
        panels: panels.collect(),
    };
    plot.draw()
}

/// The line of one distribution: on the way to the right, the part not yet covered shrinks by the
/// same factor with each step.
fn line(name: &str, times: &Times) -> Line {
    const STEPS: u32 = 100;
    let most = (PARTS.len() - 1) as f64;
    // Beyond this, it would be drawn from less than ten calls.
    let known = (times.count() as f64 / 10.0).log10().clamp(0.0, most);
    let point = |step| {
        let nines = known * f64::from(step) / f64::from(STEPS);
        (nines, place_of(times.at(1.0 - 10_f64.powf(-nines))))
    };
    Line {
        name: name.to_owned(),
        points: (0..=STEPS).map(point).collect(),
        is_dotted: false,
    }
}
