//! Tasks that stand still while their instance's state is handed over.

use std::{
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering},
    task::Poll,
};

use super::*;

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Counts for ever.
fn counting(facilities: &Facilities) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    facilities.run_task(Box::pin(async move {
        loop {
            counted.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
        }
    }));
    count
}

/// Waits until each has counted on.
fn go_on(counts: &[Arc<AtomicU64>]) {
    let now = |count: &Arc<AtomicU64>| count.load(Ordering::SeqCst);
    for count in counts {
        let before = now(count);
        while now(count) == before {
            std::thread::yield_now();
        }
    }
}

#[test]
fn frozen_tasks_stand_still_and_go_on() {
    let bench = Bench::with_threads(2);
    let lamp = bench.serving();
    let counts = [(); 3].map(|()| counting(&lamp));
    let at = || counts.each_ref().map(|count| count.load(Ordering::SeqCst));
    for _ in 0..50 {
        go_on(&counts);
        lamp.freeze();
        block_on(lamp.frozen());
        let before = at();
        bench.settle();
        assert_eq!(at(), before);
        lamp.thaw();
    }
}

#[test]
fn a_task_spawned_meanwhile_waits() {
    let bench = Bench::new();
    let lamp = bench.serving();
    lamp.freeze();
    let (tell, told) = mpsc::channel();
    lamp.run_task(telling(tell));
    bench.settle();
    told.try_recv().expect_err("it stands still");
    lamp.thaw();
    told.recv().expect("it goes on");
}

#[test]
fn a_poll_under_way_is_waited_for() {
    let bench = Bench::new();
    let lamp = bench.serving();
    let ((entered, is_in), (let_go, go)) = (mpsc::channel(), mpsc::channel::<()>());
    lamp.run_task(Box::pin(async move {
        let _ = entered.send(());
        let _ = go.recv();
    }));
    is_in.recv().expect("it is polled");
    lamp.freeze();
    let mut frozen = Box::pin(lamp.frozen());
    let polled = frozen
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    drop(let_go);
    block_on(frozen);
}

#[test]
fn a_frozen_task_ends_with_its_instance() {
    let bench = Bench::new();
    let lamp = bench.serving();
    lamp.freeze();
    let (tell, told) = mpsc::channel::<()>();
    lamp.run_task(telling(tell));
    bench.settle();
    lamp.close();
    told.recv().expect_err("it was dropped, not run");
    let (tell, told) = mpsc::channel();
    lamp.run_task(telling(tell));
    told.recv().expect("who starts again may spawn again");
}
