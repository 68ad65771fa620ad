//! Every reason why a call goes where it goes, thought up.

use std::time::Duration;

use octa_loader::policy::{Breaker, Policy, Rate, Remember, Retry, Routing, Switch};

use super::{
    check, found,
    houses::{House, plugin},
};
use crate::{
    lifecycle::State,
    services::{BreakerState, BreakerStatus, CallCounts, Measured, ProviderStatus, ServiceStatus},
    why::{Asked, Cause, Facts, Rest},
};

/// A capability with these providers and nothing to say of it.
pub(super) fn service<const N: usize>(name: &str, providers: [&str; N]) -> ServiceStatus {
    ServiceStatus {
        name: name.to_owned(),
        description: String::new(),
        routing: Routing::RoundRobin,
        policy: Policy::default(),
        configured: Policy::default(),
        steps: Vec::new(),
        idempotent: false,
        deadline_ms: 30_000,
        providers: providers.map(provider).into(),
        counts: CallCounts::default(),
        remembered: 0,
    }
}

/// A provider that does well.
fn provider(plugin: &str) -> ProviderStatus {
    ProviderStatus {
        plugin: plugin.to_owned(),
        deadline_ms: None,
        health: 1.0,
        own_health: 1.0,
        seen_health: 1.0,
        breaker: None,
        in_flight: Some(2),
        limit: None,
        waiting: 0,
        queue: 0,
        measured: None::<Measured>,
    }
}

fn breaker(state: BreakerState) -> BreakerStatus {
    BreakerStatus {
        state,
        for_ms: 3_000,
        calls: 10,
        failures: 6,
        next_try_ms: (state == BreakerState::Open).then_some(2_000),
        last_error: Some("no bulb".to_owned()),
    }
}

impl ServiceStatus {
    /// With what the configuration says.
    fn configured(mut self, policy: Policy) -> Self {
        self.routing = policy.routing.unwrap_or(self.routing);
        self.policy = policy.over(&self.policy);
        self.configured = policy;
        self
    }

    /// With what a manifest says.
    fn declared(mut self, policy: Policy) -> Self {
        self.routing = policy.routing.unwrap_or(self.routing);
        self.policy = policy;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut ProviderStatus)) -> Self {
        change(&mut self.providers[0]);
        self
    }
}

fn failover() -> Policy {
    Policy {
        routing: Some(Routing::Failover),
        order: vec!["lamp".to_owned(), "torch".to_owned()],
        ..Policy::default()
    }
}

/// The lamp and the torch, both of which offer light.
fn two() -> [Facts; 2] {
    ["lamp", "torch"].map(|name| plugin(name, State::Started).offers("light"))
}

/// A house of two lights, of which this is so.
fn house(service: ServiceStatus) -> House {
    House {
        services: vec![service],
        ..House::of(two())
    }
}

/// A house whose light is as it is for this reason; `None` for what is no reason of calls.
pub(super) fn with(cause: Cause) -> Option<House> {
    let light = || service("light", ["lamp", "torch"]);
    let failing = |state| light().with(|lamp| lamp.breaker = Some(breaker(state)));
    let said = |policy: Policy| house(light().declared(policy));
    let usual = Policy::default;
    Some(match cause {
        Cause::Routing => house(light().configured(failover())),
        Cause::InReserve => house(light().declared(Policy {
            order: Vec::new(),
            ..failover()
        })),
        Cause::GetsCalls => house(light().configured(Policy {
            routing: Some(Routing::LeastInFlight),
            breaker: Some(Switch::Off),
            ..usual()
        })),
        Cause::NotOffering => {
            let lamp = plugin("lamp", State::Stopped).offers("light");
            let service = service("light", ["torch"]).configured(failover());
            let mut house = house(service);
            house.plugins[0] = lamp.rests(Rest::Request(Asked::Stop));
            house
        }
        Cause::Unfit => house(light().with(|lamp| lamp.own_health = 0.0)),
        Cause::CutOff | Cause::NextTry => house(failing(BreakerState::Open)),
        Cause::OnTrial => house(failing(BreakerState::HalfOpen)),
        Cause::Failing | Cause::LastError => house(failing(BreakerState::Closed)),
        Cause::Full => house(light().with(|lamp| {
            lamp.limit = Some(2);
            lamp.queue = 32;
            lamp.waiting = 3;
        })),
        Cause::Limit => said(Policy {
            concurrency: Some(8),
            queue: Some(32),
            rate: Some(Switch::On(Rate {
                calls: 100,
                per: Duration::from_secs(1),
                burst: 20,
            })),
            ..usual()
        }),
        Cause::Breaker => said(Policy {
            breaker: Some(Switch::On(Breaker {
                failures: 0.125,
                slow: Some(Duration::from_millis(200)),
                ..Breaker::default()
            })),
            ..usual()
        }),
        Cause::Retry => said(Policy {
            retry: Some(Switch::On(Retry::default())),
            ..usual()
        }),
        Cause::Kept => said(Policy {
            remember: Some(Remember::default()),
            check: Some(true),
            ..usual()
        }),
        Cause::Fallback => {
            let mut light = light().configured(Policy {
                fallback: Some("moon".to_owned()),
                ..usual()
            });
            light.counts.fallen_back = 3;
            let mut house = house(light);
            house
                .plugins
                .push(plugin("sky", State::Started).offers("moon"));
            house.services.push(service("moon", ["sky"]));
            house
        }
        Cause::Step | Cause::Overruled => {
            let mut light = light();
            light.steps = ["day", "night", "day", "moom"].map(str::to_owned).into();
            let mut house = house(light);
            let sky = plugin("sky", State::Started).offers("day").offers("moon");
            house.plugins.push(sky);
            let mut night = service("night", []);
            night.steps = vec!["light".to_owned()];
            let day = service("day", ["sky"]);
            house
                .services
                .extend([night, day, service("moon", ["sky"])]);
            house
        }
        _ => return None,
    })
}

