//! Draws panels of lines beside each other, as SVG. What is drawn, and on which scale, is up to
//! the programs that measure.

#![forbid(unsafe_code)]

use std::{fmt::Write as _, ops::RangeInclusive, time::Duration};

/// The size of a panel's field, and what lies around it.
const FIELD: (f64, f64) = (250.0, 220.0);
const LEFT: f64 = 62.0;
const GAP: f64 = 44.0;
const BOTTOM: f64 = 52.0;
/// How high a line of text is, and where that of the legend stands which is first.
const ROW: f64 = 18.0;
const FIRST: f64 = 20.0;

/// What lines are told apart by, in the order in which their names first come.
const COLOURS: [&str; 7] = [
    "#2a78b8", "#d0662a", "#3f8f4f", "#8a5fb0", "#b8336a", "#7a6a2a", "#4a4a4a",
];

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #444 }
.title { font-size: 13px; font-weight: 600; fill: #222 }
.grid { stroke: #ddd; stroke-width: 1 }
.line { fill: none; stroke-width: 2; stroke-linejoin: round }
.back { fill: #fff }
";

/// Panels that share the vertical axis.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// From the bottom to the top.
    pub up: Axis,
    /// From the left to the right.
    pub panels: Vec<Panel>,
}

/// A field with lines.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// From the left to the right.
    pub across: Axis,
    /// Those of one name have one colour, in all panels; the first panel that has it tells it.
    pub lines: Vec<Line>,
}

/// A line through points.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// Places on the axis across and on that up. Beyond an axis counts as at its end.
    pub points: Vec<(f64, f64)>,
    /// Whether each point is shown, because nothing is known of what lies between them.
    pub is_dotted: bool,
}

/// An axis from its first tick to its last one.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What is counted on it, or nothing.
    pub title: String,
    /// Places in rising order, and what stands there.
    pub ticks: Vec<(f64, String)>,
}

/// Where a time stands on [`Axis::of_times`].
pub fn place_of(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e9).max(1.0).log10()
}

impl Axis {
    /// Times, each power of ten as long as the next: 3 is that of 10³ nanoseconds.
    pub fn of_times(powers: RangeInclusive<u8>) -> Self {
        let unit = |power: u8| ["ns", "µs", "ms", "s"][usize::from(power / 3).min(3)];
        let told = |power: u8| {
            let count = 10_u64.pow(u32::from(power - (power / 3).min(3) * 3));
            format!("{count} {}", unit(power))
        };
        let ticks = powers.map(|power| (f64::from(power), told(power)));
        Self {
            title: String::new(),
            ticks: ticks.collect(),
        }
    }

    /// How far a place is along the axis, from 0.0 to 1.0.
    fn part(&self, place: f64) -> f64 {
        let end = |tick: Option<&(f64, String)>| tick.map_or(0.0, |(place, _)| *place);
        let (first, last) = (end(self.ticks.first()), end(self.ticks.last()));
        let length = last - first;
        // An axis of one place has no length.
        if length > 0.0 {
            ((place - first) / length).clamp(0.0, 1.0)
        } else {
            0.5
        }
    }
}

impl Plot {
    /// As SVG.
    pub fn draw(&self) -> String {
        let names = self.names();
        let rows = self.panels.iter().map(|panel| told_in(panel, &names).len());
        let top = FIRST + ROW * (rows.max().unwrap_or(0) as f64) + 24.0;
        let width = LEFT + self.panels.len() as f64 * (FIELD.0 + GAP);
        let height = top + FIELD.1 + BOTTOM;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\">\n\
             <title>{}</title>\n\
             <style>\n{STYLE}</style>\n\
             <rect class=\"back\" width=\"{width}\" height=\"{height}\"/>\n",
            escaped(&self.title)
        );
        for (number, panel) in self.panels.iter().enumerate() {
            let left = LEFT + number as f64 * (FIELD.0 + GAP);
            Field {
                svg: &mut svg,
                left,
                top,
                up: &self.up,
                panel,
            }
            .draw(number == 0, &names);
        }
        svg + "</svg>\n"
    }

    /// The names of the lines, and the panel that each comes in first.
    fn names(&self) -> Vec<(&str, &Panel)> {
        let mut names: Vec<(&str, &Panel)> = Vec::new();
        for panel in &self.panels {
            for line in &panel.lines {
                if !names.iter().any(|(name, _)| *name == line.name) {
                    names.push((&line.name, panel));
                }
            }
        }
        names
    }
}

