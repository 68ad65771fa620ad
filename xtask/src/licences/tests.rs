//! Trees that break the policy, one way each.

use super::*;

const POLICY: &str = r#"
    [licenses]
    allow = ["MIT", "Unicode-3.0"]
    exceptions = [{ crate = "arena", allow = ["MPL-2.0"] }]
    [advisories]
    ignore = [{ id = "RUSTSEC-2024-0014", reason = "stable needs it" }]
    [bans]
    deny = [{ crate = "arena", wrappers = ["stable"], reason = "unmaintained" }]
"#;

fn dependency(name: &str, license: Option<&str>, users: &[&str]) -> Dependency {
    Dependency {
        name: name.to_owned(),
        license: license.map(str::to_owned),
        users: users.iter().map(|user| user.to_string()).collect(),
    }
}

fn check(extra: Dependency, expect: &[&str]) {
    let policy = toml::from_str(POLICY).unwrap();
    let tree = [dependency("arena", Some("MPL-2.0"), &["stable"]), extra];
    assert_eq!(problems(&policy, &tree), expect);
}

#[test]
fn allowed_licences_pass() {
    for license in [
        "MIT",
        "MIT OR GPL-3.0-only",
        "Apache-2.0/MIT",
        "Apache-2.0 / MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
    ] {
        check(dependency("a", Some(license), &[]), &[]);
    }
}

#[test]
fn an_unlisted_licence_is_caught() {
    let found = "`a` is licensed `GPL-3.0-only`, which `deny.toml` does not allow";
    check(dependency("a", Some("GPL-3.0-only"), &[]), &[found]);
    let found = "`a` is licensed `MIT AND GPL-3.0-only`, which `deny.toml` does not allow";
    check(dependency("a", Some("MIT AND GPL-3.0-only"), &[]), &[found]);
}

#[test]
fn an_exception_holds_for_its_crate_alone() {
    let found = "`a` is licensed `MPL-2.0`, which `deny.toml` does not allow";
    check(dependency("a", Some("MPL-2.0"), &[]), &[found]);
}

#[test]
fn a_missing_or_unreadable_licence_is_caught() {
    check(dependency("a", None, &[]), &["`a` declares no licence"]);
    let found = "`a` declares `see LICENSE`, which is no SPDX expression";
    check(dependency("a", Some("see LICENSE"), &[]), &[found]);
}

#[test]
fn a_banned_crate_is_reached_through_its_wrappers_alone() {
    let found = "`intruder` depends on `arena`, which is banned: unmaintained";
    check(dependency("arena", Some("MIT"), &["intruder"]), &[found]);
}

#[test]
fn a_ban_without_its_crate_is_stale() {
    let policy = toml::from_str(POLICY).unwrap();
    assert_eq!(
        problems(&policy, &[]),
        ["`arena` is no longer in the tree: remove its ban and its exceptions"]
    );
}

#[test]
fn what_is_not_understood_is_refused() {
    let error =
        toml::from_str::<Policy>(&format!("{POLICY}\nmultiple-versions = \"deny\"")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unknown field `multiple-versions`"),
        "{error}"
    );
}

#[test]
fn the_policy_of_this_repository_is_understood() {
    let policy: Policy = toml::from_str(include_str!("../../../deny.toml")).unwrap();
    let reasons = policy
        .advisories
        .ignore
        .iter()
        .map(|ignored| &ignored.reason);
    assert!(
        reasons
            .chain(policy.bans.deny.iter().map(|ban| &ban.reason))
            .all(|reason| !reason.is_empty())
    );
    let bad: Vec<_> = policy
        .licenses
        .allow
        .iter()
        .filter(|allowed| Licensee::parse(allowed).is_err())
        .collect();
    assert!(bad.is_empty(), "{bad:?} are no SPDX names");
}
