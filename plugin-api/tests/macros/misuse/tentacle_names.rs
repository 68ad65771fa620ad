//! Names and patterns that are none.

use octa_plugin_api::tentacle;

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps", publishes = "lamps.**.on")]
impl Lamps {
    #[capability("lamps.*")]
    fn on(&self) {}

    #[capability("lamps..off")]
    fn off(&self) {}

    #[capability("lamps.turn on")]
    fn turn(&self) {}

    #[capability("lamps.slow", deadline = "5 seconds")]
    fn slow(&self) {}

    #[capability("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q")]
    fn deep(&self) {}

    #[capability("")]
    fn nameless(&self) {}

    #[subscribe("lamps.on*")]
    fn on_and_so_on(&self) {}

    #[subscribe]
    fn changed(&self) {}
}

#[derive(Default)]
struct Cameras;

#[tentacle(name = "Cameras")]
impl Cameras {}

#[derive(Default)]
struct Long;

#[tentacle(name = "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcdefghijk")]
impl Long {}

#[derive(Default)]
struct Doors;

#[tentacle(name = "doors", subscribes("door.*", "door.**.open"))]
impl Doors {}

fn main() {}
