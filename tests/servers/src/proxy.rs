//! What stands between a client and its server: its connections are cut, or stand still, when a test says so.
//!
//! It knows nothing of what passes but where a transaction is committed.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How a client of PostgreSQL ends a transaction.
const COMMIT: &[u8] = b"COMMIT\0";

/// When a connection is to stand still by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The server does not hear of the commit.
    BeforeCommit,
    /// The server commits, and its answer does not arrive.
    AfterCommit,
}

/// Lets everything pass until it is told otherwise.
///
/// A connection that stands still is open at both ends, and what is sent is kept until it goes on.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    connections: Vec<Arc<Connection>>,
    accepted: usize,
    /// Whether those that come stand still.
    holds: bool,
    /// Whether none is to come any more.
    is_over: bool,
    /// The next commit to stand still at.
    moment: Option<Moment>,
    /// Whether one has come since.
    has_caught: bool,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    up: Mutex<Way>,
    down: Mutex<Way>,
}

/// One of the ways that bytes go.
#[derive(Debug, Default)]
struct Way {
    stands: bool,
    kept: Vec<u8>,
}

impl Proxy {
    /// Stands in front of the server at a port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// If it finds no port for itself.
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let accepting = shared.clone();
        thread::spawn(move || accept(&listener, server, &accepting));
        Self { port, shared }
    }

    /// Returns the port that it listens on at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets the connection that commits next stand still at that moment.
    pub fn arm(&self, moment: Moment) {
        let mut shared = lock(&self.shared);
        (shared.moment, shared.has_caught) = (Some(moment), false);
    }

    /// Whether one stands still so, and the server was sent what it is to be sent.
    pub fn has_caught(&self) -> bool {
        lock(&self.shared).has_caught
    }

    /// Lets the connections that there are stand still.
    pub fn stall(&self) {
        for connection in &lock(&self.shared).connections {
            for way in [&connection.up, &connection.down] {
                lock(way).stands = true;
            }
        }
    }

    /// Lets the connections that come stand still.
    pub fn hold(&self) {
        lock(&self.shared).holds = true;
    }

    /// Ends the connections that there are. The server still does what has arrived there.
    pub fn cut(&self) {
        for connection in std::mem::take(&mut lock(&self.shared).connections) {
            connection.end();
        }
    }

    /// Lets everything pass again, what was kept meanwhile first.
    pub fn heal(&self) {
        let mut shared = lock(&self.shared);
        shared.holds = false;
        for connection in &shared.connections {
            for (way, to) in [
                (&connection.up, &connection.server),
                (&connection.down, &connection.client),
            ] {
                let mut way = lock(way);
                way.stands = false;
                // If that fails, whoever reads there notices it.
                drop(way.pass(to));
            }
        }
    }

    /// Returns how many connections have come so far.
    pub fn accepted(&self) -> usize {
        lock(&self.shared).accepted
    }

    /// Returns how many connections there are, but for those that either side has ended.
    pub fn open(&self) -> usize {
        lock(&self.shared).connections.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        lock(&self.shared).is_over = true;
        self.cut();
        // It waits for one more connection.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

impl Connection {
    fn end(&self) {
        drop(self.client.shutdown(Shutdown::Both));
        // It ends its own side when it has done everything before.
        drop(self.server.shutdown(Shutdown::Write));
    }
}

impl Way {
    /// Sends what was kept, unless it stands.
    fn pass(&mut self, mut to: &TcpStream) -> io::Result<()> {
        match self.stands {
            true => Ok(()),
            false => to.write_all(&std::mem::take(&mut self.kept)),
        }
    }
}

fn accept(listener: &TcpListener, server: u16, shared: &Arc<Mutex<Shared>>) {
    for client in listener.incoming().map_while(Result::ok) {
        let mut locked = lock(shared);
        if locked.is_over {
            return;
        }
        locked.accepted += 1;
        // A server that is down is one that ends its connections.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else {
            continue;
        };
        let way = || {
            Mutex::new(Way {
                stands: locked.holds,
                kept: Vec::new(),
            })
        };
        let connection = Arc::new(Connection {
            up: way(),
            down: way(),
            client,
            server,
        });
        locked.connections.push(connection.clone());
        let (upward, shared) = ((connection.clone(), shared.clone()), shared.clone());
        thread::spawn(move || pass_up(&upward.0, &upward.1));
        thread::spawn(move || pass_down(&connection, &shared));
    }
}

/// Moves what the client sends until either side ends.
fn pass_up(connection: &Arc<Connection>, shared: &Mutex<Shared>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = (&connection.client).read(&mut bytes) {
        let some = &bytes[..read];
        let is_commit = some.windows(COMMIT.len()).any(|it| it == COMMIT);
        let moment = is_commit.then(|| lock(shared).moment.take()).flatten();
        if moment == Some(Moment::AfterCommit) {
            lock(&connection.down).stands = true;
        }
        let mut way = lock(&connection.up);
        way.stands |= moment == Some(Moment::BeforeCommit);
        way.kept.extend_from_slice(some);
        if way.pass(&connection.server).is_err() {
            break;
        }
        drop(way);
        lock(shared).has_caught |= moment.is_some();
    }
    forget(connection, shared);
}

/// The same in the other direction.
fn pass_down(connection: &Arc<Connection>, shared: &Mutex<Shared>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = (&connection.server).read(&mut bytes) {
        let mut way = lock(&connection.down);
        way.kept.extend_from_slice(&bytes[..read]);
        if way.pass(&connection.client).is_err() {
            break;
        }
    }
    forget(connection, shared);
}

fn forget(connection: &Arc<Connection>, shared: &Mutex<Shared>) {
    connection.end();
    let connections = &mut lock(shared).connections;
    connections.retain(|it| !Arc::ptr_eq(it, connection));
}

/// What a panic leaves behind is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
