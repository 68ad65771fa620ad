//! Houses of plugins that are thought up: one for each reason in each state.

use octa_loader::{Dependency, Need};
use semver::{Version, VersionReq};

use crate::{
    lifecycle::State,
    manager::Doing,
    plan::{Member, Standing},
    reload::{GenerationStatus, RetiredStatus},
    services::ServiceStatus,
    status::{
        Blame, BlockedStatus, Fault, FaultKind, Ledger, PluginStatus, Problem, ProcessStatus,
        RejectedFile, RestartStatus,
    },
    why::{Asked, Cause, Facts, Rest, Scene, Why, explain},
};

/// Plugins, files that are none, and capabilities.
pub(super) struct House {
    pub(super) plugins: Vec<Facts>,
    pub(super) rejected: Vec<RejectedFile>,
    pub(super) services: Vec<ServiceStatus>,
}

impl House {
    pub(super) fn of(plugins: impl IntoIterator<Item = Facts>) -> Self {
        Self {
            plugins: plugins.into_iter().collect(),
            rejected: Vec::new(),
            services: Vec::new(),
        }
    }

    pub(super) fn why(self, subject: &str) -> Result<Why, Problem> {
        let scene = Scene::new(self.plugins, self.rejected);
        explain(&scene.serving(self.services, 9_000_000_000), subject)
    }
}

pub(super) fn problem(kind: &str, message: &str, hint: Option<&str>) -> Problem {
    Problem::new(kind, message, hint.map(str::to_owned))
}

fn generation(number: u64) -> GenerationStatus {
    GenerationStatus {
        number,
        version: "1.2.0".to_owned(),
        hash: Some("1a2b3c4d5e6f7a8b".to_owned()),
        since: 1_000_000_000,
    }
}

/// A plugin with nothing to say of it but its state.
pub(super) fn plugin(name: &str, state: State) -> Facts {
    let standing = match state {
        State::Failed | State::Quarantined => Standing::Failed,
        _ => Standing::Ready,
    };
    Facts {
        status: PluginStatus {
            name: name.to_owned(),
            version: "1.2.0".to_owned(),
            state,
            description: String::new(),
            path: Some(format!("plugins/lib{name}.so").into()),
            hash: generation(3).hash,
            since: 1_000_000_000,
            problems: Vec::new(),
            health: (state == State::Started).then_some(1.0),
            capabilities: Vec::new(),
            subscriptions: Vec::new(),
            unfinished: 0,
            ledger: Ledger::default(),
            generation: (state == State::Started).then(|| generation(3)),
            retired: Vec::new(),
            waiting: Vec::new(),
            placement: "in-process",
            process: None,
            restarts: RestartStatus {
                policy: "on-failure",
                budget: 5,
                spent: 0,
                next: None,
                total: 0,
            },
            blocked: Vec::new(),
            faults: Vec::new(),
        },
        member: Member {
            name: name.to_owned(),
            version: Version::new(1, 2, 0),
            capabilities: Vec::new(),
            needs: Vec::new(),
            standing,
        },
        rest: None,
        doing: None,
        gives_way: false,
        held: Vec::new(),
        pending: None,
    }
}

pub(super) fn lamp(state: State) -> Facts {
    plugin("lamp", state)
}

impl Facts {
    pub(super) fn needs(mut self, name: &str, version: &str) -> Self {
        self.member.needs.push(Need {
            dependency: Dependency::Plugin(name.to_owned()),
            version: VersionReq::parse(version).expect("a range of versions"),
            optional: false,
        });
        self
    }

    pub(super) fn would_like(self, capability: &str) -> Self {
        let mut liking = self.needs("", "*");
        if let Some(need) = liking.member.needs.last_mut() {
            need.dependency = Dependency::Capability(capability.to_owned());
            need.optional = true;
        }
        liking
    }

    pub(super) fn offers(mut self, capability: &str) -> Self {
        self.member.capabilities.push(capability.to_owned());
        self.status.capabilities.push(capability.to_owned());
        self
    }

    pub(super) fn rests(mut self, rest: Rest) -> Self {
        self.rest = Some(rest);
        self.member.standing = Standing::Disabled;
        self
    }

    pub(super) fn held(mut self, problem: Problem) -> Self {
        self.member.standing = Standing::Held;
        self.held.push(problem);
        self
    }

    pub(super) fn problem(mut self, kind: &str, message: &str) -> Self {
        self.status.problems.push(problem(kind, message, None));
        self
    }

    pub(super) fn fault(mut self, kind: FaultKind, what: &str, blamed: Blame) -> Self {
        self.status.faults.push(Fault {
            time: 1_000_000_000,
            kind,
            what: what.to_owned(),
            blamed,
            last_lines: vec!["no current".to_owned()],
        });
        self
    }