#[test]
fn every_reason_of_calls_is_as_it_is_written() {
    let section = |cause: &Cause| {
        let why = with(*cause)?.why("light").expect("somebody offers it");
        let mut causes = Vec::new();
        all(&why, &mut causes);
        assert!(causes.contains(cause), "no {cause} in: {why}");
        // What is said of plugins on the way is in its table.
        let mut pairs = Default::default();
        found(&why, None, &mut pairs);
        for (state, cause) in pairs {
            assert!(cause.states().contains(&state), "{cause} in {state}: {why}");
        }
        Some(format!("# {cause}\n{why}\n"))
    };
    let sections: Vec<String> = Cause::ALL.iter().filter_map(section).collect();
    check("calls", &sections.join("\n"));
}

fn all(why: &super::Why, causes: &mut Vec<Cause>) {
    causes.push(why.cause);
    why.causes.iter().for_each(|it| all(it, causes));
}

/// Checks what is said of one provider of several, by its routing.
#[track_caller]
fn check_routing(routing: Routing, unfit: usize, expect: [&str; 2]) {
    let mut service = service("light", ["lamp", "torch"]).configured(Policy {
        routing: Some(routing),
        ..Policy::default()
    });
    for provider in service.providers.iter_mut().take(unfit) {
        provider.own_health = 0.0;
    }
    let why = house(service).why("light").expect("somebody offers it");
    let providers = why.causes.iter().filter(|it| it.subject != "light");
    let texts: Vec<&str> = providers.map(|it| it.text.as_str()).collect();
    assert_eq!(texts, expect);
}

#[test]
fn each_routing_says_who_gets_a_call() {
    let unfit =
        "`lamp` gets calls only where nobody else takes them: it says that its health is 0.00 of 1";
    check_routing(
        Routing::RoundRobin,
        0,
        [
            "`lamp` gets calls in its turn",
            "`torch` gets calls in its turn",
        ],
    );
    let only = "`torch` gets the calls: nobody else can take them now";
    check_routing(Routing::RoundRobin, 1, [unfit, only]);
    check_routing(
        Routing::ByKey,
        0,
        [
            "`lamp` gets the calls whose keys belong to it",
            "`torch` gets the calls whose keys belong to it",
        ],
    );
    check_routing(Routing::ByKey, 1, [unfit, only]);
    check_routing(
        Routing::LeastInFlight,
        0,
        [
            "`lamp` gets calls when it has the fewest under way, 2 now",
            "`torch` gets calls when it has the fewest under way, 2 now",
        ],
    );
    check_routing(
        Routing::Failover,
        0,
        [
            "`lamp` gets the calls: it is the first that can take them",
            "`torch` gets the calls that nobody before it takes",
        ],
    );
    check_routing(
        Routing::Failover,
        1,
        [
            unfit,
            "`torch` gets the calls: it is the first that can take them",
        ],
    );
}

#[test]
fn one_alone_gets_every_call_while_it_can() {
    let alone = |own_health| {
        let service = service("light", ["lamp"]).with(|it| it.own_health = own_health);
        let mut house = house(service);
        house.plugins.pop();
        let why = house.why("light").expect("somebody offers it");
        assert_eq!(why.causes.len(), 2, "no routing of one: {why}");
        why.causes[0].text.clone()
    };
    assert_eq!(
        alone(1.0),
        "`lamp` gets every call: nobody else offers this now"
    );
    assert_eq!(
        alone(0.0),
        "`lamp` gets every call although it says that its health is 0.00 of 1: nobody else offers this now"
    );
}

#[test]
fn what_is_configured_and_offered_by_nobody_is_explained() {
    let configured = |name: &str| {
        let service = service(name, []).configured(Policy {
            check: Some(true),
            ..Policy::default()
        });
        let mut house = House::of(two());
        house.services.push(service);
        house.why(name).expect("it is configured").to_string()
    };
    assert_eq!(
        configured("lihgt"),
        "\
the capability `lihgt` is offered by no plugin
  hint: did you mean `light`?
  a call has 30s unless its caller says otherwise, as `call_deadline` in `[kernel]` says
  input and output are checked against the declared schemas, as the configuration says in `[capabilities.\"lihgt\"]`"
    );
    let far = configured("warmth");
    assert!(far.contains("hint: add a plugin that offers it"), "{far}");
}
