//! What is shown of capabilities, held against whole answers.

use super::*;

const ANSWER: &str = r#"[
        {"name":"lamp.on","description":"Turns it on.\nAt once.","routing":"failover",
         "policy":{"routing":"failover","order":["lamp","torch"],"concurrency":8,"queue":32},
         "configured":{"routing":"failover","order":["lamp","torch"]},
         "steps":[],"idempotent":true,"deadline_ms":30000,"remembered":1,
         "providers":[
          {"plugin":"lamp","deadline_ms":null,"health":0.0,"own_health":1.0,"seen_health":0.0,
           "breaker":{"state":"open","for_ms":3000,"calls":10,"failures":6,"next_try_ms":2000,
            "last_error":"no\nbulb"},
           "in_flight":3,"limit":8,"waiting":2,"queue":32,
           "measured":{"calls":200,"failed":6,"per_second":2.25,"p50":850,"p99":3140,"max":65000}},
          {"plugin":"torch","deadline_ms":null,"health":1.0,"own_health":1.0,"seen_health":1.0,
           "breaker":{"state":"closed","for_ms":9000,"calls":0,"failures":0,"next_try_ms":null,
            "last_error":null},
           "in_flight":0,"limit":8,"waiting":0,"queue":32,
           "measured":{"calls":0,"failed":0,"per_second":0.0,"p50":0,"p99":0,"max":0}}],
         "counts":{"retried":1,"fallen_back":2,"too_soon":3,"no_place":4,"cut_off":5,
          "remembered":6}},
        {"name":"night.fall","description":"pipeline","routing":"round-robin",
         "policy":{},"configured":{},"steps":["lamp.off","sun.set"],"idempotent":false,
         "deadline_ms":90000,"remembered":0,"providers":[],
         "counts":{"retried":0,"fallen_back":0,"too_soon":0,"no_place":0,"cut_off":0,
          "remembered":0}}]"#;

fn services() -> Vec<Service> {
    serde_json::from_str(ANSWER).expect("an answer")
}

#[test]
fn every_provider_has_its_line() {
    assert_eq!(
        all(&services(), None),
        "\
NAME        PROVIDER    ROUTING   HEALTH  BREAKER  IN FLIGHT  WAITING  RATE   ERRORS  P50     P99
lamp.on     lamp        failover  0.00    open     3/8        2/32     2.2/s  6/200   850 µs  3.1 ms
lamp.on     torch       failover  1.00    closed   0/8        0/32     0.0/s  0/0     -       -
night.fall  (pipeline)  -         -       -        -          -        -      -       -       -"
    );
    assert_eq!(all(&[], None), "no capabilities");
}

#[test]
fn what_is_not_measured_is_told_with_how_to() {
    let mut services = services();
    services[0].providers[1].measured = None;
    let text = all(&services, None);
    let (_, end) = text.rsplit_once("\n\n").expect("a hint");
    assert_eq!(
        end,
        "hint: `octa services --for 2s` measures what is not measured, `measure = true` in `[kernel]` always"
    );
}

#[test]
fn one_is_told_with_its_settings_breakers_and_counts() {
    assert_eq!(
        one(&services()[0]),
        r#"lamp.on: Turns it on.

SETTING      VALUE                                                                    FROM
routing      "failover"                                                               octa.toml
order        ["lamp", "torch"]                                                        octa.toml
concurrency  8                                                                        manifest
queue        32                                                                       manifest
breaker      { failures = 0.5, calls = 10, window = "10s", open = "5s", probes = 1 }  default
idempotent   true                                                                     manifest
deadline     "30s"                                                                    call_deadline

PROVIDER  OWN HEALTH  SEEN HEALTH  BREAKER  IN FLIGHT  WAITING  RATE   ERRORS  P50     P99     MAX
lamp      1.00        0.00         open     3/8        2/32     2.2/s  6/200   850 µs  3.1 ms  65 ms
torch     1.00        1.00         closed   0/8        0/32     0.0/s  0/0     -       -       -
lamp: breaker open for 3.0 s, after 6 of 10 calls failed, tried again in 2.0 s; last error: no bulb

1 retried, 2 fallen back, 3 too soon, 4 no place, 5 cut off, 6 remembered; 1 result kept for idempotency keys"#
    );
}

#[test]
fn a_pipeline_is_told_with_its_steps() {
    assert_eq!(
        one(&services()[1]),
        r#"night.fall: pipeline

SETTING   VALUE                    FROM
steps     ["lamp.off", "sun.set"]  octa.toml
deadline  "90s"                    call_deadline

0 retried, 0 fallen back, 0 too soon, 0 no place, 0 cut off, 0 remembered; 0 results kept for idempotency keys"#
    );
}

#[test]
fn one_that_nobody_offers_is_told_with_the_way_on() {
    let mut services = services();
    services[0].providers.clear();
    let text = one(&services[0]);
    let expect = "no plugin that offers it is started\nhint: `octa why lamp.on` tells why";
    assert!(text.contains(expect), "{text}");
}