/// The names that are told in a panel, with their colours.
fn told_in<'a>(panel: &Panel, names: &[(&'a str, &Panel)]) -> Vec<(&'a str, &'static str)> {
    let coloured = names.iter().zip(COLOURS.iter().cycle());
    coloured
        .filter(|((_, first), _)| std::ptr::eq(*first, panel))
        .map(|((name, _), colour)| (*name, *colour))
        .collect()
}

/// A panel that is being drawn.
struct Field<'a> {
    svg: &'a mut String,
    left: f64,
    top: f64,
    up: &'a Axis,
    panel: &'a Panel,
}

impl Field<'_> {
    fn draw(&mut self, is_first: bool, names: &[(&str, &Panel)]) {
        for (row, (name, colour)) in told_in(self.panel, names).into_iter().enumerate() {
            self.legend(FIRST + ROW * row as f64, name, colour);
        }
        let place = (self.left, self.top - 10.0);
        text(self.svg, place, "title", "start", &self.panel.title);
        self.grid(is_first);
        for line in &self.panel.lines {
            let number = names.iter().position(|(name, _)| *name == line.name);
            self.line(line, COLOURS[number.unwrap_or(0) % COLOURS.len()]);
        }
    }

    fn legend(&mut self, y: f64, name: &str, colour: &str) {
        let ends = [(self.left, y), (self.left + 22.0, y)];
        stroke(self.svg, "line", &ends, colour);
        let place = (self.left + 28.0, y + 4.0);
        text(self.svg, place, "legend", "start", name);
    }

    fn grid(&mut self, is_first: bool) {
        for (place, told) in &self.up.ticks {
            let y = self.y(*place);
            let ends = [(self.left, y), (self.left + FIELD.0, y)];
            stroke(self.svg, "grid", &ends, "#ddd");
            if is_first {
                text(self.svg, (self.left - 8.0, y + 4.0), "axis", "end", told);
            }
        }
        let bottom = self.top + FIELD.1;
        for (place, told) in &self.panel.across.ticks {
            let x = self.x(*place);
            stroke(self.svg, "grid", &[(x, self.top), (x, bottom)], "#ddd");
            text(self.svg, (x, bottom + 18.0), "axis", "middle", told);
        }
        let middle = (self.left + FIELD.0 / 2.0, bottom + BOTTOM - 10.0);
        let title = &self.panel.across.title;
        text(self.svg, middle, "axis", "middle", title);
    }

    fn line(&mut self, line: &Line, colour: &str) {
        let points = line.points.iter().map(|(x, y)| (self.x(*x), self.y(*y)));
        let points: Vec<_> = points.collect();
        stroke(self.svg, "line", &points, colour);
        for (x, y) in points.into_iter().filter(|_| line.is_dotted) {
            let dot = format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            writeln!(self.svg, "{dot}").expect("a string takes all");
        }
    }

    fn x(&self, place: f64) -> f64 {
        self.left + FIELD.0 * self.panel.across.part(place)
    }

    fn y(&self, place: f64) -> f64 {
        self.top + FIELD.1 * (1.0 - self.up.part(place))
    }
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
    if what.is_empty() {
        return;
    }
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"");
    let what = escaped(what);
    writeln!(svg, "<text class=\"{class}\" {place}>{what}</text>").expect("a string takes all");
}

fn escaped(what: &str) -> String {
    what.replace('&', "&amp;").replace('<', "&lt;")
}
