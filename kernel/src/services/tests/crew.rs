//! Providers that do what a test tells them: each call of one takes the next act of its script, or
//! answers who it is.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, mpsc},
    task::Poll,
    time::Duration,
};

use octa_loader::{Capability, Envelope, policy::Policy};
use octa_plugin_api::{
    Context, Error, ErrorKind, Payload, Result, Schema, Tentacle, decode, tentacle,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::house::{Answer, House, Lamp, Polled};
use crate::{
    Config,
    services::{Health, Intake, keyed::finish},
    time::{Clock as _, VirtualClock},
};

/// One thing that a hand does with a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Act {
    Fail(ErrorKind),
    Panic,
    /// Answers after so many seconds.
    Take(u64),
    /// Fails after so many seconds.
    FailAfter(u64),
    /// Keeps its thread for so many milliseconds, and takes so many seconds then.
    Stall(u64, u64),
}

/// What each hand is to do and has done, by its number.
static HANDS: Mutex<BTreeMap<u64, Script>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Default)]
struct Script {
    acts: VecDeque<Act>,
    /// What it does when there is nothing more in it.
    always: Option<Act>,
    begun: u64,
    /// Those of them that are not idempotent.
    begun_once: u64,
    under_way: u64,
    most_at_once: u64,
    /// What moves on while a hand keeps its thread.
    clock: Option<VirtualClock>,
    /// What blocking calls wait for, until their senders are dropped.
    held: VecDeque<mpsc::Receiver<()>>,
}

fn script<R>(number: u64, job: impl FnOnce(&mut Script) -> R) -> R {
    job(HANDS.lock().entry(number).or_default())
}

#[derive(Deserialize, Schema)]
struct Settings {
    number: u64,
}

struct Hand(u64);

/// A call that a hand has begun and not ended.
struct UnderWay(u64);

impl UnderWay {
    fn begin(number: u64) -> Self {
        script(number, |script| {
            script.begun += 1;
            script.under_way += 1;
            script.most_at_once = script.most_at_once.max(script.under_way);
        });
        Self(number)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        script(self.0, |script| script.under_way -= 1);
    }
}

impl Hand {
    async fn act(&self, ctx: &Context) -> Result<u64> {
        let _here = UnderWay::begin(self.0);
        match script(self.0, |script| script.acts.pop_front().or(script.always)) {
            None => Ok(self.0),
            Some(Act::Fail(kind)) => Err(Error::new(kind, "on purpose")),
            Some(Act::Panic) => panic!("on purpose"),
            Some(Act::Take(seconds)) => {
                ctx.sleep(Duration::from_secs(seconds)).await;
                Ok(self.0)
            }
            Some(Act::Stall(millis, seconds)) => {
                let clock = script(self.0, |script| script.clock.clone());
                let clock = clock.expect("each hand has one");
                clock.advance(Duration::from_millis(millis));
                ctx.sleep(Duration::from_secs(seconds)).await;
                Ok(self.0)
            }
            Some(Act::FailAfter(seconds)) => {
                ctx.sleep(Duration::from_secs(seconds)).await;
                Err(Error::msg("on purpose"))
            }
        }
    }
}

/// Does what the script says.
#[tentacle(name = "hand", calls = "**")]
impl Tentacle for Hand {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        Ok(Self(settings.number))
    }

    #[capability("work.safe", idempotent)]
    async fn safe(&self, ctx: &Context) -> Result<u64> {
        self.act(ctx).await
    }

    #[capability("work.once")]
    async fn once(&self, ctx: &Context) -> Result<u64> {
        script(self.0, |script| script.begun_once += 1);
        self.act(ctx).await
    }

    /// Holds its thread until the script lets it go.
    #[capability("work.block", blocking)]
    fn block(&self) -> Result<u64> {
        let _here = UnderWay::begin(self.0);
        let release = script(self.0, |script| script.held.pop_front());
        if let Some(release) = release {
            let _ = release.recv();
        }
        Ok(self.0)
    }

    /// Adds a word to what it is given.
    #[capability("work.word")]
    async fn word(&self, ctx: &Context, words: Vec<String>) -> Result<Vec<String>> {
        self.act(ctx).await?;
        Ok([words, vec!["word".to_owned()]].concat())
    }

    /// Calls another capability, for which it has the time that is left.
    #[capability("work.nested")]
    async fn nested(&self, ctx: &Context, capability: String) -> Result<u64> {
        let _here = UnderWay::begin(self.0);
        ctx.call(&capability, &()).await
    }

    /// Which attempt it is, and its key.
    #[capability("work.told", idempotent)]
    async fn told(&self, ctx: &Context) -> Result<(u32, String)> {
        self.act(ctx).await?;
        let key = ctx.idempotency_key().unwrap_or_default().to_owned();
        Ok((ctx.attempt(), key))
    }
}

/// A house of hands.
pub(super) struct Crew {
    pub(super) house: House<VirtualClock>,
    healths: Mutex<BTreeMap<u64, Arc<Health>>>,
}

/// How a call is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) caller: &'a str,
    pub(super) key: &'a str,
    pub(super) route_by: &'a str,
    pub(super) limit: Option<Duration>,
    pub(super) may_retry: bool,
}

impl Default for How<'_> {
    fn default() -> Self {
        Self {
            caller: "host",
            key: "",
            route_by: "",
            limit: None,
            may_retry: true,
        }
    }
}

impl Crew {
    /// Nobody yet, and a configuration.
    pub(super) fn new(toml: &str) -> Self {
        let house = House::new(VirtualClock::default());
        let crew = Self {
            house,
            healths: Mutex::default(),
        };
        crew.configure(toml);
        crew
    }

