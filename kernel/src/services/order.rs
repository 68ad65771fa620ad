//! Which provider a call is offered to first, and which next if that one does not take it.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use octa_loader::policy::Routing;

use super::route::{Provider, Providers, Route};

/// The providers in the order in which a call tries them. Those that say they can do nothing come
/// last.
pub(super) struct Order<'a> {
    providers: &'a [Provider],
    first: usize,
    key: Option<u64>,
    /// The first of them when it is not simply that whose turn it is.
    chosen: Option<usize>,
    /// Where the one whose turn it is does not take a call, the others that can take turns at its share.
    detour: Option<&'a Route>,
}

impl<'a> Order<'a> {
    /// `key` is what is routed by where the routing asks for it.
    pub(super) fn of(route: &'a Route, providers: &'a Providers, key: &str) -> Self {
        let order = Self {
            providers,
            first: route.turn(providers.len()),
            key: None,
            chosen: None,
            detour: None,
        };
        match providers.routing() {
            Routing::RoundRobin => Self {
                chosen: Some(order.first)
                    .filter(|&first| providers.get(first).is_some_and(|it| !it.is_dead())),
                detour: Some(route),
                ..order
            },
            Routing::Failover => Self { first: 0, ..order },
            Routing::LeastInFlight => {
                let chosen = order.least_in_flight();
                Self { chosen, ..order }
            }
            Routing::ByKey => Self {
                key: Some(hash(key)),
                ..order
            },
        }
    }

    /// The first of them for which `take` has an answer.
    pub(super) fn find<T>(self, mut take: impl FnMut(&'a Provider) -> Option<T>) -> Option<T> {
        if let Some(key) = self.key {
            return self.find_by_key(key, &mut take);
        }
        let chosen = self.chosen;
        if let Some(taken) = chosen.and_then(|index| take(&self.providers[index])) {
            return Some(taken);
        }
        let first = match self.detour {
            Some(route) => self.first_ready(route.detour()),
            None => self.first,
        };
        let (before, after) = self.providers.split_at(first);
        let offset = first;
        let in_turn = || {
            let after = after.iter().enumerate().map(|(i, it)| (i + offset, it));
            after.chain(before.iter().enumerate())
        };
        let others = || in_turn().filter(|(index, _)| Some(*index) != chosen);
        let alive = others().filter(|(_, provider)| !provider.is_dead());
        let dead = others().filter(|(_, provider)| provider.is_dead());
        let mut all = alive.chain(dead);
        all.find_map(|(_, provider)| take(provider))
    }

    /// The place of one that lets calls in now, each in its turn; whose turn it was if none does.
    fn first_ready(&self, turn: usize) -> usize {
        let are_ready = self.providers.iter().map(Provider::is_ready);
        let ready: Vec<_> = (0..).zip(are_ready).filter(|(_, is)| *is).collect();
        let count = ready.len().max(1);
        (ready.get(turn % count)).map_or(self.first, |(index, _)| *index)
    }

    /// That with the fewest calls under way for its health; the first of several in turn.
    fn least_in_flight(&self) -> Option<usize> {
        let count = self.providers.len();
        let in_turn = (0..count).map(|index| (index + self.first) % count);
        // The first of equals is kept by `min_by`; without any health the load has no bounds.
        let loads = in_turn.map(|index| (index, self.providers[index].load()));
        let least = loads.min_by(|(_, a), (_, b)| a.total_cmp(b));
        least.map(|(index, _)| index)
    }

    /// Each key has an order of its own over the providers: when one comes or goes, only the keys
    /// that were or will be its own find another (rendezvous hashing).
    fn find_by_key<T>(
        &self,
        key: u64,
        take: &mut impl FnMut(&'a Provider) -> Option<T>,
    ) -> Option<T> {
        let rank = |provider: &Provider| (!provider.is_dead(), mix(provider.seed() ^ key));
        let mut below = None;
        loop {
            let ranked = self.providers.iter().map(|it| (rank(it), it));
            let left = ranked.filter(|(rank, _)| below.is_none_or(|below| *rank < below));
            let (next, provider) = left.max_by_key(|(rank, _)| *rank)?;
            if let Some(taken) = take(provider) {
                return Some(taken);
            }
            below = Some(next);
        }
    }
}

/// The number of a name or key; the same in every run of one build.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Spreads the bits of a number over all of it (the finaliser of splitmix64).
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
