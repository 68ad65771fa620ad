//! What stands between a kernel and its server, and cuts a connection at the worst moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// When to cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// The server never hears of the commit.
    BeforeCommit,
    /// The server commits, and its answer is lost.
    AfterCommit,
}

/// Lets everything pass until it is armed; then cuts at the next commit, once.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) port: u16,
    armed: Arc<AtomicBool>,
}

impl Proxy {
    pub(super) async fn start(server: u16, cut: Cut) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let armed = Arc::new(AtomicBool::new(false));
        let is_armed = armed.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await;
                tokio::spawn(pass(
                    client,
                    server.expect("a server"),
                    cut,
                    is_armed.clone(),
                ));
            }
        });
        Self { port, armed }
    }

    /// Cuts at the next commit.
    pub(super) fn arm(&self) {
        self.armed.store(true, SeqCst);
    }

    /// Whether it has cut.
    pub(super) fn has_cut(&self) -> bool {
        !self.armed.load(SeqCst)
    }
}

/// Moves bytes both ways until either side ends, or the moment has come.
async fn pass(client: TcpStream, server: TcpStream, cut: Cut, armed: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let down = tokio::spawn(async move {
        drop(tokio::io::copy(&mut from_server, &mut to_client).await);
        from_server
    });
    let mut bytes = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
        let some = &bytes[..read];
        let is_commit = some.windows(7).any(|it| it == b"COMMIT\0");
        if is_commit && armed.swap(false, SeqCst) {
            down.abort();
            drop(down.await);
            if let Cut::AfterCommit = cut {
                drop(to_server.write_all(some).await);
                // It ends its side once it has done everything before.
                drop(to_server.shutdown().await);
            }
            return;
        }
        if to_server.write_all(some).await.is_err() {
            break;
        }
    }
    down.abort();
}
