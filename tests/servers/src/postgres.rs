//! A PostgreSQL server in a temporary directory, reached by TCP and by a Unix socket.
//!
//! Its settings are PostgreSQL's own: what it acknowledges is on the disk.

mod guard;
mod owner;
mod processes;
mod programs;

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use guard::Guard;
use owner::Owner;
use processes::Processes;
use programs::Programs;

use super::Proxy;
pub use programs::MissingPrograms;

/// The user of a new server, who may do anything and needs no password. Every other one needs one.
const SUPERUSER: &str = "postgres";
const AUTHENTICATION: &str = "\
# type database user method
local all postgres trust
host all postgres 127.0.0.1/32 trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
";
/// Ports below those that the system gives to outgoing connections: while the server is down, such a one could
/// take its port, or even reach itself there.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// A server that tests have for themselves.
///
/// It ends, and its directory goes, when this is dropped or the process ends.
#[derive(Debug)]
pub struct Postgres {
    programs: Programs,
    owner: Owner,
    directory: PathBuf,
    port: u16,
    /// `None` while it is down. Held while it is started or ended, so that only one of these happens at a time.
    processes: Mutex<Option<Processes>>,
    databases: AtomicU32,
    _guard: Guard,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// This machine has no PostgreSQL.
    #[error(transparent)]
    Missing(#[from] MissingPrograms),
    /// A program did not do what it is for.
    #[error("cannot {what}: {source}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// What came of it.
        source: io::Error,
    },
}

impl Postgres {
    /// Makes a new server, and waits until it can be reached.
    pub fn start() -> Result<Self, StartError> {
        Self::start_with("")
    }

    /// The same with more lines in its `postgresql.conf`.
    pub fn start_with(settings: &str) -> Result<Self, StartError> {
        let programs = Programs::find()?;
        let owner = Owner::choose().map_err(failed("find a user to run PostgreSQL"))?;
        let make = || {
            let directory = tempfile::Builder::new().prefix("octa-pg-").tempdir()?;
            owner.take(directory.path())?;
            Ok(directory.keep())
        };
        let directory = make().map_err(failed("make a directory for PostgreSQL"))?;
        let guard = Guard::start(&programs.path("pg_ctl"), &directory, &owner)
            .map_err(failed("start the guard of PostgreSQL"))?;
        let port = free_port().map_err(failed("find a port for PostgreSQL"))?;
        let server = Self {
            programs,
            owner,
            directory,
            port,
            processes: Mutex::new(None),
            databases: AtomicU32::new(0),
            _guard: guard,
        };
        server
            .initialize(settings)
            .map_err(failed("make a PostgreSQL server"))?;
        server.restart()?;
        Ok(server)
    }

