//! Files that change under a kernel that watches: however they are written, what serves in the
//! end is what they hold in the end.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::symlink,
};

use octa_kernel::lifecycle::State;

use super::stand::{COUNTER, Stand, put, served_by};
use crate::{
    fixtures,
    home::{Home, next, read, run, until},
};

const WATCHED: &str = "[kernel]\nwatch = true\n";

async fn watched(build: &str) -> Stand {
    Stand::over(Home::with(&[]).config(WATCHED), build).await
}

#[test]
fn copied_in_place() {
    run(async {
        let stand = watched("reload-a").await;
        let library = read(&fixtures::library("reload-b"));
        stand.running.home.put(COUNTER, &library);
        stand.served_by("reload-b").await;
        stand.end("reload-b").await;
    });
}

#[test]
fn renamed_over() {
    run(async {
        let stand = watched("reload-a").await;
        stand.put("reload-b");
        stand.served_by("reload-b").await;
        stand.end("reload-b").await;
    });
}

#[test]
fn copied_slowly() {
    run(async {
        let stand = watched("reload-a").await;
        let library = read(&fixtures::library("reload-b"));
        let path = stand.running.home.plugins().join("counter.so");
        let mut file = File::create(path).expect("a plugin file");
        for piece in library.chunks(library.len() / 10) {
            file.write_all(piece).expect("a plugin file");
            stand.load.goes_on(20).await;
        }
        stand.served_by("reload-b").await;
        stand.end("reload-b").await;
    });
}

#[test]
fn through_a_link() {
    run(async {
        let home = Home::with(&[]).config(WATCHED);
        let builds = ["reload-a", "reload-b"].map(|build| {
            let path = home.root().join(format!("{build}.so"));
            fs::copy(fixtures::library(build), &path).expect("a copy");
            path
        });
        let link = home.plugins().join("counter.so");
        symlink(&builds[0], &link).expect("a link");
        let running = home.start().await;
        served_by(&running, "reload-a").await;
        let beside = running.home.root().join("link");
        symlink(&builds[1], &beside).expect("a link");
        fs::rename(beside, link).expect("one file system");
        served_by(&running, "reload-b").await;
        running.end().await;
    });
}

#[test]
fn ten_times_in_a_row() {
    run(async {
        let stand = watched("reload-b").await;
        for build in ["reload-a", "reload-b"].repeat(5) {
            stand.put(build);
        }
        stand.put("reload-unwell");
        stand.put("reload-b");
        until(|| stand.generation().number >= 1).await;
        stand.served_by("reload-b").await;
        stand.end("reload-b").await;
    });
}

#[test]
fn a_bad_one_is_told_and_the_next_one_taken() {
    run(async {
        let stand = watched("reload-a").await;
        let mut failures = stand.running.subscribe("kernel.plugin.reload_failed").await;
        stand.put("reload-panics-in-start");
        assert_eq!(next(&mut failures).await["plugin"], COUNTER);
        assert_eq!(stand.generation().number, 1);
        assert_eq!(stand.running.plugin(COUNTER).waiting.len(), 1);
        stand.put("reload-b");
        stand.served_by("reload-b").await;
        until(|| stand.running.plugin(COUNTER).waiting.is_empty()).await;
        stand.end("reload-b").await;
    });
}

#[test]
fn removed_it_stops() {
    run(async {
        let home = Home::with(&[]).config(WATCHED);
        let path = put(&home, "reload-a");
        let running = home.start().await;
        fs::remove_file(path).expect("it was there");
        until(|| {
            let plugins = running.kernel.plugins();
            let mut counters = plugins.iter().filter(|plugin| plugin.name == COUNTER);
            counters.all(|counter| counter.state != State::Started)
        })
        .await;
        put(&running.home, "reload-b");
        served_by(&running, "reload-b").await;
        running.end().await;
    });
}

#[test]
fn removed_it_is_kept_where_that_is_configured() {
    run(async {
        let home = Home::with(&[]).config(&format!("{WATCHED}removed = \"keep\"\n"));
        let stand = Stand::over(home, "reload-a").await;
        let plugins = stand.running.home.plugins();
        fs::remove_file(plugins.join("counter.so")).expect("it was there");
        // What is told of later has been seen later.
        let library = read(&fixtures::library("desk"));
        stand.running.home.put("desk", &library);
        until(|| {
            let plugins = stand.running.kernel.plugins();
            plugins
                .iter()
                .any(|plugin| plugin.name == "desk" && plugin.state == State::Started)
        })
        .await;
        stand.end("reload-a").await;
    });
}

#[test]
fn added_it_starts() {
    run(async {
        let running = Home::with(&[]).config(WATCHED).start().await;
        put(&running.home, "reload-a");
        served_by(&running, "reload-a").await;
        running.end().await;
    });
}
