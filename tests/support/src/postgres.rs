//! A PostgreSQL of a test's own: in a temporary folder, on a free port of 127.0.0.1, with TLS and
//! client certificates. It needs the server's programs (Debian: `postgresql`).

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::certificates::Ends;
use super::{TestAuthority, wait_for};

/// PostgreSQL refuses to run as root. This user and group exist everywhere, and own nothing.
const NOBODY: u32 = 65_534;

/// The database of a fleet's centre.
const DATABASE: &str = "faceood";

/// A running server; it ends when this is dropped.
pub struct PostgresServer {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    server: Option<Child>,
    authority: TestAuthority,
}

/// A certificate's three files, for `--ca`, `--certificate` and `--key`.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl PostgresServer {
    /// A server that takes TLS with a client certificate only, and its operator (`postgres`) over
    /// the local socket. It has the database `faceood`.
    pub fn start() -> Self {
        Self::begin("")
    }

    /// As [`start`](Self::start), but anybody may connect without TLS and as anyone: for a test
    /// that looks at what goes over the wire.
    pub fn start_open() -> Self {
        Self::begin("host all all 127.0.0.1/32 trust\n")
    }

    fn begin(more_access: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Self {
            programs: programs(),
            port: free_port(),
            server: None,
            authority: TestAuthority::new("the fleet"),
            folder,
        };
        server.give(server.folder.path(), 0o755);
        let data = server.data();
        let mut initdb = server.program("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--username=postgres"]);
        initdb.args(["--encoding=UTF8", "--locale=C", "--pgdata"]);
        let made = initdb.arg(&data).output().expect("initdb starts");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb failed: {said}");
        let certificate = server.authority.server(Ends::Future);
        let (certificate, key) = certificate.write(server.folder.path(), "server");
        server.give(&certificate, 0o644);
        server.give(&key, 0o600);
        let ca = server.folder.path().join("ca.pem");
        fs::write(&ca, server.authority.pem()).expect("it is written");
        server.give(&ca, 0o644);
        let access =
            format!("local all all trust\n{more_access}hostssl all all 127.0.0.1/32 cert\n");
        fs::write(data.join("pg_hba.conf"), access).expect("it is written");
        // What a test kills is the server, not the machine: the disk need not be waited for.
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nssl = on\n\
             ssl_cert_file = '{}'\nssl_key_file = '{}'\nssl_ca_file = '{}'\n\
             ssl_min_protocol_version = 'TLSv1.3'\nfsync = off\nmax_connections = 50\n\
             shared_buffers = '64MB'\nlog_min_messages = warning\n\
             log_min_error_statement = panic\n",
            server.folder.path().display(),
            certificate.display(),
            key.display(),
            ca.display()
        );
        fs::write(data.join("postgresql.auto.conf"), settings).expect("it is written");
        server.resume();
        server.run_sql("postgres", &format!("CREATE DATABASE {DATABASE}"));
        server
    }

    /// The address as its owner opens it: over the local socket, with all rights.
    pub fn owner_url(&self) -> String {
        let socket = self.folder.path().to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@{socket}:{}/{DATABASE}", self.port)
    }

    /// The address as a box opens it, without a role in it.
    pub fn url(&self) -> String {
        format!("postgres://127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A certificate with the common name `name`, from the authority that the server trusts.
    pub fn certificate(&self, name: &str) -> CertificateFiles {
        let folder = self.folder.path();
        let made = self.authority.client(name, Ends::Future);
        let (certificate, key) = made.write(folder, &format!("client-{name}"));
        CertificateFiles {
            ca: folder.join("ca.pem"),
            certificate,
            key,
        }
    }

    /// Runs statements as the owner; gives the rows, a line each, with `|` between values.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        self.run_sql(DATABASE, statements)
    }

    #[track_caller]
    fn run_sql(&self, database: &str, statements: &str) -> String {
        let answer = self.try_sql(database, statements);
        answer.unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    fn try_sql(&self, database: &str, statements: &str) -> Result<String, String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
            .args(["--set=ON_ERROR_STOP=1", "--username=postgres", "--host"])
            .arg(self.folder.path())
            .arg(format!("--port={}", self.port))
            .args(["--dbname", database, "--command", statements])
            .env_remove("PGOPTIONS")
            .output()
            .expect("psql starts");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Kills the server as a crash would, with all its processes; [`resume`](Self::resume) starts
    /// it again.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let family = family(server.id());
            server.kill().expect("it is killed");
            server.wait().expect("it has ended");
            // Its processes see that it is gone. A new server does not start before they are.
            wait_for("the end of the server's processes", || {
                let rest = family.iter().filter(|id| is_running(**id));
                rest.for_each(|id| signal(*id, Signal::KILL));
                (!family.iter().any(|id| is_running(*id))).then_some(())
            });
        }
    }

    /// Starts the server, on the same port and with the same data.
    pub fn resume(&mut self) {
        let log = fs::File::create(self.folder.path().join("server.log")).expect("a log");
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(self.data());
        postgres.arg("-p").arg(self.port.to_string());
        postgres.stdin(Stdio::null());
        postgres
            .stdout(log.try_clone().expect("the log"))
            .stderr(log);
        self.server = Some(postgres.spawn().expect("postgres starts"));
        wait_for("the PostgreSQL server", || {
            let ended = self.server.as_mut().and_then(|server| {
                let ended = server.try_wait().expect("its state");
                ended.map(|status| status.to_string())
            });
            assert!(ended.is_none(), "postgres ended: {ended:?}\n{}", self.log());
            self.try_sql("postgres", "SELECT 1").ok()
        });
    }

    /// Stops all processes of the server where they are, so that it neither answers nor refuses;
    /// [`thaw`](Self::thaw) lets them go on.
    pub fn freeze(&self) {
        for id in self.family() {
            signal(id, Signal::STOP);
        }
    }

    /// See [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        for id in self.family() {
            signal(id, Signal::CONT);
        }
    }

    /// What the server wrote since it was last started.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    fn family(&self) -> BTreeSet<u32> {
        self.server
            .as_ref()
            .map(|server| family(server.id()))
            .unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of the server's programs, under a user that is not root.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.folder.path()).env("TZ", "UTC");
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Gives a file or folder to the user that the server runs as.
    fn give(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        if geteuid().is_root() {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("an owner");
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the PostgreSQL server said:\n{}", self.log());
        }
        self.kill();
    }
}

/// The folder of the server's programs: the newest that Debian installed, or that of `postgres`.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = found.into_iter().rev().map(|(_, path)| path);
    let mut candidates = candidates.chain(std::env::split_paths(&path));
    let is_whole = |folder: &PathBuf| {
        let programs = ["initdb", "postgres", "psql"];
        programs.iter().all(|name| folder.join(name).is_file())
    };
    candidates.find(is_whole).expect(
        "PostgreSQL's server is not installed, and this test needs it: run ./scripts/setup --for-tests, \
         or apt-get install postgresql",
    )
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A process and its children.
fn family(parent: u32) -> BTreeSet<u32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = ids.filter(|id| status(*id).is_some_and(|(_, of)| of == parent));
    children.chain([parent]).collect()
}

/// A process's state and its parent.
fn status(id: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn is_running(id: u32) -> bool {
    status(id).is_some_and(|(state, _)| state != 'Z')
}

fn signal(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // Where it has just ended there is nothing to do.
        let _ = kill_process(id, signal);
    }
}
