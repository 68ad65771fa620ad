//! A proxy passes, keeps or cuts what is said through it, and its server notices no more than that.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use octa_test_servers::{Moment, Proxy};

/// A server that answers in capitals, and tells what it heard; an empty text is the end of a connection.
fn shouting() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, heard) = mpsc::channel();
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut bytes = [0; 64];
                loop {
                    let read = client.read(&mut bytes).unwrap_or(0);
                    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                    drop(client.write_all(text.to_uppercase().as_bytes()));
                    if tell.send(text).is_err() || read == 0 {
                        return;
                    }
                }
            });
        }
    });
    (port, heard)
}

fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).expect("connects")
}

#[track_caller]
fn say(client: &mut TcpStream, text: &str) {
    client.write_all(text.as_bytes()).expect("is sent");
}

#[track_caller]
fn check(client: &mut TcpStream, expect: &str) {
    let mut bytes = vec![0; expect.len()];
    client.read_exact(&mut bytes).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&bytes), expect);
}

#[test]
fn what_stands_still_goes_on_with_all_that_was_said() {
    let (port, heard) = shouting();
    let proxy = Proxy::start(port);
    let mut first = connect(&proxy);
    say(&mut first, "a");
    check(&mut first, "A");
    proxy.stall();
    say(&mut first, "b");
    // One that comes later is another thing.
    let mut second = connect(&proxy);
    say(&mut second, "c");
    check(&mut second, "C");
    proxy.hold();
    let mut third = connect(&proxy);
    say(&mut third, "d");
    say(&mut second, "e");
    check(&mut second, "E");
    let before: Vec<_> = (0..3).filter_map(|_| heard.recv().ok()).collect();
    assert_eq!(before, ["a", "c", "e"]);
    proxy.heal();
    check(&mut first, "B");
    check(&mut third, "D");
    assert_eq!((proxy.accepted(), proxy.open()), (3, 3));
}

#[test]
fn a_connection_is_caught_at_its_commit_and_cut() {
    for (moment, expect) in [
        (Moment::BeforeCommit, ["a", ""].as_slice()),
        (Moment::AfterCommit, &["a", "COMMIT\0", ""]),
    ] {
        let (port, heard) = shouting();
        let proxy = Proxy::start(port);
        let mut client = connect(&proxy);
        say(&mut client, "a");
        check(&mut client, "A");
        proxy.arm(moment);
        say(&mut client, "COMMIT\0");
        while !proxy.has_caught() {
            thread::yield_now();
        }
        proxy.cut();
        assert_eq!(client.read(&mut [0; 8]).unwrap_or(0), 0, "{moment:?}");
        let found: Vec<_> = expect.iter().filter_map(|_| heard.recv().ok()).collect();
        assert_eq!(found, expect, "{moment:?}");
        assert_eq!(proxy.open(), 0, "{moment:?}");
    }
}
