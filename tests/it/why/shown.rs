//! What `octa why` prints, held against the documentation: its examples are what the program says
//! of a house of plugins, one in each state.

use octa_kernel::lifecycle::State;

use crate::{
    fixtures, forge,
    home::{Home, read, run},
    program::{Serving, octa},
};

const CONFIG: &str = r#"
    [plugins.heating]
    enabled = false

    [plugins.desk]
    enabled = false

    [plugins.dies-on-request]
    placement = "process"
    [plugins.dies-on-request.restart]
    backoff = "1ms"

    [plugins.mains.restart]
    backoff = "10m"

    [plugins.bell.restart]
    budget = 2
    backoff = "1ms"

    [plugins]
    candle.allow.provide = ["light.on"]
    torch.allow.provide = ["light.on"]

    [capabilities."light.on"]
    routing = "failover"
    order = ["candle", "torch"]
    breaker = { calls = 2, open = "1h" }
    fallback = "moon.glow"

    [pipelines]
    "moon.glow" = ["neighbour.echo"]
"#;

/// A house with a plugin in every state.
async fn house() -> Serving {
    let home = Home::with(&["desk", "dies-on-request", "relay"]).config(CONFIG);
    let named = |fixture: &str, name: &str| {
        let from = format!("\"name\":\"{fixture}\"");
        forge::manifest(fixture, &[(&from, &format!("\"name\":\"{name}\""))])
    };
    home.put("heating", &named("provider", "heating"));
    home.put("mains", &named("fails-in-start", "mains"));
    home.put("bell", &named("fails-in-start", "bell"));
    let changes = [
        ("\"neighbour\"", "\"bell\""),
        ("\"name\":\"needs-neighbour\"", "\"name\":\"lamp\""),
    ];
    home.put("lamp", &forge::manifest("needs-neighbour", &changes));
    let light = |fixture: &str, capability: &str, name: &str| {
        let changes = [(capability, "light.on"), (fixture, name)];
        home.put(name, &forge::manifest(fixture, &changes));
    };
    light("provider", "shared.who", "torch");
    light("panics-in-handler", "panics-in-handler.now", "candle");
    home.put("radio", &named("needs-neighbour", "radio"));
    home.put("clock", &named("needs-neighbour", "clock"));
    let serving = Serving::begin(home).await;
    for (command, name, state) in [
        ("load", "desk", "loaded"),
        ("stop", "radio", "stopped"),
        ("unload", "clock", "unloaded"),
    ] {
        let done = octa(&serving.home, &[command, name]);
        assert_eq!(done.code, 0, "{done:?}");
        serving.until(name, state).await;
    }
    serving.until("bell", "quarantined").await;
    for plugin in ["candle", "torch"] {
        serving.until(plugin, "started").await;
    }
    for _ in 0..2 {
        // Each of them is too much for the first who can.
        octa(&serving.home, &["call", "light.on", "13"]);
    }
    octa(&serving.home, &["call", "dies-on-request.now"]);
    serving.until("dies-on-request", "started").await;
    serving
}

/// The examples of the document: what is typed, and what is printed.
fn examples(document: &str) -> Vec<(&str, &str)> {
    let blocks = document.split("```console\n$ ").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap_or_default())
        .filter_map(|block| block.trim_end().split_once('\n'))
        .collect()
}

/// Whether two words say the same, be it of another time, process or build.
fn is_same(found: &str, expect: &str) -> bool {
    let varies = |word: &str| word.contains(|c: char| c.is_ascii_digit());
    found == expect || (varies(found) && varies(expect))
}

/// The lines that are the same on every system, without what begins them.
fn lines(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().map(|line| line.split_whitespace().collect());
    lines
        .filter(|words: &Vec<&str>| !words.contains(&"force:"))
        .collect()
}

/// Whether two texts say the same.
fn is_alike(found: &str, expect: &str) -> bool {
    let (found, expect) = (lines(found), lines(expect));
    let same_words = |(found, expect): (&Vec<&str>, &Vec<&str>)| {
        let words = found.iter().zip(expect);
        found.len() == expect.len() && { words }.all(|(found, expect)| is_same(found, expect))
    };
    found.len() == expect.len() && found.iter().zip(&expect).all(same_words)
}

#[test]
fn the_document_shows_what_is_printed_of_every_state() {
    run(async {
        let path = fixtures::checkout().join("docs/why.md");
        let document = String::from_utf8(read(&path)).expect("text");
        let serving = house().await;
        let (mut shown, mut others) = (String::new(), String::new());
        for (command, expect) in examples(&document) {
            let words: Vec<&str> = command.split(' ').skip(1).collect();
            let printed = octa(&serving.home, &words).stdout;
            shown.push_str(&printed);
            if !is_alike(&printed, expect) {
                others.push_str(&format!("$ {command}\n{printed}\n"));
            }
        }
        assert_eq!(others, "", "the document shows something else");
        assert!(
            document.contains("\n$ octa why light.on\nthe capability `light.on` is offered by")
        );
        for state in State::ALL {
            assert!(document.contains(&format!("\n## {state}\n")), "{state}");
            let says = format!(" is {state} for ");
            let mut roots = shown.lines().filter(|line| line.starts_with('`'));
            assert!(roots.any(|line| line.contains(&says)), "{state}");
        }
        serving.interrupt();
    });
}
