//! Small houses of plugins by hand, and random ones by property.

use std::collections::BTreeSet;

use octa_loader::Dependency;
use proptest::prelude::*;
use semver::VersionReq;

use super::*;

/// A need as `cap.x`, `@plugin`, with ` ^1` for versions and a last `?` if optional.
fn need(text: &str) -> Need {
    let (text, optional) = text
        .strip_suffix('?')
        .map_or((text, false), |text| (text, true));
    let (name, version) = text.split_once(' ').unwrap_or((text, "*"));
    let dependency = match name.strip_prefix('@') {
        Some(name) => Dependency::Plugin(name.into()),
        None => Dependency::Capability(name.into()),
    };
    Need {
        dependency,
        version: VersionReq::parse(version).unwrap(),
        optional,
    }
}

fn member(name: &str, capabilities: &[&str], needs: &[&str]) -> Member {
    Member {
        name: name.into(),
        version: Version::new(1, 2, 3),
        capabilities: capabilities.iter().map(|it| it.to_string()).collect(),
        needs: needs.iter().map(|it| need(it)).collect(),
        standing: Standing::Ready,
    }
}

fn standing(name: &str, standing: Standing) -> Member {
    Member {
        standing,
        ..member(name, &[], &[])
    }
}

/// Waves as `a b | c`.
fn waves(plan: &Plan) -> String {
    plan.start_waves()
        .iter()
        .map(|wave| wave.join(" "))
        .collect::<Vec<_>>()
        .join(" | ")
}

