//! A link whose other end keeps to nothing: neither the socket nor the memory make more than an
//! error. As long as it keeps to all, what one end sends is what the other receives.

#![no_main]

use std::{collections::VecDeque, time::Duration};

use libfuzzer_sys::fuzz_target;
use octa_fuzz::{Peer, Script};
use octa_loader::{Link, LinkError};

/// Bytes of a ring: few, so that it is soon full.
const RING_BYTES: [usize; 3] = [0, 4096, 8192];
/// The most bytes of a frame.
const FRAME_BYTES: usize = 20_000;
/// The most frames that are received at once.
const FRAMES: u8 = 8;

/// The frames that were sent one way and have to be received; none once that cannot be known.
type UnderWay = Option<VecDeque<Vec<u8>>>;

struct Scene {
    ours: Link,
    peer: Peer,
    to_peer: UnderWay,
    to_us: UnderWay,
    uses_rings: bool,
}

impl Scene {
    fn new(ring_bytes: usize) -> Self {
        let (ours, end) = Link::pair(ring_bytes).expect("the system gives a pair of ends");
        Self {
            ours,
            peer: Peer::new(end).expect("the end is one"),
            to_peer: Some(VecDeque::new()),
            to_us: Some(VecDeque::new()),
            uses_rings: false,
        }
    }

    /// The other end does something that it must not.
    fn break_rules(&mut self) -> &Peer {
        (self.to_peer, self.to_us) = (None, None);
        &self.peer
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        match step % 16 {
            0..=2 => send(&self.ours, &mut self.to_peer, script),
            3 | 4 => send(&self.peer.link, &mut self.to_us, script),
            5 | 6 => receive(&self.ours, &mut self.to_us, script),
            7 | 8 => receive(&self.peer.link, &mut self.to_peer, script),
            9 => drop(self.ours.park(Some(Duration::ZERO))),
            10 => drop(self.peer.link.park(Some(Duration::ZERO))),
            11 => self.use_rings(script),
            12 => self.break_rules().write(script.bytes()),
            13 | 14 => self.break_rules().scribble(script),
            _ => self.break_rules().close(script),
        }
    }

    /// Both ends change to the rings, one after the other; or only one, or at the wrong time.
    fn use_rings(&mut self, script: &mut Script<'_>) {
        let is_empty = |way: &UnderWay| way.as_ref().is_some_and(VecDeque::is_empty);
        if self.uses_rings {
            return;
        }
        self.uses_rings = true;
        if is_empty(&self.to_peer) && is_empty(&self.to_us) && script.flag() {
            self.peer.link.use_rings();
            if script.flag() {
                send(&self.peer.link, &mut self.to_us, script);
            }
            self.ours.use_rings();
            return;
        }
        if script.flag() {
            self.break_rules().link.use_rings();
        }
        self.break_rules();
        self.ours.use_rings();
    }
}

fn send(from: &Link, under_way: &mut UnderWay, script: &mut Script<'_>) {
    let length = usize::from(script.short()) % FRAME_BYTES + 1;
    let salt = script.byte();
    let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8 ^ salt).collect();
    let prefix = u32::try_from(length).expect("it is small").to_le_bytes();
    let sent = from.send(&[&prefix, &*bytes].concat());
    if let Some(frames) = under_way {
        assert_eq!(sent, Ok(()), "the other end keeps to all");
        frames.push_back(bytes);
    }
}

fn receive(at: &Link, under_way: &mut UnderWay, script: &mut Script<'_>) {
    let Some(mut receiving) = at.try_receive() else {
        panic!("nobody holds it");
    };
    for _ in 0..script.below(FRAMES) {
        match (receiving.next(), &mut *under_way) {
            (Ok(Some(found)), Some(frames)) => {
                assert_eq!(frames.pop_front().as_deref(), Some(found), "a frame");
            }
            (Ok(Some(_)), None) => {}
            (Ok(None), _) => drop(receiving.spin(Duration::ZERO)),
            (Err(error), None) => return check_lasting(&mut receiving.next(), error),
            (Err(error), Some(_)) => panic!("the other end keeps to all: {error}"),
        }
    }
    if script.flag() {
        receiving.stay_awake();
    }
}

/// What is wrong with an end stays so.
fn check_lasting(again: &mut Result<Option<&[u8]>, LinkError>, error: LinkError) {
    assert_eq!(*again, Err(error), "after it was said once");
}

/// Both ends go on until there is nothing more under way.
fn settle(scene: &mut Scene) {
    for _ in 0..1000 {
        if scene.to_peer.is_none() {
            return;
        }
        let under_way = |way: &UnderWay| way.as_ref().map_or(0, VecDeque::len);
        if under_way(&scene.to_peer) + under_way(&scene.to_us) == 0 {
            return;
        }
        for end in [&scene.ours, &scene.peer.link] {
            end.park(Some(Duration::ZERO)).expect("both keep to all");
        }
        let mut all = Script::new(&[FRAMES - 1, 0]);
        receive(&scene.ours, &mut scene.to_us, &mut all);
        let mut all = Script::new(&[FRAMES - 1, 0]);
        receive(&scene.peer.link, &mut scene.to_peer, &mut all);
    }
    panic!("frames do not arrive");
}

fuzz_target!(|input: &[u8]| {
    let mut script = Script::new(input);
    let ring_bytes = RING_BYTES[usize::from(script.below(3))];
    let mut scene = Scene::new(ring_bytes);
    while let Some(step) = script.step() {
        scene.step(step, &mut script);
    }
    settle(&mut scene);
});
