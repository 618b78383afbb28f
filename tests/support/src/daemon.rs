//! A daemon of one's own: the real binary, on a free port, with its state in a temporary folder.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Admin, Client, admin, models, program, wait_for};

/// A running daemon. Dropped, it is stopped; if the test is failing by then, its log is printed.
pub struct Daemon {
    child: Child,
    address: SocketAddr,
    home: Home,
}

/// The folder that a daemon lives in: `config.toml`, `data/` and `output`. It outlives the daemon,
/// so that a test can start another one in it.
pub struct Home {
    folder: TempDir,
    models_dir: PathBuf,
    disk_bytes: Option<u64>,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    listen: String,
    inherited: Option<TcpListener>,
}

impl Home {
    /// A fresh home with an empty configuration: everything at its default.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::write(folder.path().join("config.toml"), "").expect("the configuration is written");
        Self {
            folder,
            models_dir: models(),
            disk_bytes: None,
            environment: Vec::new(),
            arguments: Vec::new(),
            listen: "127.0.0.1:0".to_owned(),
            inherited: None,
        }
    }

    /// The configuration file's text.
    pub fn config(self, toml: &str) -> Self {
        self.write_config(toml);
        self
    }

    /// Writes the configuration file anew, for a reload.
    pub fn write_config(&self, toml: &str) {
        fs::write(self.config_file(), toml).expect("the configuration is written");
    }

    /// Other models than those that ship.
    pub fn models_dir(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.models_dir);
        self
    }

    /// Gives `DATA_DIR` a disk of its own of this size, in memory and seen by the daemon alone; or
    /// nothing where this machine lets no one mount.
    pub fn disk(mut self, bytes: u64) -> Option<Self> {
        fs::create_dir_all(self.data_dir()).expect("the data folder is made");
        let mut mount = on_a_disk(bytes, &self.data_dir());
        let outcome = mount.arg("true").stderr(Stdio::null()).status();
        self.disk_bytes = Some(bytes);
        outcome.is_ok_and(|status| status.success()).then_some(self)
    }

    /// A variable of the daemon's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Knows one caller, who may do everything by the token `fod_test`: a daemon on the network needs
    /// a token to start.
    pub fn with_token(self) -> Self {
        // SHA-256 of the token.
        const HASH: &str = "dd8a9f9f6a002cc450f38c316212bf737c2be92065855cf35e0ada6fec01446f";
        let token = format!(
            "[[token]]\nname = \"test\"\nrole = \"admin\"\nsha256 = \"{HASH}\"\ncreated = \"2026-01-01T00:00:00Z\"\n"
        );
        let file = self.config_file().with_file_name("tokens.toml");
        fs::write(file, token).expect("the tokens are written");
        self
    }

    /// Runs `faceood-admin` with the settings and the data of this home.
    pub fn admin(&self, arguments: &[&str]) -> Admin {
        let (config, data) = (self.config_file(), self.data_dir());
        let text = |path: &Path| path.to_str().expect("its path is UTF-8").to_owned();
        let settings = [
            "--config".into(),
            text(&config),
            "--data-dir".into(),
            text(&data),
        ];
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        Admin::run(settings.into_iter().chain(arguments))
    }

    /// Another address to listen on, in place of a free port of this machine alone.
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// A socket that is open already, as systemd hands it over: the daemon listens on it, and so does
    /// the next one that is started here.
    pub fn inherit(mut self, listener: TcpListener) -> Self {
        self.inherited = Some(listener);
        self
    }

    /// One more argument on the daemon's command line.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Where the configuration stands.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// `DATA_DIR`.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The log's database.
    pub fn database(&self) -> PathBuf {
        self.data_dir().join("faceood.db")
    }

    /// What the daemon wrote to stdout and stderr since it was last started.
    pub fn output(&self) -> String {
        fs::read_to_string(self.output_file()).unwrap_or_default()
    }

    fn output_file(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    /// The daemon's command line in this home, not yet started: for tests of `--check`,
    /// `--print-config` and of starts that fail.
    pub fn command(&self) -> Command {
        let program = program("faceoodd");
        let mut command = match self.disk_bytes {
            None => admin::clean(&program),
            Some(bytes) => {
                let mut command = on_a_disk(bytes, &self.data_dir());
                command.arg(program);
                command
            }
        };
        command
            .args(["--listen", &self.listen])
            .arg("--config")
            .arg(self.config_file())
            .arg("--data-dir")
            .arg(self.data_dir())
            .arg("--models-dir")
            .arg(&self.models_dir)
            .args(&self.arguments)
            // Every test asks /readyz, and stops its daemon within the time that it is then given.
            .env("FACEOOD_SERVER__UNREADY_MS", "0")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        if let Some(listener) = &self.inherited {
            let listener = listener.try_clone().expect("a second handle");
            // By the one file that a child can be given its number of.
            command
                .stdin(OwnedFd::from(listener))
                .envs([("LISTEN_FDS", "1"), ("LISTEN_FDS_FIRST_FD", "0")]);
        }
        command
    }

    fn put_measured_provider(&self) {
        let file = self.data_dir().join("provider.json");
        if !file.exists() {
            fs::create_dir_all(self.data_dir()).expect("the data folder is made");
            fs::write(file, measured_provider()).expect("the data folder can be written");
        }
    }

    /// Starts the daemon and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Daemon {
        let daemon = self.start_unready();
        let client = daemon.client();
        let mut daemon = daemon;
        wait_for("the daemon's /readyz", || {
            daemon.expect_alive();
            client
                .try_get("/readyz")
                .filter(|answer| answer.status == 200)
        });
        daemon
    }

    /// Starts the daemon and waits only until it listens.
    #[track_caller]
    pub fn start_unready(self) -> Daemon {
        self.put_measured_provider();
        let address_file = self.data_dir().join("address");
        // The file of an earlier daemon would send us to a port that is no longer ours.
        let _ = fs::remove_file(&address_file);
        let output = fs::File::create(self.output_file()).expect("the output file is made");
        let child = self
            .command()
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("faceoodd starts");
        let mut daemon = Daemon {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            home: self,
        };
        let address_file = daemon.seen_data_dir().join("address");
        daemon.address = wait_for("the daemon's address file", || {
            daemon.expect_alive();
            fs::read_to_string(&address_file).ok()?.trim().parse().ok()
        });
        daemon
    }
}

