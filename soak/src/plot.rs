//! Draws the latencies of calls: for each plugin, the part of the calls that takes longer than a
//! time, around switches and in quiet times.

use std::{fmt::Write as _, time::Duration};

use crate::{
    latency::{Latency, Times},
    plugins::PLUGINS,
};

/// The size of a panel's field, and what lies around it.
const FIELD: (f64, f64) = (250.0, 220.0);
const LEFT: f64 = 62.0;
const TOP: f64 = 62.0;
const GAP: f64 = 26.0;
const BOTTOM: f64 = 52.0;

/// The vertical axis: from 1 µs on, so many powers of ten.
const DECADES: f64 = 6.0;
const TIMES: [&str; 7] = ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"];
/// The horizontal axis: so many nines.
const PARTS: [&str; 6] = ["0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"];

/// What a reload of each plugin is like.
const KINDS: [&str; PLUGINS.len()] = [
    "nobody waits",
    "calls wait for its state",
    "calls wait for its port",
];

const QUIET: &str = "#2a78b8";
const AROUND: &str = "#d0662a";

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #444 }
.title { font-size: 13px; font-weight: 600; fill: #222 }
.grid { stroke: #ddd; stroke-width: 1 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.back { fill: #fff }
";

/// The plot, as SVG.
pub(crate) fn draw(latency: &Latency) -> String {
    let width = LEFT + PLUGINS.len() as f64 * (FIELD.0 + GAP);
    let height = TOP + FIELD.1 + BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\">\n\
         <title>How long calls take around reloads</title>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n"
    );
    legend(&mut svg, LEFT, "in quiet times", QUIET);
    legend(
        &mut svg,
        LEFT + 130.0,
        "in the 100 ms around a switch",
        AROUND,
    );
    for (number, (plugin, of)) in PLUGINS.iter().zip(latency).enumerate() {
        let left = LEFT + number as f64 * (FIELD.0 + GAP);
        let title = format!("{plugin}: {}", KINDS[number]);
        text(&mut svg, (left, TOP - 10.0), "title", "start", &title);
        grid(&mut svg, left, number == 0);
        line(&mut svg, left, &of.quiet, QUIET);
        line(&mut svg, left, &of.around, AROUND);
    }
    let middle = (LEFT + width - GAP) / 2.0;
    let bottom = (middle, height - 10.0);
    text(
        &mut svg,
        bottom,
        "axis",
        "middle",
        "part of the calls that are answered within the time",
    );
    svg + "</svg>\n"
}

fn legend(svg: &mut String, left: f64, what: &str, colour: &str) {
    stroke(svg, "line", &[(left, 20.0), (left + 22.0, 20.0)], colour);
    text(svg, (left + 28.0, 24.0), "legend", "start", what);
}

fn grid(svg: &mut String, left: f64, is_first: bool) {
    for (decade, time) in TIMES.iter().enumerate() {
        let y = height_of(Duration::from_micros(10_u64.pow(decade as u32)));
        stroke(svg, "grid", &[(left, y), (left + FIELD.0, y)], "#ddd");
        if is_first {
            text(svg, (left - 8.0, y + 4.0), "axis", "end", time);
        }
    }
    for (nines, part) in PARTS.iter().enumerate() {
        let x = left + FIELD.0 * nines as f64 / (PARTS.len() - 1) as f64;
        stroke(svg, "grid", &[(x, TOP), (x, TOP + FIELD.1)], "#ddd");
        let is_crowded = nines % 2 == 1;
        if !is_crowded {
            text(svg, (x, TOP + FIELD.1 + 18.0), "axis", "middle", part);
        }
    }
}

/// The line of one distribution: on the way to the right, the part not yet covered shrinks by the
/// same factor with each step.
fn line(svg: &mut String, left: f64, times: &Times, colour: &str) {
    const STEPS: u32 = 100;
    let most = (PARTS.len() - 1) as f64;
    // Beyond this, it would be drawn from less than ten calls.
    let known = (times.count() as f64 / 10.0).log10().clamp(0.0, most);
    let point = |step| {
        let nines = known * f64::from(step) / f64::from(STEPS);
        let time = times.at(1.0 - 10_f64.powf(-nines));
        (left + FIELD.0 * nines / most, height_of(time))
    };
    let points: Vec<_> = (0..=STEPS).map(point).collect();
    stroke(svg, "line", &points, colour);
}

fn height_of(time: Duration) -> f64 {
    let decades = (time.as_secs_f64() * 1e6).max(1.0).log10().min(DECADES);
    TOP + FIELD.1 * (1.0 - decades / DECADES)
}

fn stroke(svg: &mut String, class: &str, points: &[(f64, f64)], colour: &str) {
    let points: Vec<_> = points
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let points = points.join(" ");
    let line = format!("<polyline class=\"{class}\" stroke=\"{colour}\" points=\"{points}\"/>");
    writeln!(svg, "{line}").expect("a string takes all");
}

fn text(svg: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, what: &str) {
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"");
    writeln!(svg, "<text class=\"{class}\" {place}>{what}</text>").expect("a string takes all");
}
