//! Treatments of calls that there are not, or not like this.

use octa_plugin_api::tentacle;

#[derive(Default)]
struct Lamps;

#[tentacle(name = "lamps")]
impl Lamps {
    #[capability("lamps.a", brakers)]
    fn a(&self) {}

    #[capability("lamps.b", routing = "round-robbin")]
    fn b(&self) {}

    #[capability("lamps.c", concurrency = 0)]
    fn c(&self) {}

    #[capability("lamps.d", queue = -1)]
    fn d(&self) {}

    #[capability("lamps.e", wait = "0s")]
    fn e(&self) {}

    #[capability("lamps.f", breaker = true)]
    fn f(&self) {}

    #[capability("lamps.g", breaker(failures = 1.5))]
    fn g(&self) {}

    #[capability("lamps.h", breaker(failures = "half"))]
    fn h(&self) {}

    #[capability("lamps.i", breaker(probe = 1))]
    fn i(&self) {}

    #[capability("lamps.j", retry(attempts = 1))]
    fn j(&self) {}

    #[capability("lamps.k", retry(backoff = "2s", backoff_max = "1s"))]
    fn k(&self) {}

    #[capability("lamps.l", retry(budget = 0))]
    fn l(&self) {}

    #[capability("lamps.m", rate)]
    fn m(&self) {}

    #[capability("lamps.n", rate(per = "1s"))]
    fn n(&self) {}

    #[capability("lamps.o", rate(calls = 5_000_000_000))]
    fn o(&self) {}

    #[capability("lamps.p", remember(bytes = "16MB"))]
    fn p(&self) {}

    #[capability("lamps.q", fallback = "lamps.q")]
    fn q(&self) {}

    #[capability("lamps.r", fallback = "lamps cached")]
    fn r(&self) {}

    #[capability("lamps.s", check = "input")]
    fn s(&self) {}

    #[capability("lamps.t", order = "lamps")]
    fn t(&self) {}

    #[subscribe("lamps.**", backoff = "10s", backoff_max = "1s")]
    fn seen(&self) {}
}

fn main() {}
