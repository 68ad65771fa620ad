//! Files and directories that are somewhere else.

use std::os::unix::fs::symlink;

use super::*;

/// Retargets a link in one step, as deployments do.
fn retarget(told: &Told, target: &str, link: &Path) {
    let draft = told.path("draft");
    symlink(target, &draft).expect("a link");
    fs::rename(&draft, link).expect("renamed over");
}

#[test]
fn a_file_behind_links_is_watched_where_it_is() {
    let told = Told::events();
    fs::create_dir_all(told.path("target/debug")).expect("directories");
    let (target, link) = (told.path("target/debug/liba.so"), told.plugin("a"));
    symlink("../target/debug/liba.so", &link).expect("a link that leads nowhere");
    told.expect_nothing_more();
    told.put(&target, "one");
    told.expect_changed_once(&link);
    overwrite(&target, "two");
    told.expect_changed_once(&link);
    fs::remove_dir_all(told.path("target")).expect("as `cargo clean` does");
    told.expect_removed_once(&link);
    fs::create_dir_all(told.path("target/debug")).expect("directories");
    told.put(&target, "back");
    told.expect_changed_once(&link);
    fs::remove_file(&link).expect("removed");
    told.expect_removed_once(&link);
    overwrite(&target, "unheard");
    told.expect_nothing_more();
}

#[test]
fn a_file_behind_a_link_may_be_missing_for_a_while() {
    let told = Told::of(patient(), with_plugins);
    let (target, built) = (told.path("target"), told.path("built"));
    told.put(&target, "one");
    symlink("../target", told.plugin("a")).expect("a link");
    told.expect_changed(&told.plugin("a"));
    fs::write(&built, "two").expect("a file");
    fs::remove_file(&target).expect("removed");
    fs::hard_link(&built, &target).expect("as cargo does");
    told.expect_changed_once(&told.plugin("a"));
}

#[test]
fn a_link_may_lead_elsewhere() {
    let told = Told::events();
    for name in ["one", "two"] {
        fs::create_dir(told.path(name)).expect("a directory");
        fs::write(told.path(name).join("lib"), name).expect("a file");
    }
    let link = told.plugin("a");
    symlink("../one/lib", &link).expect("a link");
    told.expect_changed_once(&link);
    retarget(&told, "../two/lib", &link);
    told.expect_changed_once(&link);
    overwrite(&told.path("two/lib"), "new");
    told.expect_changed_once(&link);
    overwrite(&told.path("one/lib"), "new");
    told.expect_nothing_more();
    // Not a library, but listed, so that somebody can say so.
    retarget(&told, "../one", &link);
    told.expect_changed_once(&link);
}

#[test]
fn the_directory_may_be_a_link() {
    let told = Told::of(quick(), |root| {
        for name in ["one", "two"] {
            fs::create_dir(root.join(name)).expect("a directory");
            fs::write(root.join(name).join(library("a")), name).expect("a file");
        }
        symlink("one", root.join("current")).expect("a link");
        symlink("current", root.join("plugins")).expect("a link");
    });
    assert_eq!(told.watcher.mode(), Mode::Events);
    overwrite(&told.path("one").join(library("a")), "new");
    told.expect_changed_once(&told.plugin("a"));
    fs::write(told.path("two").join(library("b")), "other").expect("a file");
    told.expect_nothing_more();
    retarget(&told, "two", &told.path("current"));
    told.expect(&[&told.plugin("a"), &told.plugin("b")], &[]);
    told.expect_nothing_more();
    overwrite(&told.path("two").join(library("a")), "new");
    told.expect_changed_once(&told.plugin("a"));
}
