//! Every reason in every state that it can explain, thought up and held against what is written
//! in `golden/`. What real kernels make of real plugins is tested where plugins are compiled.
//!
//! `OCTA_BLESS=1 cargo test -p octa-kernel why` writes what is found.

mod calls;
mod houses;

use std::{collections::BTreeSet, fs, path::PathBuf};

use super::*;
use houses::{House, lamp, plugin};

/// The reasons in a tree, each with the state that it is found below.
fn found(why: &Why, below: Option<State>, pairs: &mut BTreeSet<(State, Cause)>) {
    let below = why.state.or(below);
    if let Some(state) = below.filter(|_| why.cause != Cause::Standing) {
        pairs.insert((state, why.cause));
    }
    for cause in &why.causes {
        found(cause, below, pairs);
    }
}

/// Explains the lamp of a house, with nothing in it that the table does not know.
fn explained(house: House) -> (Why, BTreeSet<(State, Cause)>) {
    let why = house.why("lamp").expect("there is a lamp");
    let mut pairs = BTreeSet::new();
    found(&why, None, &mut pairs);
    for (state, cause) in &pairs {
        assert!(cause.states().contains(state), "{cause} in {state}: {why}");
    }
    (why, pairs)
}

/// Holds a text against the golden file of its name.
fn check(name: &str, found: &str) {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/why/golden");
    let path = golden.join(format!("{name}.txt"));
    if option_env!("OCTA_BLESS").is_some() {
        fs::write(&path, found).expect("the golden files are writable");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, written, "{}", path.display());
}

/// Every reason that a state can have, each in a section of its own.
fn sections(state: State) -> String {
    let causes = Cause::ALL.iter().copied();
    let causes = causes.filter(|cause| cause.states().contains(&state));
    let section = |cause| {
        let (why, pairs) = explained(houses::with(state, cause));
        assert!(pairs.contains(&(state, cause)), "no {cause} in: {why}");
        format!("# {cause}\n{why}\n")
    };
    causes.map(section).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_reason_of_every_state_is_as_it_is_written() {
    for state in State::ALL {
        check(&state.to_string(), &sections(state));
    }
}

#[test]
fn every_reason_explains_something() {
    let alone = [Cause::Standing, Cause::Capability, Cause::RejectedFile];
    for cause in Cause::ALL {
        let is_alone = alone.contains(cause) || calls::with(*cause).is_some();
        assert_eq!(cause.states().is_empty(), is_alone, "{cause}");
        assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
    }
}

#[test]
fn no_state_is_without_a_reason() {
    for state in State::ALL {
        let (why, _) = explained(House::of([lamp(state)]));
        assert!(!why.causes.is_empty(), "{why}");
    }
}

#[test]
fn a_capability_is_explained_by_those_who_offer_it_and_a_shared_cause_once() {
    let offers = |name| {
        plugin(name, State::Blocked)
            .needs("mains", "*")
            .offers("light")
    };
    let mut house = House::of([
        offers("candle"),
        lamp(State::Started).offers("light"),
        offers("torch"),
        plugin("mains", State::Discovered).rests(Rest::Disabled),
    ]);
    house.services.push(calls::service("light", ["lamp"]));
    let why = house.why("light").expect("somebody offers it");
    assert_eq!(
        why.to_string(),
        "\
the capability `light` is offered by 3 plugins
  calls go to its providers in turn: its routing is `round-robin`, as is usual
  `lamp` gets every call: nobody else offers this now
    `lamp` 1.2.0 is started
      generation 3, version 1.2.0 with content 1a2b3c4d, serves in the kernel's process
  `candle` gets no calls: it is not started
    `candle` 1.2.0 is blocked
      it needs the plugin `mains`, which does not run
        `mains` 1.2.0 is discovered
          it is disabled in the configuration
            hint: set `enabled = true` under `[plugins.mains]`
  `torch` gets no calls: it is not started
    `torch` 1.2.0 is blocked
      it needs the plugin `mains`, which does not run
        `mains` is explained above
  a call has 30s unless its caller says otherwise, as `call_deadline` in `[kernel]` says"
    );
}
