//! Faults in a process that carries nothing but the plugin: nobody else notices, and the plugin
//! comes back.

use serde_json::Value;

use super::{
    fault::{FAULTS, FAULTY, Fault, Worker, home},
    holdings::{self, Holdings},
    host::{Host, pause, seen},
    inside::{answer, shortened},
    table::{self, Column},
};
use crate::home::{run, until};

#[test]
fn in_a_child() {
    let mut cells = Vec::new();
    run(async {
        let host = Host::run(home("process"), None);
        host.until("steady", "started").await;
        ready(&host).await;
        let before = host.holdings();
        let mut workers = before.children.clone();
        for fault in &FAULTS {
            let cell = commit(&host, fault).await;
            workers.extend(host.holdings().children);
            cells.push((fault.name, cell));
        }
        check_others(&host, before).await;
        let (ended, _home) = host.stop().await;
        assert!(ended.success(), "{ended}");
        until(|| {
            workers
                .iter()
                .all(|&worker| holdings::state(worker).is_none())
        })
        .await;
    });
    table::check(Column::Outside, &cells);
}

/// Waits until the plugin answers.
async fn ready(host: &Host) {
    seen(|| Some(host.ask("faulty.ready", "null").is_some())).await;
}

/// What is seen of a fault.
async fn commit(host: &Host, fault: &Fault) -> String {
    let worker = host.holdings().children;
    let mut calling = host.call(fault.capability, fault.input);
    let called = loop {
        if let Some(called) = calling.ended() {
            break called;
        }
        pause().await;
    };
    let cell = answer(&called);
    if fault.worker == Worker::GoesOn {
        ready(host).await;
        assert_eq!(host.holdings().children, worker, "{}: {cell}", fault.name);
        return cell;
    }
    until(|| {
        worker
            .iter()
            .all(|&worker| holdings::state(worker).is_none())
    })
    .await;
    ready(host).await;
    if fault.worker == Worker::EndsSomehow {
        assert!(cell.starts_with(ITS_END), "{}: {cell}", fault.name);
        return format!("{ITS_END} ended, by itself or by the kernel");
    }
    if cell.starts_with(ITS_END) {
        assert!(called.text.contains(FAULTY), "whose? {}", called.text);
        return cell;
    }
    let plugin = host.plugin(FAULTY).unwrap_or_default();
    let last = plugin["faults"][0]["what"].as_str().unwrap_or_default();
    format!("{cell}; {}", shortened(last))
}

/// How a cell begins where the call fails because the process ends.
const ITS_END: &str = "the call fails: the process";

/// Checks that nobody else noticed, and that nothing is left.
async fn check_others(host: &Host, before: Holdings) {
    let tally = host.ask("steady.tally", "null").expect("it is there");
    assert_eq!(tally["failed"], Value::Object(serde_json::Map::new()));
    assert!(tally["answered"].as_u64() > Some(0), "{tally}");
    until(|| {
        let now = host.holdings();
        let is_alive = |&child: &u32| holdings::state(child).is_some_and(|state| state != 'Z');
        now.files <= before.files
            && now.shared == before.shared
            && now.children.len() == 1
            && now.children.iter().all(is_alive)
            && Holdings::of(now.children[0]).children.is_empty()
    })
    .await;
}
