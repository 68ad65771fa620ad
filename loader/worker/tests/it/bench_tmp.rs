//! Temporary.
use crate::kernel::*;
use octa_wire::*;
use serde_json::json;
use std::time::*;

#[test]
fn bench_tmp() {
    for ring in [RING_BYTES, 0] {
        let mut kernel = Kernel::ready_over(ring);
        kernel.call("echo", &json!("x")).result.unwrap();
        let link = kernel.link();
        let mut frame = Vec::new();
        let n = 50_000u32;
        let started = Instant::now();
        let mut worst = Duration::ZERO;
        for id in 0..n {
            let t = Instant::now();
            frame.clear();
            ToWorker::Call {
                id: 1_000_000 + u64::from(id),
                instance: INSTANCE,
                handler: 0,
                envelope: Envelope {
                    remaining_nanos: NO_DEADLINE,
                    caller: "test",
                    ..Envelope::default()
                },
                payload: b"\"hello\"",
            }
            .encode(&mut frame);
            link.send(&frame).unwrap();
            let mut r = link.receive();
            loop {
                if let Some(frame) = r.next().unwrap() {
                    assert!(matches!(
                        ToKernel::decode(frame).unwrap(),
                        ToKernel::Answer {
                            answer: Answer { code: 0, .. },
                            ..
                        }
                    ));
                    break;
                }
                if !r.spin(Duration::from_micros(100)) {
                    drop(r);
                    link.park(None).unwrap();
                    r = link.receive();
                }
            }
            worst = worst.max(t.elapsed());
        }
        println!(
            "ring {ring}: {:?} per call, worst {worst:?}",
            started.elapsed() / n
        );
        // pipelined
        let started = Instant::now();
        let window = 32;
        let mut sent = 0u32;
        let mut got = 0u32;
        while got < n {
            while sent < n && sent - got < window {
                frame.clear();
                ToWorker::Call {
                    id: 5_000_000 + u64::from(sent),
                    instance: INSTANCE,
                    handler: 0,
                    envelope: Envelope {
                        remaining_nanos: NO_DEADLINE,
                        caller: "test",
                        ..Envelope::default()
                    },
                    payload: b"\"hello\"",
                }
                .encode(&mut frame);
                link.send(&frame).unwrap();
                sent += 1;
            }
            let mut r = link.receive();
            while let Some(_) = r.next().unwrap() {
                got += 1;
            }
            if got < n && !r.spin(Duration::from_micros(100)) {
                drop(r);
                link.park(None).unwrap();
            }
        }
        println!(
            "ring {ring}: pipelined {:?} per call",
            started.elapsed() / n
        );
    }
}