    /// Starts it again on what it had; one that runs is ended first, as it should.
    pub fn restart(&self) -> Result<(), StartError> {
        let mut processes = self.processes();
        if let Some(mut running) = processes.take() {
            running.stop();
        }
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data());
        *processes = Some(Processes::start(server).map_err(failed("start PostgreSQL"))?);
        Ok(())
    }

    /// Kills every process of it at once, and waits until they are gone.
    pub fn kill(&self) {
        if let Some(mut running) = self.processes().take() {
            running.kill();
        }
        // Its number may be another process's by the next start.
        drop(fs::remove_file(self.data().join("postmaster.pid")));
    }

    /// Ends it as it should be: clients are sent away, and everything is written.
    pub fn stop(&self) {
        if let Some(mut running) = self.processes().take() {
            running.stop();
        }
    }

    /// Lets every process of it stand still: connections stay, and nothing answers.
    pub fn freeze(&self) {
        if let Some(running) = &*self.processes() {
            running.freeze();
        }
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        if let Some(running) = &*self.processes() {
            running.thaw();
        }
    }

    /// Makes an empty database; its name begins with this one, and is no other's.
    ///
    /// # Panics
    ///
    /// If the server does not make it.
    pub fn database(&self, name: &str) -> Database<'_> {
        let number = self.databases.fetch_add(1, Relaxed);
        let name = format!("{name}_{number}");
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""));
        Database { server: self, name }
    }

    /// Runs statements as the superuser and returns the fields of their rows, by tabs and lines.
    ///
    /// # Panics
    ///
    /// If the server refuses one.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = self.command("psql");
        psql.args(["-X", "-q", "-A", "-t", "-F", "\t"])
            .args(["-v", "ON_ERROR_STOP=1"])
            .args(["-U", SUPERUSER, "-d", database, "-c", statements])
            .arg("-h")
            .arg(&self.directory)
            .arg("-p")
            .arg(self.port.to_string());
        run(psql).unwrap_or_else(|error| panic!("`{statements}` in `{database}`: {error}"))
    }

    /// Adds settings to `postgresql.conf`, which hold from the next start or reload on.
    ///
    /// # Panics
    ///
    /// If they cannot be written.
    pub fn configure(&self, settings: &str) {
        let file = self.data().join("postgresql.conf");
        append(&file, settings).expect("settings are written");
    }

    /// Lets it encrypt, with a certificate for this host alone that signs itself, and starts it again. Returns
    /// the file of the certificate.
    ///
    /// # Panics
    ///
    /// If it does not start so.
    pub fn encrypt(&self, host: &str) -> PathBuf {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]);
        let made = made.expect("a certificate is made");
        let certificate = self.data().join("server.crt");
        fs::write(&certificate, made.cert.pem()).expect("the certificate is written");
        let key = self.data().join("server.key");
        fs::write(&key, made.signing_key.serialize_pem()).expect("its key is written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its key is private");
        self.owner.take(&key).expect("its key is the server's");
        self.configure("ssl = on");
        self.restart().expect("it starts again");
        certificate
    }

    /// Returns the port that it listens on at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the directory of its Unix socket.
    pub fn socket(&self) -> &Path {
        &self.directory
    }

    /// Returns the directory of its data.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Lets the process of one session stand still, by its number there, until [`thaw`](Self::thaw).
    ///
    /// # Panics
    ///
    /// If it is none of this server's.
    pub fn freeze_session(&self, process: &str) {
        let processes = self.processes();
        let frozen = processes.as_ref().zip(process.parse().ok());
        let frozen = frozen.is_some_and(|(running, id)| running.freeze_one(id));
        assert!(frozen, "`{process}` is no process of the server");
    }

    fn initialize(&self, settings: &str) -> io::Result<()> {
        let mut initdb = self.command("initdb");
        // Only making it is not synced.
        initdb.args(["--no-sync", "--no-locale", "--encoding=UTF8"]);
        initdb.args(["--auth=trust", "--username", SUPERUSER, "--pgdata"]);
        run(initdb.arg(self.data()))?;
        let socket = self.directory.display();
        let own = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{socket}'\n",
            self.port
        );
        append(&self.data().join("postgresql.conf"), &own)?;
        append(&self.data().join("postgresql.conf"), settings)?;
        fs::write(self.data().join("pg_hba.conf"), AUTHENTICATION)
    }

    fn command(&self, program: &str) -> Command {
        self.programs.command(program, &self.owner, &self.directory)
    }

    /// What a panic leaves behind is still a server or none.
    fn processes(&self) -> MutexGuard<'_, Option<Processes>> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A database of a server.
#[derive(Debug)]
pub struct Database<'a> {
    server: &'a Postgres,
    name: String,
}

impl Database<'_> {
    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its address by TCP, for the superuser, who needs no password.
    pub fn url(&self) -> String {
        self.url_for(SUPERUSER)
    }

    /// Returns its address by TCP, for another user.
    pub fn url_for(&self, user: &str) -> String {
        let Self { server, name } = self;
        format!("postgres://{user}@127.0.0.1:{}/{name}", server.port)
    }

    /// Returns its address by what stands before the server, for the superuser.
    pub fn url_through(&self, proxy: &Proxy) -> String {
        self.url_for_through(SUPERUSER, proxy)
    }

    /// The same for another user.
    pub fn url_for_through(&self, user: &str, proxy: &Proxy) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{}", proxy.port(), self.name)
    }

    /// Returns its address by the Unix socket, for the superuser.
    pub fn socket_url(&self) -> String {
        let Self { server, name } = self;
        let (port, socket) = (server.port, server.directory.display());
        format!("postgres://{SUPERUSER}@/{name}?host={socket}&port={port}")
    }

    /// Runs statements in it as the superuser; see [`Postgres::sql`].
    ///
    /// # Panics
    ///
    /// If the server refuses one.
    pub fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.name, statements)
    }
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Failed { what, source }
}

/// A port that nobody listens on; where to begin differs between processes, and between servers of one.
fn free_port() -> io::Result<u16> {
    static BEGUN: AtomicU32 = AtomicU32::new(0);
    let seed = std::process::id() * 16 + BEGUN.fetch_add(1, Relaxed);
    let some = (0..64).map(|n| PORTS.start + (seed * 7 + n * 101) % (PORTS.end - PORTS.start));
    let mut some = some.filter_map(|port| u16::try_from(port).ok());
    some.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| io::Error::other("64 ports are in use"))
}

/// Runs a program to its end and returns what it printed.
fn run(mut command: impl std::borrow::BorrowMut<Command>) -> io::Result<String> {
    let command = command.borrow_mut();
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned());
    }
    let program = command.get_program().display();
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("`{program}` failed: {words}")))
}

fn append(file: &Path, lines: &str) -> io::Result<()> {
    use io::Write as _;
    let mut file = fs::OpenOptions::new().append(true).open(file)?;
    writeln!(file, "{lines}")
}
