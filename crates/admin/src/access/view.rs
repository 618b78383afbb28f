//! The report as text and as a page.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use faceood_log::TokenUse;
use faceood_report::{html, plural};
use maud::html;

use super::{AccessReport, RefusedGroup};
use crate::output;
use crate::sinks::terminal_line;

/// The head of a column, and what it shows of a line.
type Column<T> = (&'static str, fn(&T) -> String);

const GROUPS: [Column<RefusedGroup>; 7] = [
    ("refusal", |group| group.refusal.name().to_owned()),
    ("times", |group| group.count.to_string()),
    ("address", |group| address(group.address)),
    ("token", |group| name(group.token.as_deref().unwrap_or("–"))),
    ("endpoint", |group| name(&group.endpoint)),
    ("first", |group| time(group.first)),
    ("last", |group| time(group.last)),
];

const TOKENS: [Column<TokenUse>; 5] = [
    ("token", |used| name(&used.token)),
    ("uses", |used| used.uses.to_string()),
    ("first use", |used| time(used.first)),
    ("last use", |used| time(used.last)),
    ("last address", |used| address(used.last_address)),
];

pub(super) fn text(report: &AccessReport) -> String {
    let mut blocks = vec![format!("{}: {}", report.database, refused(report))];
    if !report.groups.is_empty() {
        blocks.push(output::Rows(&report.groups).table(&GROUPS));
    }
    blocks.extend(omitted(report));
    blocks.push(match report.tokens.as_slice() {
        [] => NO_TOKEN.to_owned(),
        tokens => output::Rows(tokens).table(&TOKENS),
    });
    blocks.join("\n\n")
}

pub(super) fn html(report: &AccessReport) -> String {
    let body = html! {
        p class="quiet" { (report.database) }
        h2 { "Refused requests" }
        p { (refused(report)) }
        @if !report.groups.is_empty() { (table(&GROUPS, &report.groups)) }
        @if let Some(omitted) = omitted(report) { p { (omitted) } }
        h2 { "Use of tokens" }
        @if report.tokens.is_empty() { p { (NO_TOKEN) } } @else { (table(&TOKENS, &report.tokens)) }
    };
    html::page("Access", "en", "", &body)
}

const NO_TOKEN: &str = "no token has been used";

/// How many requests were refused, and when.
fn refused(report: &AccessReport) -> String {
    let since = report.since.map(|since| format!(" from {}", time(since)));
    let until = report.until.map(|until| format!(" before {}", time(until)));
    let window: String = since.into_iter().chain(until).collect();
    match report.refused {
        0 => format!("no request was refused{window}, or none that the options ask for"),
        count => {
            let refused = plural(count, "request was refused", "requests were refused");
            format!("{refused}{window}; times are UTC")
        }
    }
}

fn omitted(report: &AccessReport) -> Option<String> {
    let omitted = report.groups_omitted;
    let left = plural(omitted, "group is left out", "groups are left out");
    (omitted > 0).then(|| format!("{left}: --limit shows more"))
}

fn table<T>(columns: &[Column<T>], lines: &[T]) -> maud::Markup {
    let head: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let cells = |line| columns.iter().map(|(_, show)| show(line)).collect();
    html::table(&head, lines.iter().map(cells))
}

fn time(time: DateTime<Utc>) -> String {
    time.format("%F %T").to_string()
}

fn address(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "local socket".to_owned(), |address| address.to_string())
}

fn name(text: &str) -> String {
    terminal_line(text).into_owned()
}