    pub(super) fn configure(&self, toml: &str) {
        let config = Config::parse(toml, "octa.toml").expect("a configuration");
        self.house.services.configure(&config);
    }

    /// A new hand under this name, in the place of the one before.
    pub(super) fn hand(&self, plugin: &str) -> Lamp {
        self.hand_declaring(plugin, |_| {})
    }

    pub(super) fn hand_declaring(&self, plugin: &str, change: impl Fn(&mut Capability)) -> Lamp {
        let hand = self.house.make_of::<Hand>(plugin, |manifest| {
            manifest.capabilities.iter_mut().for_each(change);
        });
        let clock = self.house.clock.clone();
        script(hand.number, |script| script.clock = Some(clock));
        let health = self.house.offer(&hand, &Intake::default(), None);
        self.healths.lock().insert(hand.number, health);
        hand
    }

    /// Declares one policy for one capability.
    pub(super) fn hand_with(&self, plugin: &str, capability: &str, policy: &Policy) -> Lamp {
        self.hand_declaring(plugin, |declared| {
            if declared.name == capability {
                declared.policy = policy.clone();
            }
        })
    }

    pub(super) fn says_health(&self, hand: &Lamp, health: f64) {
        self.healths.lock()[&hand.number].set(health);
    }

    pub(super) fn call_as(
        &self,
        capability: &str,
        how: How<'_>,
        input: &Value,
    ) -> Polled<std::result::Result<Payload, Error>> {
        let services = self.house.services.clone();
        let route = services.find(capability).expect("it is known");
        let payload = Payload::json(input).expect("JSON");
        let [caller, key, route_by] = [how.caller, how.key, how.route_by].map(str::to_owned);
        let (limit, may_retry) = (how.limit, how.may_retry);
        Polled::new(async move {
            let outcome = finish(|cx| {
                let envelope = Envelope {
                    remaining: limit,
                    idempotency_key: &key,
                    routing_key: &route_by,
                    ..Envelope::of(&caller)
                };
                services.begin(&route, &envelope, 1, &payload, may_retry, cx)
            });
            outcome.await.result
        })
    }

    /// Goes on in virtual time until there is an answer.
    pub(super) fn finish(&self, call: Polled<std::result::Result<Payload, Error>>) -> Answer {
        let ended = self.end(call);
        let answer = ended.and_then(|output| decode(&output));
        answer.map_err(|error| format!("{error:?}"))
    }

    /// Goes on in virtual time until all have an answer.
    pub(super) fn finish_all<const N: usize>(
        &self,
        mut calls: [Polled<std::result::Result<Payload, Error>>; N],
    ) -> [Answer; N] {
        let mut answers = [const { None }; N];
        loop {
            self.house.settle();
            for (call, answer) in calls.iter_mut().zip(&mut answers) {
                if answer.is_none()
                    && let Poll::Ready(ended) = call.poll()
                {
                    let ended = ended.and_then(|output| decode(&output));
                    *answer = Some(ended.map_err(|error| format!("{error:?}")));
                }
            }
            if answers.iter().all(Option::is_some) {
                return answers.map(|answer| answer.expect("it is there"));
            }
            let next = self.house.clock.until_next();
            self.house
                .clock
                .advance(next.expect("something to wait for"));
        }
    }

    pub(super) fn end(
        &self,
        mut call: Polled<std::result::Result<Payload, Error>>,
    ) -> std::result::Result<Payload, Error> {
        loop {
            self.house.settle();
            if let Poll::Ready(ended) = call.poll() {
                return ended;
            }
            let next = self
                .house
                .clock
                .until_next()
                .expect("something to wait for");
            self.house.clock.advance(next);
        }
    }

    pub(super) fn ask(&self, capability: &str) -> Answer {
        self.ask_as(capability, How::default())
    }

    pub(super) fn ask_as(&self, capability: &str, how: How<'_>) -> Answer {
        self.finish(self.call_as(capability, how, &json!(null)))
    }

    /// How often each hand was asked in these calls.
    pub(super) fn shares<const N: usize>(
        &self,
        hands: [&Lamp; N],
        calls: usize,
        mut ask: impl FnMut(usize),
    ) -> [u64; N] {
        let before = hands.map(|hand| self.begun(hand));
        (0..calls).for_each(&mut ask);
        let mut shares = hands.map(|hand| self.begun(hand));
        for (share, before) in shares.iter_mut().zip(before) {
            *share -= before;
        }
        shares
    }

    pub(super) fn begun(&self, hand: &Lamp) -> u64 {
        script(hand.number, |script| script.begun)
    }

    pub(super) fn begun_once(&self, hand: &Lamp) -> u64 {
        script(hand.number, |script| script.begun_once)
    }

    pub(super) fn under_way(&self, hand: &Lamp) -> u64 {
        script(hand.number, |script| script.under_way)
    }

    pub(super) fn most_at_once(&self, hand: &Lamp) -> u64 {
        script(hand.number, |script| script.most_at_once)
    }

    pub(super) fn next(&self, hand: &Lamp, acts: impl IntoIterator<Item = Act>) {
        script(hand.number, |script| script.acts.extend(acts));
    }

    /// Lets the next blocking call hold its thread until what is returned is dropped.
    pub(super) fn hold(&self, hand: &Lamp) -> mpsc::Sender<()> {
        let (sender, receiver) = mpsc::channel();
        script(hand.number, |script| script.held.push_back(receiver));
        sender
    }

    pub(super) fn always(&self, hand: &Lamp, act: impl Into<Option<Act>>) {
        let act = act.into();
        script(hand.number, |script| script.always = act);
    }

    pub(super) fn seconds(&self) -> u64 {
        self.house.clock.monotonic().as_secs()
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.house.clock.advance(Duration::from_secs(seconds));
    }
}