    /// With an error that it broke down with.
    fn broken(self, kind: FaultKind, what: &str) -> Self {
        let label = match kind {
            FaultKind::Panicked => "panicked",
            FaultKind::Deadline | FaultKind::Stuck => "deadline",
            FaultKind::NotLoadable => "rejected",
            FaultKind::Ended => "interrupted",
            FaultKind::Error => "failed",
        };
        self.fault(kind, what, Blame::Plugin).problem(label, what)
    }

    /// To be started again by itself.
    fn comes_back(mut self) -> Self {
        self.status.restarts.next = Some(2_000_000_000);
        self.status.restarts.spent = 2;
        self.problem("restart", "restarted in 1s (2 of 5)")
    }

    /// With what a plugin in its state has to say of itself.
    fn troubled(self) -> Self {
        match self.status.state {
            State::Started => self,
            State::Blocked => self.needs("mains", "*"),
            State::Failed => {
                let mut lamp = self.broken(FaultKind::Error, "`start` of plugin `lamp`: no bulb");
                lamp.status.restarts.policy = "never";
                lamp
            }
            State::Quarantined => self
                .fault(FaultKind::Ended, KILLED, Blame::Plugin)
                .problem("quarantined", SPENT),
            _ => self.rests(Rest::Request(Asked::Stop)),
        }
    }

    fn in_process(mut self) -> Self {
        self.status.placement = "process";
        self.status.process = Some(ProcessStatus {
            id: 4711,
            group: Some("radios".to_owned()),
            enforced: vec!["memory: 512 MiB".to_owned()],
            missing: vec!["Landlock: this system has none".to_owned()],
        });
        self
    }

    fn waiting(mut self, problem: Problem) -> Self {
        self.status.waiting.push(problem);
        self
    }
}