fn why(plan: &Plan, name: &str) -> String {
    plan.blockers(name)
        .iter()
        .map(Blocker::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn independent_plugins_start_together() {
    let plan = Plan::new([
        member("automation", &[], &["devices.turn_on", "@sysmon"]),
        member("devices", &["devices.turn_on"], &[]),
        member("history", &[], &["@automation?"]),
        member("sysmon", &[], &[]),
    ]);
    assert_eq!(waves(&plan), "devices sysmon | automation | history");
    assert_eq!(
        plan.stop_waves(),
        [
            vec!["history"],
            vec!["automation"],
            vec!["devices", "sysmon"]
        ]
    );
    assert!(plan.blocked().is_empty());
    assert_eq!(waves(&Plan::new([])), "");
}

#[test]
fn a_missing_dependency_is_told_with_the_whole_chain() {
    let plan = Plan::new([
        member("a", &[], &["@b"]),
        member("b", &[], &["@c"]),
        member("c", &[], &["lamps.turn_in"]),
        member("lamps", &["lamps.turn_on"], &["@nobody?"]),
    ]);
    assert_eq!(waves(&plan), "lamps");
    let expect = "`b` needs `c`, `c` needs the capability `lamps.turn_in`, which no plugin offers";
    assert_eq!(why(&plan, "b"), expect);
    assert_eq!(why(&plan, "a"), format!("`a` needs `b`, {expect}"));
    assert_eq!(
        plan.blockers("c")[0].hint().unwrap(),
        "did you mean `lamps.turn_on`?"
    );
    assert_eq!(plan.causes(), plan.blockers("c"));
}

#[test]
fn a_cycle_is_one_error_and_stops_only_its_own() {
    let plan = Plan::new([
        member("a", &[], &["@b"]),
        member("b", &[], &["@c"]),
        member("c", &[], &["@a"]),
        member("outside", &[], &["@c"]),
        member("z", &[], &[]),
    ]);
    assert_eq!(waves(&plan), "z");
    let expect = "`a` needs `b`, `b` needs `c`, `c` needs `a`, which closes a cycle";
    assert_eq!(why(&plan, "a"), expect);
    assert!(why(&plan, "outside").starts_with("`outside` needs `c`, `c` needs `a`, "));
    let causes: Vec<String> = plan.causes().iter().map(Blocker::to_string).collect();
    assert_eq!(causes, [expect]);
}

#[test]
fn two_cycles_through_one_plugin_are_two_errors() {
    let plan = Plan::new([
        member("a", &[], &["@b", "@c"]),
        member("b", &[], &["@a"]),
        member("c", &[], &["@a"]),
    ]);
    assert_eq!(plan.causes().len(), 2, "{:?}", plan.causes());
}

#[test]
fn versions_are_of_the_plugin_that_offers() {
    let plan = Plan::new([
        member("a", &["x"], &[]),
        member("b", &[], &["x ^1.2"]),
        member("c", &[], &["x ^2"]),
        member("d", &[], &["@a =1.2.4?"]),
        Member {
            version: Version::parse("1.0.0-beta").unwrap(),
            ..member("e", &["y"], &[])
        },
        member("f", &[], &["y"]),
    ]);
    assert_eq!(waves(&plan), "a d e | b f");
    assert_eq!(
        why(&plan, "c"),
        "`c` needs the capability `x` in version `^2`, found `a` `1.2.3`"
    );
}

#[test]
fn one_of_several_providers_suffices() {
    let broken = Member {
        standing: Standing::Failed,
        ..member("one", &["x"], &[])
    };
    let plan = Plan::new([
        broken.clone(),
        member("two", &["x"], &[]),
        member("user", &[], &["x"]),
    ]);
    assert_eq!(waves(&plan), "two | user");
    assert_eq!(plan.affected_by("one"), BTreeSet::from(["user"]));
    assert!(plan.lost_without("one").is_empty());
    assert_eq!(plan.lost_without("two"), BTreeSet::from(["user"]));
    let alone = Plan::new([broken, member("user", &[], &["x"])]);
    assert_eq!(why(&alone, "user"), "`user` needs `one`, which failed");
}

#[test]
fn a_spare_provider_may_depend_on_its_user() {
    let plan = Plan::new([
        member("basic", &["x"], &[]),
        member("better", &["x"], &["@user"]),
        member("user", &[], &["x"]),
        member("after", &[], &["@better?"]),
    ]);
    assert_eq!(waves(&plan), "basic | user | better | after");
}

#[test]
fn a_circle_of_wishes_blocks_nobody() {
    let plan = Plan::new([
        member("a", &[], &["@b?"]),
        member("b", &[], &["@a?"]),
        member("aa", &[], &["@a?"]),
    ]);
    assert_eq!(waves(&plan), "a | aa b");
    assert_eq!(
        waves(&Plan::new([member("own", &["own.x"], &["own.x", "@own"])])),
        "own"
    );
}

#[test]
fn standing_decides_first() {
    let plan = Plan::new([
        standing("disabled", Standing::Disabled),
        standing("failed", Standing::Failed),
        standing("held", Standing::Held),
        member("u", &[], &["@disabled", "@failed", "@held"]),
    ]);
    assert_eq!(waves(&plan), "");
    assert_eq!(
        why(&plan, "held"),
        "`held` waits for a permission or a configuration"
    );
    assert_eq!(
        why(&plan, "u"),
        "`u` needs `disabled`, which is disabled or stopped; `u` needs `failed`, which failed; \
         `u` needs `held`, which waits for a permission or a configuration"
    );
    assert_eq!(plan.causes().len(), 3);
    assert_eq!(why(&plan, "unknown"), "");
}

#[test]
fn unmet_needs_name_everybody_who_might_have_met_them() {
    let plan = Plan::new([
        standing("off", Standing::Disabled),
        Member {
            standing: Standing::Failed,
            ..member("one", &["x"], &[])
        },
        Member {
            standing: Standing::Failed,
            ..member("two", &["x"], &[])
        },
        member("user", &["own"], &["x", "own", "@off?", "y", "@two ^2"]),
    ]);
    let unmet = plan.unmet("user");
    let lacks: Vec<_> = unmet.iter().map(|it| (it.optional, &it.lack)).collect();
    let not_running = |providers: &[&'static str]| Lack::NotRunning {
        providers: providers.to_vec(),
    };
    let wanted = VersionReq::parse("^2").unwrap();
    let version = Version::new(1, 2, 3);
    let found = vec![("two", &version)];
    assert_eq!(
        lacks,
        [
            (false, &not_running(&["one", "two"])),
            (true, &not_running(&["off"])),
            (false, &Lack::Missing { nearest: Some("x") }),
            (
                false,
                &Lack::OtherVersions {
                    wanted: &wanted,
                    found
                }
            ),
        ]
    );
    assert!(plan.unmet("unknown").is_empty());
}

/// A random house: up to ten plugins `p0` … `p9`, offering and needing a few of `x0` … `x3` and
/// each other.
fn house() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::vec(inhabitant(), 0..10).prop_map(|mut members| {
        for (index, member) in members.iter_mut().enumerate() {
            member.name = format!("p{index}");
        }
        members
    })
}

fn inhabitant() -> impl Strategy<Value = Member> {
    let needs = prop::collection::vec("(@p[0-9]|x[0-3])[?]?", 0..3);
    let offers = prop::collection::vec("x[0-3]", 0..2);
    let standing = prop_oneof![9 => Just(Standing::Ready), 1 => Just(Standing::Failed)];
    (offers, needs, standing).prop_map(|(capabilities, needs, standing)| Member {
        capabilities,
        needs: needs.iter().map(|it| need(it)).collect(),
        standing,
        ..member("", &[], &[])
    })
}

fn offers(member: &Member, need: &Need) -> bool {
    match &need.dependency {
        Dependency::Capability(name) => member.capabilities.contains(name),
        Dependency::Plugin(name) => member.name == *name,
    }
}

/// Everybody whom a member could come to wait for, required or not.
fn reach<'a>(house: &'a [Member], from: &'a Member, optional_too: bool) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        let needs = next.needs.iter().filter(|it| optional_too || !it.optional);
        for need in needs {
            let others = house
                .iter()
                .filter(|it| offers(it, need) && it.name != next.name);
            open.extend(others.filter(|it| reached.insert(it.name.as_str())));
        }
    }
    reached
}

