//! The daemon: flags → settings → `--check`, `--print-config` or serve.
//!
//! Start: text log → database → models, warm → socket → `DATA_DIR/address` → ready. Stop, the other
//! way round: refuse → drain requests → end the workers → flush the log.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Parser;
use faceood::access::{AccessControl, Tokens};
use faceood::config::flags::DaemonFlags;
use faceood::config::{self, Config, ConfigError, Loaded, Sources};
use faceood::process::{
    asked_to_stop, complain, end_after, keep_private, raise_open_files, said_once,
};
use faceood::server::tls::{self, Tls, TlsError};
use faceood::server::{self, AppState, Info, Inherited, Listeners, Readiness};
use faceood::telemetry::host::Host;
use faceood::telemetry::{logging, metrics, notify};
use faceood_engine::capture;
use faceood_engine::own_program::OwnProgram;
use faceood_engine::pipeline::tuning::{self, Chosen, Tuning, TuningError};
use faceood_engine::pipeline::{AnalysisPool, Assembly};
use faceood_engine::policy::{Policies, PolicyError};
use faceood_engine::runtime::{Plan, Provider, ProviderChoice, Runtime, has_nvidia_driver};
use faceood_engine::whole_file;
use faceood_log::InferenceLog;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Most time for workers and log to end once requests are drained.
const STOPPING: Duration = Duration::from_millis(1_500);

fn main() -> ExitCode {
    let flags = DaemonFlags::parse();
    match start(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Once the text log runs, it has the error already (see `start`).
            if !tracing::enabled!(tracing::Level::ERROR) {
                complain(&said_once(&error).join(": "));
            }
            // 2, as for a wrong command line: no restart mends it, and the unit does not try.
            let is_mistyped = error.is::<ConfigError>()
                || error.is::<PolicyError>()
                || matches!(error.downcast_ref(), Some(TlsError::Missing(..)));
            ExitCode::from(if is_mistyped && !flags.check { 2 } else { 1 })
        }
    }
}

