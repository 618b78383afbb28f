//! `token`: adds, lists, replaces and revokes the tokens of callers. The daemon sees a change within
//! a second.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use faceood::access::{ListedToken, Role, TokenError, Tokens};
use faceood_log::{LogReader, TokenUse};

use super::choice::{Choice, choice};
use super::report_out::ReportFlags;
use super::{Context, output, users, when};

const ROLES: &[Choice<Role>] = &[
    (
        "terminal",
        "ask about pictures, tell how its own requests turned out",
        Role::Terminal,
    ),
    (
        "operator",
        "the page, the log and the reports too",
        Role::Operator,
    ),
    ("metrics", "/metrics and /readyz alone", Role::Metrics),
    ("admin", "everything", Role::Admin),
];

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: TokenCommand,
}

#[derive(clap::Subcommand, Debug)]
enum TokenCommand {
    /// Make a token, and print it once
    Add(AddArgs),
    /// Show all tokens: role, sources, end, last use
    List(ListArgs),
    /// Give a token a new secret; the old one stays valid for a while
    Rotate(RotateArgs),
    /// End a token, within a second
    Revoke(RevokeArgs),
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Only the token is printed to standard output, and only this once: the file keeps its hash. The \
caller sends it as `Authorization: Bearer fod_…` or `X-API-Key: fod_…`.

Examples:
  faceood-admin token add gate-3 --role terminal --source gate-3
  faceood-admin token add front-desk --role operator --expires 90d
  faceood-admin token add prometheus --role metrics > prometheus.token")]
struct AddArgs {
    /// Name in the log and in metrics: 1 to 64 of A-Z a-z 0-9 . _ : -
    name: String,
    /// What the caller may do
    #[arg(long, value_parser = choice(ROLES))]
    role: Role,
    /// A source for which alone it may ask; may be given several times. A request without a source
    /// gets the first
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// When it ends, from now: 12h, 90d, 52w
    #[arg(long, value_name = "SPAN", value_parser = when::span)]
    expires: Option<TimeDelta>,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin token list
  faceood-admin token list --json")]
struct ListArgs {
    #[command(flatten)]
    report: ReportFlags,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin token rotate gate-3
  faceood-admin token rotate gate-3 --keep-old 7d      time to visit every terminal
  faceood-admin token rotate gate-3 --keep-old 0h      the old one has leaked")]
struct RotateArgs {
    /// Name of the token
    name: String,
    /// How long the old secret stays valid
    #[arg(long, value_name = "SPAN", value_parser = when::span, default_value = "24h")]
    keep_old: TimeDelta,
}

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  faceood-admin token revoke gate-3
  faceood-admin token revoke --forget gate-3           take it off the list, too")]
struct RevokeArgs {
    /// Name of the token
    name: String,
    /// Take it off the list: a caller who still uses it counts as one who guesses
    #[arg(long)]
    forget: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    match &args.task {
        TokenCommand::Add(args) => add(args, context),
        TokenCommand::List(args) => list(args, context),
        TokenCommand::Rotate(args) => rotate(args, context),
        TokenCommand::Revoke(args) => revoke(args, context),
    }
}

fn add(args: &AddArgs, context: &Context) -> anyhow::Result<()> {
    let now = Utc::now();
    let far = "--expires is too far away: give at most some thousand weeks";
    let ends = |span| now.checked_add_signed(span).context(far);
    let expires = args.expires.map(ends).transpose()?;
    let (file, secret) = change(context, |tokens| {
        tokens.add(&args.name, args.role, args.source.clone(), expires, now)
    })?;
    output::note(&format!(
        "token {} for the role {} added to {}; it is shown this once:",
        args.name,
        args.role.name(),
        file.display()
    ));
    show(&args.name, secret.as_str())
}

fn rotate(args: &RotateArgs, context: &Context) -> anyhow::Result<()> {
    let now = Utc::now();
    let until = now.checked_add_signed(args.keep_old);
    let until = until.context("--keep-old is too far away: give some days or weeks")?;
    let (_, secret) = change(context, |tokens| tokens.rotate(&args.name, until, now))?;
    output::note(&format!(
        "token {} has a new secret, shown this once; the old one is valid until {}:",
        args.name,
        time_text(until)
    ));
    show(&args.name, secret.as_str())
}

/// Shows the secret. Where it cannot be shown, as in a full disk's file, the token is there and
/// nobody has it.
fn show(name: &str, secret: &str) -> anyhow::Result<()> {
    output::text(secret).with_context(|| {
        format!(
            "the secret could not be shown: make another with `faceood-admin token rotate {name}`"
        )
    })
}

fn revoke(args: &RevokeArgs, context: &Context) -> anyhow::Result<()> {
    change(context, |tokens| {
        if args.forget {
            tokens.forget(&args.name)
        } else {
            tokens.revoke(&args.name, Utc::now())
        }
    })?;
    output::text(&format!(
        "token {} is revoked; the daemon refuses it within a second. If its unit hands it the file by LoadCredential=, restart \
         it now: until then it knows the old file",
        args.name
    ))
}

/// Changes the file of tokens.
fn change<T>(
    context: &Context,
    change: impl FnOnce(&mut Tokens) -> Result<T, TokenError>,
) -> anyhow::Result<(PathBuf, T)> {
    let loaded = context.loaded()?;
    let file = loaded.tokens_file();
    let changed = Tokens::change(&file, owner_of_new(&loaded.config.data_dir), change);
    let folder = file.parent().unwrap_or(Path::new("."));
    let changed = changed.map_err(|error| with_owner(error.into(), folder))?;
    Ok((file, changed))
}

/// Says whom to become, where `error` is that this user may not do that at `path`.
fn with_owner(error: anyhow::Error, path: &Path) -> anyhow::Error {
    let is_refusal = |cause: &(dyn std::error::Error + 'static)| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == ErrorKind::PermissionDenied)
    };
    // What is missing belongs to whoever owns the folder in which it would be made.
    let mut found = path
        .ancestors()
        .filter_map(|path| Some((path, fs::metadata(path).ok()?)));
    match found.next() {
        Some((path, found)) if error.chain().any(is_refusal) => {
            let (path, owner) = (path.display(), users::name_of(found.uid()));
            let again = users::sudo_as(&owner);
            anyhow!("{path} is {owner}'s, and this user may not do that there: {again}")
        }
        _ => error,
    }
}

/// To whom a new file belongs: to the owner of the data folder, which is the daemon's user.
fn owner_of_new(data_dir: &Path) -> Option<(u32, u32)> {
    let present = fs::metadata(data_dir).map(|found| (found.uid(), found.gid()));
    let installed = || users::number_of("faceood").map(|number| (number, number));
    present.ok().or_else(installed)
}

fn list(args: &ListArgs, context: &Context) -> anyhow::Result<()> {
    let loaded = context.loaded()?;
    let file = loaded.tokens_file();
    let tokens = Tokens::read(&file).map_err(|error| with_owner(error.into(), &file))?;
    let rows = ListedToken::all(&tokens, &uses(context), Utc::now());
    args.report.show_text("Access tokens", &rows, || {
        if rows.is_empty() {
            return format!(
                "there are no tokens in {}; make one with `faceood-admin token add NAME --role terminal`",
                file.display()
            );
        }
        output::Rows(&rows).table(&[
            ("NAME", |row| row.name.clone()),
            ("ROLE", |row| row.role.name().to_owned()),
            ("SOURCES", |row| {
                if row.sources.is_empty() {
                    "all".into()
                } else {
                    row.sources.join(" ")
                }
            }),
            ("STATE", |row| row.state.to_owned()),
            ("EXPIRES", |row| {
                row.expires.map_or("never".into(), time_text)
            }),
            ("USES", |row| row.uses.to_string()),
            ("LAST USE", |row| {
                row.last_use.map_or("never".into(), time_text)
            }),
            ("FROM", |row| row.last_address.clone().unwrap_or_default()),
        ])
    })
}

/// The log's counts. Without a log, or without the right to read it, nothing is known of uses.
fn uses(context: &Context) -> Vec<TokenUse> {
    let read = || {
        let path = context.database()?;
        context.block_on(async { Ok(LogReader::open(&path).await?.token_uses().await?) })
    };
    read().unwrap_or_else(|error: anyhow::Error| {
        output::note(&format!("uses are not known: {error:#}"));
        Vec::new()
    })
}

fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
