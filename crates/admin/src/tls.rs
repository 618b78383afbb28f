//! `tls`: shows the TLS certificate, and renews the one that the box has made itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use faceood_report::html;
use serde::Serialize;

use super::report_out::ReportOut;
use super::{Context, output};
use faceood::config::Config;
use faceood::server::tls::{
    CertificateFacts, OwnAuthority, Settings, TlsError, check_pair, names_of_box,
};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Show certificate and authority, and whether key and certificate belong together
    Show(ShowArgs),
    /// Make a new certificate, signed by the box's own authority
    Renew(RenewArgs),
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Compare the authority's fingerprint with that of the file on a terminal: openssl x509 -noout -fingerprint -sha256 -in ca.pem

Examples:
  faceood-admin tls show
  faceood-admin tls show --format json | jq -r .certificate.not_after")]
struct ShowArgs {
    #[command(flatten)]
    report: ReportOut,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
The box renews its certificate by itself 30 days before the end. Renew it by hand when the key may have been seen. The daemon \
takes the new one within seconds, and connections in flight go on.

Examples:
  faceood-admin tls renew
  faceood-admin tls renew --authority   the authority's key may have been seen: every terminal must get the new /ca.pem")]
struct RenewArgs {
    /// Make a new authority, too. No terminal trusts the box until it has the new one
    #[arg(long)]
    authority: bool,
}

/// What the daemon speaks TLS with.
#[derive(Debug, Serialize)]
struct TlsReport {
    /// `own`: made by the box. `configured`: by the operator.
    source: &'static str,
    certificate: Shown,
    key: KeyShown,
    /// The own authority.
    authority: Option<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    file: PathBuf,
    #[serde(flatten)]
    facts: CertificateFacts,
    has_ended: bool,
}

#[derive(Debug, Serialize)]
struct KeyShown {
    file: PathBuf,
    belongs: bool,
    /// Why it does not, or cannot be used.
    fault: Option<String>,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let config = context.config()?;
    match &args.task {
        Task::Show(args) => show(args, &config),
        Task::Renew(args) => renew(args, &config),
    }
}

fn show(args: &ShowArgs, config: &Config) -> anyhow::Result<()> {
    let report = report(config)?;
    let page = || html::text_page("TLS certificate", &text(&report));
    args.report.show(&report, || text(&report), page)
}

fn report(config: &Config) -> anyhow::Result<TlsReport> {
    let settings = &config.server.tls;
    let files = settings.files(&config.data_dir)?;
    if !settings.is_configured() && is_missing(&files.certificate) {
        bail!(
            "there is no certificate {} yet: the daemon makes one when it starts with an address off loopback in `listen`, and \
             so does `faceood-admin tls renew`",
            files.certificate.display()
        );
    }
    let own = own(config);
    let fault = check_pair(&files.certificate, &files.key).err();
    Ok(TlsReport {
        source: if own.is_some() { "own" } else { "configured" },
        certificate: shown(&files.certificate)?,
        key: KeyShown {
            file: files.key,
            belongs: fault.is_none(),
            fault: fault.map(|fault| fault.to_string()),
        },
        authority: own.map(|own| shown(&own.certificate())).transpose()?,
    })
}

fn is_missing(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}

/// The box's own authority; `None` where a certificate was configured.
fn own(config: &Config) -> Option<OwnAuthority> {
    let is_own = !config.server.tls.is_configured();
    is_own.then(|| OwnAuthority::new(Settings::own_folder(&config.data_dir)))
}

fn shown(file: &Path) -> Result<Shown, TlsError> {
    let facts = CertificateFacts::read(file)?;
    Ok(Shown {
        file: file.to_owned(),
        has_ended: facts.not_after < Utc::now(),
        facts,
    })
}

fn text(report: &TlsReport) -> String {
    let key = match &report.key.fault {
        None => "belongs to the certificate".to_owned(),
        Some(fault) => fault.clone(),
    };
    let mut rows = certificate_rows("certificate", &report.certificate);
    rows.push(["key".to_owned(), report.key.file.display().to_string()]);
    rows.push([String::new(), key]);
    if let Some(authority) = &report.authority {
        rows.extend(certificate_rows("authority", authority));
    }
    output::table(
        &[],
        rows.into_iter().map(|row| row.map(Into::into).to_vec()),
    )
}

fn certificate_rows(what: &str, shown: &Shown) -> Vec<[String; 2]> {
    let facts = &shown.facts;
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let days = (facts.not_after - Utc::now()).num_days();
    let left = if shown.has_ended {
        "has ended".to_owned()
    } else {
        format!("{days} days left")
    };
    let mut rows = vec![
        [what.to_owned(), shown.file.display().to_string()],
        ["  subject".to_owned(), facts.subject.clone()],
        ["  names".to_owned(), facts.names.join(" ")],
        ["  issuer".to_owned(), facts.issuer.clone()],
        ["  valid from".to_owned(), time(facts.not_before)],
        [
            "  until".to_owned(),
            format!("{} ({left})", time(facts.not_after)),
        ],
        ["  sha256".to_owned(), facts.sha256.clone()],
    ];
    rows.retain(|[_, value]| !value.is_empty());
    rows
}

fn renew(args: &RenewArgs, config: &Config) -> anyhow::Result<()> {
    let Some(own) = own(config) else {
        bail!(
            "the certificate was configured (server.tls.certificate), so this box cannot renew it: order a new one where it came \
             from and put it in place; the daemon reads it by itself"
        );
    };
    let listen = config.listen.addresses().iter();
    let names = names_of_box(&listen.map(SocketAddr::ip).collect::<Vec<_>>());
    let is_new_authority = args.authority || is_missing(&own.certificate());
    if is_new_authority {
        own.renew_authority(Utc::now())?;
    }
    own.renew(&names, Utc::now())?;
    output::text(&text(&report(config)?))?;
    output::note("a running daemon takes it within seconds");
    if is_new_authority {
        output::note(
            "give every terminal the new authority (GET /ca.pem); until then it refuses this box",
        );
    }
    Ok(())
}