fn start(flags: &DaemonFlags) -> anyhow::Result<()> {
    if flags.decoder {
        return Ok(capture::decode_for_parent()?);
    }
    if flags.trial {
        return Ok(tuning::answer_trial()?);
    }
    let sources = Sources::of_process(flags.config.clone(), flags.overrides.clone());
    let mut loaded = config::load(&sources)?;
    if flags.print_config {
        return Ok(print(&loaded.to_string())?);
    }
    let policies = Policies::new(&loaded.config.policies)?;
    if flags.check {
        return check(&loaded);
    }
    let inherited = Inherited::take()?;
    let listen = inherited.listen(&loaded.config.listen);
    let configured = std::mem::replace(&mut loaded.config.listen, listen);
    let config = &loaded.config;
    keep_private();
    let open_files = raise_open_files();
    let folder = config.data_dir.display();
    make_writable(&config.data_dir).map_err(|error| {
        anyhow!(
            "the data folder {folder} cannot be made or written: {error}; give it to the daemon's user (chown), or choose another \
             with --data-dir"
        )
    })?;
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    // Dropped last: what is logged while the rest ends is still written.
    let _guard = logging::start(&config.telemetry, &config.text_log_dir())?;
    if configured != config.listen {
        tracing::info!("systemd has opened the addresses (faceoodd.socket): `listen` is not used");
    }
    let wanted = config.server.open_files();
    if open_files < wanted {
        tracing::warn!(
            open_files,
            wanted,
            "the system lets this process open fewer files than it may need for its connections; raise LimitNOFILE= of the unit \
             (or `ulimit -Hn`), or lower server.max_connections"
        );
    }
    let outcome = tokio.block_on(serve(&loaded, policies, &sources, inherited));
    if let Err(error) = &outcome {
        tracing::error!("the daemon ends: {}", said_once(error).join(": "));
    }
    // A blocked thread must not keep a daemon alive that has said it stops.
    tokio.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Makes the folder unless it is there, and fails where this process may not write into it.
fn make_writable(folder: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};
    std::fs::create_dir_all(folder)?;
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Prints what was asked for. Whoever reads it may stop at any line.
fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Are settings, tokens and models usable? Opens every model and runs the embedded test face
/// through them.
fn check(loaded: &Loaded) -> anyhow::Result<()> {
    let config = &loaded.config;
    let tokens_file = loaded.tokens_file();
    Tokens::read(&tokens_file)?;
    refuse_to_be_exposed(config, &tokens_file)?;
    if config.speaks_tls() {
        tls::check(&config.server.tls, &config.data_dir)?;
    }
    let chosen = tuning::choose_without_measuring(&config.tuning_site(), &config.data_dir)?;
    let pool = open_pool(config, chosen.plan)?;
    let assembly = pool.assembly();
    let text = format!(
        "settings are valid; pack {} {} ({}) runs on {} ({}), calibration {}",
        assembly.pack().id(),
        assembly.pack().version(),
        assembly.pack().sha256(),
        assembly.runtime().candidate(),
        assembly.runtime().plan().reason,
        assembly.calibration().id(),
    );
    pool.close();
    Ok(print(&text)?)
}

/// How models shall run: kept from an earlier start, or measured now, which takes some seconds.
fn choose(config: &Config) -> anyhow::Result<Chosen> {
    let program = OwnProgram::this(&["--trial"])?;
    let hear = |what: &str| tracing::info!("{what}");
    let site = config.tuning_site();
    match tuning::choose(&site, &config.data_dir, &program, &hear) {
        // No library or provider: the pack has no part in that.
        Err(TuningError::Runtime(error)) => Err(error.into()),
        outcome => outcome.with_context(|| unusable(config)),
    }
}

fn unusable(config: &Config) -> String {
    let pack = config.pack_dir();
    format!("the model pack in {} cannot be used", pack.display())
}

fn open_pool(config: &Config, plan: Plan) -> anyhow::Result<AnalysisPool> {
    let runtime = Runtime::load_as(&config.runtime, plan)?;
    let is_asked_for = config.runtime.provider != ProviderChoice::Auto;
    if has_nvidia_driver() && runtime.provider() != Provider::Cuda && !is_asked_for {
        tracing::warn!("models run on the processor: {}", runtime.plan().reason);
    }
    let decoder = config.capture.confined;
    let decoder = decoder.then(|| OwnProgram::this(&["--decoder"]));
    let pack = config.pack_dir();
    let assembly = Assembly::open(runtime, &pack, config.capture.clone())
        .with_context(|| unusable(config))?
        .with_decoder(decoder.transpose()?)
        .with_thumbnails(config.log.keep_thumbnails);
    if let Some(file) = config.site_calibration() {
        assembly.recalibrate(Some(&file))?;
    }
    // A pack that is whole may still not compute what it should here: opening it shows that.
    AnalysisPool::start(assembly, &config.pipeline).with_context(|| unusable(config))
}

async fn serve(
    loaded: &Loaded,
    policies: Policies,
    sources: &Sources,
    inherited: Inherited,
) -> anyhow::Result<()> {
    let config = &loaded.config;
    let started = Instant::now();
    let metrics = metrics::Exporter::install(&config.data_dir)?;
    metrics::label_sources(&config.telemetry.sources);
    let tokens_file = loaded.tokens_file();
    refuse_to_be_exposed(config, &tokens_file)?;
    let socket = config.server.socket_path(&config.data_dir);
    let listeners = Listeners::bind(&config.listen, socket.as_deref(), inherited)?;
    for concern in Host::look(&config.data_dir).concerns() {
        tracing::warn!("{concern}");
    }
    let log = InferenceLog::open(&config.log, &config.data_dir).await?;
    if let Err(error) = log.set_node(config.node.name().as_str()).await {
        tracing::warn!(%error, "the name of this box (`node`) could not be written into the log yet");
    }
    // The folder is ours now: an address in it is that of a daemon that was killed.
    let _ = std::fs::remove_file(config.address_file());
    let tls = open_tls(config)?;
    let (pool, tuning) = {
        let config = config.clone();
        let open = move || -> anyhow::Result<_> {
            let Chosen { plan, tuning } = choose(&config)?;
            Ok((open_pool(&config, plan)?, tuning))
        };
        tokio::task::spawn_blocking(open).await??
    };
    let (sender, policies) = watch::channel(Arc::new(policies));
    let info = info(config, &pool, tuning);
    metrics::model(
        &info.model.pack,
        &info.model.version,
        &info.model.sha256,
        &info.model.provider,
    );
    let access = AccessControl::open(&tokens_file, &config.access, pool.workers(), log.clone())?;
    let state = AppState {
        access: access.clone(),
        pool: pool.clone(),
        log: log.clone(),
        policies,
        info: Arc::new(info),
        readiness: Readiness::default(),
        uploads: config.server.upload_limits(config.capture.max_bytes),
        metrics,
        tls: tls.clone(),
    };
    let address = listeners
        .nearest()
        .context("there is no address to listen on")?;
    let places = places(config, &listeners);
    for address in listeners.addresses() {
        server::warn_if_open(address, config.server.open);
    }
    let keeping = tokio::spawn(access.clone().keep());
    let watching_tls = tls.clone().map(|tls| tokio::spawn(tls.watch()));
    let reloading = tokio::spawn(reload_on_hangup(
        sources.clone(),
        loaded.clone(),
        sender,
        pool.clone(),
        access.clone(),
        tls,
        signal(SignalKind::hangup())?,
    ));
    let (stop, stopped) = watch::channel(false);
    let mut serving = Box::pin(server::run(
        listeners,
        &config.server,
        state.clone(),
        until(stopped),
    ));

    // Scripts wait for this file: it appears whole or not at all.
    let file = config.address_file();
    whole_file::write(&file, format!("{address}\n").as_bytes())
        .with_context(|| format!("the address cannot be written to {}", file.display()))?;
    let provider = state.info.model.provider.clone();
    tracing::info!(
        %address,
        pack = state.info.model.pack,
        provider,
        precision = state.info.chosen.plan.candidate.precision.name(),
        threads = state.info.chosen.plan.candidate.threads,
        provider_reason = state.info.chosen.plan.reason,
        workers = pool.workers(),
        ready_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "listening on {places}"
    );
    notify::ready(&format!("ready on {address}, {provider}"));

    let mut rate = request_rate();
    let watching = notify::watch(
        notify::Rhythm::of_process(),
        || async { pool.probe().await.map_err(|error| error.to_string()) },
        || format!("{provider}, {:.1} requests/s", rate()),
    );
    let ending = tokio::select! {
        outcome = &mut serving => { outcome?; bail!("the server ended by itself") }
        unhealthy = watching => Some(unhealthy),
        outcome = asked_to_stop() => { outcome?; None }
    };
    notify::stopping();
    let is_watched = state.readiness.leave();
    if ending.is_none() && is_watched && config.server.unready_ms > 0 {
        tracing::info!("stopping soon: /readyz says 503, requests are still answered");
        let unready = Duration::from_millis(config.server.unready_ms);
        if let Ok(outcome) = tokio::time::timeout(unready, &mut serving).await {
            outcome?;
            bail!("the server ended by itself");
        }
    }
    end_after(Duration::from_millis(config.server.drain_ms) + STOPPING);
    tracing::info!("stopping: refusing new requests, finishing those in flight");
    let _ = std::fs::remove_file(config.address_file());
    stop.send_replace(true);
    serving.await?;
    // Whoever still waits for an answer has lost the connection by now.
    pool.abort();
    reloading.abort();
    keeping.abort();
    if let Some(watching_tls) = watching_tls {
        watching_tls.abort();
    }
    drop(state);
    tokio::task::spawn_blocking(move || pool.close()).await?;
    log.close().await;
    if let Some(unhealthy) = ending {
        return Err(unhealthy.into());
    }
    tracing::info!("stopped");
    Ok(())
}

fn info(config: &Config, pool: &AnalysisPool, tuning: Option<Tuning>) -> Info {
    let assembly = pool.assembly();
    Info {
        node: config.node.name(),
        model: Arc::new(assembly.facts()),
        chosen: Chosen {
            plan: assembly.runtime().plan().clone(),
            tuning,
        },
        licence: assembly.pack().manifest().embedder.file.licence.clone(),
        max_pixels: config.capture.max_pixels,
        keeps_embeddings: config.log.keep_embeddings,
        keeps_thumbnails: config.log.keep_thumbnails,
        reports_dir: config.reports_dir(),
    }
}

/// Refuses a start that would let nobody in from the network. Everybody must be asked for.
fn refuse_to_be_exposed(config: &Config, tokens_file: &Path) -> anyhow::Result<()> {
    let mut addresses = config.listen.addresses().iter();
    let exposed = addresses.find(|address| !server::is_loopback(address.ip()));
    let Some(address) = exposed.filter(|_| !config.server.open) else {
        return Ok(());
    };
    let tokens = Tokens::read(tokens_file)?;
    if !tokens.has_valid(chrono::Utc::now()) {
        let file = tokens_file.display();
        bail!(
            "{address} can be reached from the network, and no caller has a token yet ({file} has no valid one). Add one with \
             `faceood-admin token add NAME --role terminal`, or set server.open = true where a firewall or a proxy decides who \
             may call"
        );
    }
    Ok(())
}

/// Certificate and key, where any address speaks TLS. They are read again when they change.
fn open_tls(config: &Config) -> anyhow::Result<Option<Tls>> {
    if !config.speaks_tls() {
        return Ok(None);
    }
    let addresses = config.listen.addresses().iter();
    let addresses = addresses.map(SocketAddr::ip).collect();
    let tls = Tls::open(&config.server.tls, &config.data_dir, addresses)?;
    let certificate = tls.certificate();
    tracing::info!(
        sha256 = certificate.sha256,
        ends = %certificate.not_after,
        names = certificate.names.join(" "),
        client_auth = tls.client_auth().name(),
        "TLS certificate"
    );
    if let Some(sha256) = tls.authority_sha256() {
        tracing::info!(
            sha256,
            "terminals trust this box by its own authority: they get it from /ca.pem, and its fingerprint is to be this one"
        );
    }
    Ok(Some(tls))
}

/// Where the service listens, as whoever calls it writes it.
fn places(config: &Config, listeners: &Listeners) -> String {
    let scheme = |address| {
        if config.server.speaks_tls(address) {
            "https"
        } else {
            "http"
        }
    };
    let addresses = listeners.addresses().into_iter();
    let addresses = addresses.map(|address| format!("{}://{address}", scheme(address)));
    let socket = listeners
        .socket()
        .map(|path| format!("unix:{}", path.display()));
    addresses.chain(socket).collect::<Vec<_>>().join(" ")
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender lives as long as the daemon: an error means that it is gone, so stop as well.
    let _ = stopped.wait_for(|&is_stopping| is_stopping).await;
}

/// Reads the settings again at each SIGHUP and replaces policies, calibration and TLS certificate; a
/// file with a mistake changes nothing of what it stands for.
async fn reload_on_hangup(
    sources: Sources,
    in_force: Loaded,
    policies: watch::Sender<Arc<Policies>>,
    pool: AnalysisPool,
    access: AccessControl,
    tls: Option<Tls>,
    mut hangup: Signal,
) {
    while hangup.recv().await.is_some() {
        notify::reloading();
        access.read_again();
        if let Some(tls) = &tls {
            tls.reload();
        }
        match read_again(&sources, &in_force) {
            Ok((read, config)) => {
                let names: Vec<_> = read.names().map(ToOwned::to_owned).collect();
                policies.send_replace(Arc::new(read));
                tracing::info!(scenarios = names.join(" "), "policies were read again");
                recalibrate(&pool, &config);
            }
            Err(error) => tracing::error!(
                error = said_once(&error).join(": "),
                "the settings have a mistake: the old policies stay in force, and so does the calibration"
            ),
        }
        notify::ready("ready; policies and calibration were read again");
    }
}

fn recalibrate(pool: &AnalysisPool, config: &Config) {
    let assembly = pool.assembly();
    let before = assembly.calibration();
    match assembly.recalibrate(config.site_calibration().as_deref()) {
        Ok(now) => tracing::info!(
            before = before.id(),
            now = now.id(),
            "the calibration was read again"
        ),
        Err(error) => tracing::error!(
            %error,
            in_force = before.id(),
            "the calibration cannot be used: the old one stays in force"
        ),
    }
}

fn read_again(sources: &Sources, in_force: &Loaded) -> anyhow::Result<(Policies, Config)> {
    let read = config::load(sources)?;
    let mut waiting = read.changed_keys(in_force);
    waiting.retain(|key| !key.starts_with("policies.") && key != "calibration_file");
    if !waiting.is_empty() {
        let keys = waiting.join(" ");
        tracing::warn!(keys, "changed settings that only a restart puts in force");
    }
    Ok((Policies::new(&read.config.policies)?, read.config))
}

/// Counts requests a second since the last call, for the status line.
fn request_rate() -> impl FnMut() -> f64 {
    let (mut before, mut asked) = (metrics::requests_answered(), Instant::now());
    move || {
        let (answered, now) = (metrics::requests_answered(), Instant::now());
        let seconds = now.duration_since(asked).as_secs_f64().max(1e-3);
        let rate = answered.saturating_sub(before) as f64 / seconds;
        (before, asked) = (answered, now);
        rate
    }
}