/// A house whose lamp is in a state for this reason.
pub(super) fn with(state: State, cause: Cause) -> House {
    let lamp = lamp(state);
    let broken = |kind, what| House::of([lamp.clone().broken(kind, what).comes_back()]);
    let held = |kind, message, hint| {
        let problem = problem(kind, message, Some(hint));
        House::of([lamp.clone().held(problem)])
    };
    match cause {
        Cause::Disabled => House::of([lamp.troubled().rests(Rest::Disabled)]),
        Cause::NotAsked => House::of([lamp.troubled().rests(Rest::NotAsked)]),
        Cause::Request => House::of([lamp.troubled().rests(Rest::Request(Asked::Stop))]),
        Cause::KernelStopped => House::of([lamp.troubled().rests(Rest::KernelStopped)]),
        Cause::FileRemoved => House::of([lamp.troubled().rests(Rest::FileRemoved)]),
        Cause::UnderWay => House::of([Facts {
            doing: Some(doing(state)),
            ..lamp
        }]),
        Cause::Turn => House::of([
            lamp.needs("socket", "*"),
            Facts {
                doing: Some(Doing::Starting),
                ..plugin("socket", State::Loaded)
            },
        ]),
        Cause::NewerBuild => {
            let denied = problem(
                "denied",
                "plugin `lamp` may not publish `night`",
                Some("grant it"),
            );
            let mut lamp = lamp.troubled().waiting(denied);
            lamp.pending = Some("1.3.0".to_owned());
            House::of([lamp])
        }
        Cause::RefusedBuild => {
            let refused = "it was refused: it was rolled back";
            let hint = "`octa reload lamp` tries it again";
            let refused = problem("refused", refused, Some(hint));
            House::of([lamp.troubled().waiting(refused)])
        }
        Cause::Blocking | Cause::BlockedAt => {
            let mut lamp = lamp.troubled();
            lamp.status.blocked.push(BlockedStatus {
                generation: 3,
                what: "the handler of `lamp.on`".to_owned(),
                thread: "octa-pool-1".to_owned(),
                thread_id: Some(4711),
                since: 1_000_000_000,
                place: "in `lamp::wait`, waiting in the system call `futex`".to_owned(),
                likely: vec!["lamp::wait".to_owned(), "lamp::on".to_owned()],
                callers: vec!["the handler of `night.fall`".to_owned()],
                may_block: state == State::Started,
            });
            House::of([lamp])
        }
        Cause::Serving => House::of([lamp]),
        Cause::Process | Cause::Enforced | Cause::NotEnforced => House::of([lamp.in_process()]),
        Cause::Leaving => House::of([lamp.needs("socket", "*")]),
        Cause::Unwell => {
            let mut lamp = lamp;
            lamp.status.health = Some(0.25);
            House::of([lamp])
        }
        Cause::Without => House::of([lamp.would_like("sun.height")]),
        Cause::StillMapped => {
            let mut lamp = lamp.troubled();
            lamp.status.retired.push(RetiredStatus {
                generation: generation(2),
                causes: vec!["2 threads still running".to_owned()],
                is_final: false,
            });
            House::of([lamp])
        }
        Cause::Permission => held(
            "denied",
            "plugin `lamp` may not publish `night`: it lies outside the plugin's own namespace and is not granted",
            "to grant it, write into the configuration under `[plugins.lamp.allow]`: `publish = [\"night\"]`",
        ),
        Cause::Configuration => held(
            "invalid-input",
            "octa.toml:3:9: `plugins.lamp.config.socket` is `7`, expected a string",
            "write it in quotes",
        ),
        Cause::Placement => held(
            "unsupported",
            "plugin `lamp` is to live in a process of its own, and there is no program to carry it",
            "install `octa-worker` beside the kernel",
        ),
        Cause::Missing => House::of([lamp.needs("sokcet", "*"), plugin("socket", State::Started)]),
        Cause::OtherVersion => {
            House::of([lamp.needs("socket", "^2"), plugin("socket", State::Started)])
        }
        Cause::Dependency => House::of([
            lamp.needs("socket", "*"),
            plugin("socket", State::Blocked).needs("mains", "*"),
            plugin("mains", State::Failed)
                .broken(FaultKind::Error, "`start` of plugin `mains`: no coal"),
        ]),
        Cause::Cycle => House::of([
            plugin("lamp", State::Blocked).needs("socket", "*"),
            plugin("socket", state).needs("lamp", "*"),
        ]),
        Cause::SeeAbove => House::of([
            lamp.needs("mains", "*").needs("mains", "^1"),
            plugin("mains", State::Stopped).rests(Rest::Request(Asked::Stop)),
        ]),
        Cause::Error => broken(FaultKind::Error, "`start` of plugin `lamp`: no bulb"),
        Cause::Panicked => broken(
            FaultKind::Panicked,
            "`start` of plugin `lamp`: panicked: no bulb (at src/lib.rs:7:9)",
        ),
        Cause::Deadline => broken(
            FaultKind::Deadline,
            "`start` of plugin `lamp` did not return within 10s",
        ),
        Cause::Ended => broken(FaultKind::Ended, KILLED),
        Cause::NotLoadable => House::of([lamp.broken(
            FaultKind::NotLoadable,
            "library `lamp` needs `libbulb.so`, which cannot be found",
        )]),
        Cause::ContentRefused => House::of([lamp.problem("refused", REFUSED)]),
        Cause::Stuck if state == State::Failed => {
            House::of([lamp.broken(FaultKind::Stuck, STUCK).rests(Rest::Disabled)])
        }
        Cause::Stuck => House::of([lamp
            .fault(FaultKind::Stuck, STUCK, Blame::Plugin)
            .problem("quarantined", STUCK)]),
        Cause::BudgetSpent => House::of([lamp
            .fault(FaultKind::Ended, KILLED, Blame::Plugin)
            .fault(FaultKind::Ended, KILLED, Blame::Plugin)
            .problem("quarantined", SPENT)]),
        Cause::Fault | Cause::LastLine => {
            let by_caller = Blame::Caller {
                caller: "cat".to_owned(),
                capability: "lamp.on".to_owned(),
                times: 2,
            };
            let by_event = Blame::Event {
                id: 7,
                topic: "sun.set".to_owned(),
                times: 2,
            };
            let lamp = match state {
                State::Started => lamp,
                State::Failed => lamp.broken(FaultKind::Ended, KILLED).comes_back(),
                _ => lamp.problem("quarantined", SPENT),
            };
            House::of([lamp.fault(FaultKind::Ended, KILLED, by_caller).fault(
                FaultKind::Ended,
                KILLED,
                by_event,
            )])
        }
        Cause::Restarts => {
            let mut lamp = lamp;
            lamp.status.restarts.spent = 2;
            House::of([lamp])
        }
        Cause::RestartScheduled => broken(FaultKind::Ended, KILLED),
        Cause::RestartNever => House::of([lamp.broken(FaultKind::Ended, LEFT)]),
        Cause::RestartUseless => {
            House::of([lamp.broken(FaultKind::NotLoadable, "`lamp` cannot be opened")])
        }
        // No plugin is in a state for any other.
        _ => House::of([lamp]),
    }
}

const LEFT: &str = "plugin `lamp` ended by itself with code 0";
const KILLED: &str = "plugin `lamp` was ended by signal 11 (SIGSEGV)";
const REFUSED: &str = "the content of plugin `lamp` is refused: it ended the process that opened it, \
                       by signal 11 (SIGSEGV)";
const STUCK: &str = "plugin `lamp`: the handler of `lamp.on` blocks its thread for more than 30s";
const SPENT: &str = "plugin `lamp` failed 6 times within 12s, the last time with: plugin `lamp` \
                     was ended by signal 11 (SIGSEGV)";

/// What can be under way in a state.
fn doing(state: State) -> Doing {
    match state {
        State::Loaded => Doing::Starting,
        State::Started => Doing::Reloading,
        State::Stopped => Doing::Closing,
        _ => Doing::Opening,
    }
}
