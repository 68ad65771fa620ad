//! Faults before a plugin is started: while its library is opened, and in its `start`.

use super::{
    holdings,
    host::{self, Host, pause},
    table::{self, Column},
};
use crate::home::{Home, read, run, until};

/// What is done, and the plugin that does it.
const FAULTS: [(&str, &str); 4] = [
    ("segmentation fault in a constructor", "crashes-on-load"),
    ("a constructor that hangs", "hangs-on-load"),
    ("`exit(0)` in a constructor", "exits-on-load"),
    ("`abort()` in `start`", "aborts-in-start"),
];

/// What the one that hangs says before.
const HANGS: &str = "hangs on load";

/// Checks what is seen of all of them in a place.
#[track_caller]
fn check(place: &str, column: Column) {
    let mut cells = Vec::new();
    for (name, fixture) in FAULTS {
        run(async {
            let toml = format!(
                "[kernel]\nwatch = false\nstart_deadline = \"1s\"\nstuck_after = \"1s\"\n\
                 [plugins.{fixture}]\nplacement = \"{place}\"\nrestart = {{ policy = \"never\" }}\n"
            );
            let host = Host::run(Home::with(&[fixture]).config(&toml), None);
            cells.push((name, see(host, fixture).await));
        });
    }
    table::check(column, &cells);
}

/// How often is looked whether anything comes of a constructor that hangs.
const LOOKS: usize = 20;

/// What is seen of a plugin that cannot be started.
async fn see(mut host: Host, fixture: &str) -> String {
    let mut looks = 0;
    loop {
        if let Some(status) = host.ended() {
            return format!("the kernel's process {}", host::told(status));
        }
        if hangs(&host) {
            looks += 1;
        }
        if looks == LOOKS || host.octa(&["list"]).stderr.contains("did not answer") {
            return "it is never started, nor is any other plugin from then on".to_owned();
        }
        let plugin = host.plugin(fixture).unwrap_or_default();
        let state = plugin["state"].as_str().unwrap_or_default();
        if !["", "discovered", "loaded"].contains(&state) {
            let problem = plugin["problems"][0]["message"]
                .as_str()
                .unwrap_or_default();
            let problem = problem.replace(&format!(" of plugin `{fixture}`"), "");
            let problem = problem.replace(&format!(" plugin `{fixture}`"), " it");
            let problem = problem.trim_end_matches(" while it worked on this");
            let cell = format!("the plugin is {state}: {problem}");
            host.until("neighbour", "started").await;
            let id = host.id();
            until(|| host.holdings().children.is_empty()).await;
            let (ended, _home) = host.stop().await;
            assert!(ended.success(), "{ended}");
            assert_eq!(holdings::state(id), None);
            return cell;
        }
        pause().await;
    }
}

/// Whether a constructor that never returns is under way in the kernel's process.
fn hangs(host: &Host) -> bool {
    let told = read(&host.root().join("stderr"));
    String::from_utf8_lossy(&told)
        .lines()
        .any(|line| line == HANGS)
}

#[test]
fn in_process() {
    check("in-process", Column::Inside);
}

#[test]
fn in_a_child() {
    check("process", Column::Outside);
}
