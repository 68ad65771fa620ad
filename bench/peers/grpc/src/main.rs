//! Unary gRPC between two processes, over a Unix socket: tonic at both ends, 64 bytes there and
//! back, as they are. The server is this program, started once more. How often it is to call is
//! read line by line; what so many calls took, one after the other, is printed in nanoseconds.

use std::{
    env,
    error::Error,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::{io, net::UnixListener, runtime::Runtime};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{
    Request,
    client::Grpc,
    transport::{Channel, Endpoint, Server},
};

use crate::{codec::Raw, echo::Echo};

mod codec;
mod echo;

/// What this program is started with to be the server, before the path of its socket.
const SERVE: &str = "--serve";
const BYTES: [u8; 64] = [b'x'; 64];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    // One thread at each end: what there is to do is done one after the other.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    match &arguments[..] {
        [word, socket] if word == SERVE => runtime.block_on(serve(Path::new(socket))),
        _ => call(&runtime),
    }
}

/// Is the server, until the one who started it is gone.
async fn serve(socket: &Path) -> Outcome<()> {
    let listener = UnixListener::bind(socket)?;
    println!("ready");
    let connections = UnixListenerStream::new(listener);
    let server = Server::builder().add_service(Echo);
    let (mut stdin, mut nowhere) = (io::stdin(), io::sink());
    tokio::select! {
        served = server.serve_with_incoming(connections) => served?,
        // Nothing is ever written there; it ends with its writer.
        ended = io::copy(&mut stdin, &mut nowhere) => drop(ended?),
    }
    Ok(())
}

/// Starts the server, and calls it as often as is asked for.
fn call(runtime: &Runtime) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("socket");
    let mut server = start(&socket)?;
    let mut client = runtime.block_on(connect(&socket))?;
    octa_bench_build::tell_times(|count| {
        let began = Instant::now();
        let calls = runtime.block_on(calls(&mut client, count));
        calls.unwrap_or_else(|error| panic!("cannot call: {error}"));
        began.elapsed()
    });
    drop(server.stdin.take());
    server.wait()?;
    Ok(())
}

/// The server, once it listens.
fn start(socket: &Path) -> Outcome<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.arg(SERVE).arg(socket);
    let mut server = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let told = server.stdout.take().ok_or("the server has no output")?;
    BufReader::new(told).read_line(&mut String::new())?;
    Ok(server)
}

async fn connect(socket: &Path) -> Outcome<Grpc<Channel>> {
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))?;
    Ok(Grpc::new(endpoint.connect().await?))
}

async fn calls(client: &mut Grpc<Channel>, count: u64) -> Outcome<()> {
    let input = Bytes::from_static(&BYTES);
    for _ in 0..count {
        client.ready().await?;
        let path = PathAndQuery::from_static(echo::PATH);
        let answer = client.unary(Request::new(input.clone()), path, Raw).await?;
        assert_eq!(answer.into_inner(), input);
    }
    Ok(())
}