proptest! {
    #[test]
    fn the_order_respects_dependencies(house in house()) {
        let plan = Plan::new(house.clone());
        let waves = plan.start_waves();
        let wave = |name: &str| waves.iter().position(|wave| wave.contains(&name));
        for member in &house {
            let Some(own) = wave(&member.name) else { continue };
            for need in &member.needs {
                let before = |it: &Member| {
                    it.name == member.name || wave(&it.name).is_some_and(|it| it < own)
                };
                let mut providers = house.iter().filter(|it| offers(it, need));
                prop_assert!(need.optional || providers.clone().any(before), "{waves:?}");
                // Who does not lead back comes first, even if it is only one of several, or a wish.
                let leads_back =
                    |it: &Member| reach(&house, it, true).contains(member.name.as_str());
                let starts = |it: &Member| wave(&it.name).is_some();
                prop_assert!(providers.all(|it| before(it) || !starts(it) || leads_back(it)));
            }
        }
        let mut mirrored = plan.stop_waves();
        mirrored.reverse();
        prop_assert_eq!(mirrored, waves);
    }

    #[test]
    fn everybody_starts_once_or_is_blocked_with_a_reason(house in house()) {
        let plan = Plan::new(house.clone());
        let started: Vec<&str> = plan.start_waves().concat();
        let blocked = plan.blocked();
        prop_assert_eq!(started.len(), BTreeSet::from_iter(&started).len());
        prop_assert_eq!(started.len() + blocked.len(), house.len());
        for (name, blockers) in blocked {
            prop_assert!(!started.contains(&name));
            for blocker in blockers {
                prop_assert_eq!(&blocker.chain()[0], name);
                prop_assert!(!blocker.to_string().is_empty());
            }
        }
    }

    #[test]
    fn whoever_is_blocked_has_nobody_to_turn_to(house in house()) {
        let plan = Plan::new(house.clone());
        let blocked = plan.blocked();
        for member in house.iter().filter(|it| it.standing == Standing::Ready) {
            let unmet = member.needs.iter().filter(|need| {
                let starts = |it: &Member| !blocked.contains_key(it.name.as_str());
                let free = |it: &Member| it.name == member.name || starts(it);
                !need.optional && !house.iter().any(|it| offers(it, need) && free(it))
            });
            let unmet = unmet.count();
            prop_assert_eq!(unmet, plan.blockers(&member.name).len());
            let told = plan.unmet(&member.name);
            prop_assert_eq!(unmet, told.iter().filter(|it| !it.optional).count());
        }
    }

    #[test]
    fn nobody_is_blocked_without_a_cycle_or_a_lack_behind_it(house in house()) {
        let plan = Plan::new(house.clone());
        let lacks = |it: &Member| {
            let mut required = it.needs.iter().filter(|need| !need.optional);
            let nobody = |need: &Need| !house.iter().any(|other| offers(other, need));
            it.standing != Standing::Ready || required.any(nobody)
        };
        let on_cycle = |it: &Member| reach(&house, it, false).contains(it.name.as_str());
        for member in house.iter().filter(|it| !plan.blockers(&it.name).is_empty()) {
            let mut involved = reach(&house, member, false);
            involved.insert(&member.name);
            let mut involved = house.iter().filter(|it| involved.contains(it.name.as_str()));
            prop_assert!(involved.any(|it| lacks(it) || on_cycle(it)));
        }
    }

    #[test]
    fn the_affected_are_those_who_lead_there(house in house()) {
        let plan = Plan::new(house.clone());
        for target in &house {
            let affected = plan.affected_by(&target.name);
            for member in house.iter().filter(|it| it.name != target.name) {
                let depends = reach(&house, member, false).contains(target.name.as_str());
                prop_assert_eq!(affected.contains(member.name.as_str()), depends);
            }
            prop_assert!(plan.lost_without(&target.name).is_subset(&affected));
        }
    }

    #[test]
    fn the_order_of_the_members_does_not_matter(house in house()) {
        let forward = Plan::new(house.clone());
        let backward = Plan::new(house.into_iter().rev());
        prop_assert_eq!(forward.start_waves(), backward.start_waves());
        prop_assert_eq!(forward.blocked(), backward.blocked());
    }
}