/// What `models tune` measured on this machine, once for all tests of this process, or else before
/// it (`TEST_PROVIDER`): a daemon that finds it measures nothing itself.
fn measured_provider() -> &'static [u8] {
    static MEASURED: OnceLock<Vec<u8>> = OnceLock::new();
    MEASURED.get_or_init(|| {
        if let Some(file) = std::env::var_os("TEST_PROVIDER") {
            return fs::read(file).expect("what was measured can be read");
        }
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().to_str().expect("its path is UTF-8");
        Admin::run(["--data-dir", path, "models", "tune"]).success();
        fs::read(folder.path().join("provider.json")).expect("the measurement is kept")
    })
}

/// A command that runs the program named by its next arguments where `folder` is a disk of this
/// size. The namespaces belong to that program and end with it: nothing is left to unmount.
fn on_a_disk(bytes: u64, folder: &Path) -> Command {
    const MOUNT: &str = r#"mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@""#;
    let mut command = admin::clean("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", MOUNT, "sh"])
        .arg(bytes.to_string())
        .arg(folder);
    command
}

impl Daemon {
    /// A ready daemon with everything at its default.
    #[track_caller]
    pub fn start() -> Self {
        Home::new().start()
    }

    /// A ready daemon with this configuration.
    #[track_caller]
    pub fn with_config(toml: &str) -> Self {
        Home::new().config(toml).start()
    }

    /// A client that talks to it.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of the first address that speaks TLS, as the daemon's log tells it.
    #[track_caller]
    pub fn tls_port(&self) -> u16 {
        // Lines are written by a thread of their own, a moment later.
        wait_for("an address that speaks TLS in the log", || {
            let output = self.output();
            let line = output.lines().find(|line| line.contains("listening on "))?;
            let place = line.split("https://").nth(1)?;
            let address = place.split_whitespace().next()?;
            address
                .trim_end_matches('"')
                .rsplit(':')
                .next()?
                .parse()
                .ok()
        })
    }

    /// Its folder.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// `DATA_DIR`.
    pub fn data_dir(&self) -> PathBuf {
        self.home.data_dir()
    }

    /// `DATA_DIR` as the daemon sees it, which differs from [`Self::data_dir`] where that is a disk
    /// of its own. Gone with the daemon.
    pub fn seen_data_dir(&self) -> PathBuf {
        let root = Path::new("/proc").join(self.pid().to_string()).join("root");
        let folder = self.data_dir();
        root.join(folder.strip_prefix("/").expect("an absolute path"))
    }

    /// The log's database.
    pub fn database(&self) -> PathBuf {
        self.home.database()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        self.home.output()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory that it holds, in bytes, as the kernel counts it.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(
            Path::new("/proc")
                .join(self.pid().to_string())
                .join("status"),
        )
        .expect("the process is there");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("VmRSS is there");
        line.trim()
            .trim_end_matches(" kB")
            .parse::<u64>()
            .expect("a number of kB")
            * 1024
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the daemon takes a signal");
    }

    /// SIGTERM, and the exit status. The home stays, for another start.
    #[track_caller]
    pub fn stop(mut self) -> (ExitStatus, Home) {
        self.signal(Signal::TERM);
        let status = self.wait_exit();
        (status, self.into_home())
    }

    /// SIGKILL: what `kill -9` or the kernel out of memory does. The home stays, for another start.
    pub fn kill(mut self) -> Home {
        self.child.kill().expect("the daemon can be killed");
        self.child.wait().expect("the daemon can be waited for");
        self.into_home()
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the daemon's end", || {
            child.try_wait().expect("the daemon can be waited for")
        })
    }

    /// The home of a daemon that has ended, for another start.
    pub fn into_home(mut self) -> Home {
        std::mem::replace(&mut self.home, Home::new())
    }

    #[track_caller]
    fn expect_alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("the daemon can be waited for") {
            panic!("faceoodd ended before it was ready: {status}");
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- output of faceoodd ---\n{}--- end of output ---",
                self.home.output()
            );
            let _ = self.child.kill();
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let begin = std::time::Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && begin.elapsed() < super::DEADLINE {
                std::thread::park_timeout(std::time::Duration::from_millis(10));
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
