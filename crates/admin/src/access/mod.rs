//! `access`: which requests were refused, and which tokens are in use.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use chrono::{DateTime, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use super::report_out::ReportOut;
use super::{Context, when};
use faceood_log::{AccessEvent, AccessFilter, AccessRefusal, LogReader, TokenUse};

mod view;

#[derive(clap::Args, Debug)]
#[command(after_help = "\
Groups refused requests by reason, address, token and endpoint, the most frequent first; below \
stands how each token was used. A refusal is shown within some seconds. The log keeps the newest \
100,000 and deletes them by age as it does its rows (log.retention_days). How tokens were used is \
always of the whole log.

Examples:
  faceood-admin access --since 1d
  faceood-admin access --address 192.168.1.40
  faceood-admin access --refusal wrong_token --format json | jq '.groups[].address'
  faceood-admin access --since 7d --format html --out access.html")]
pub(crate) struct Args {
    #[command(flatten)]
    window: when::Window,
    /// Only from this address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// Only for this reason
    #[arg(long, value_name = "REFUSAL", value_parser = refusal())]
    refusal: Option<AccessRefusal>,
    /// Most groups to show
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    out: ReportOut,
}

fn refusal() -> impl TypedValueParser<Value = AccessRefusal> {
    PossibleValuesParser::new(AccessRefusal::ALL.map(AccessRefusal::name))
        .try_map(|word| AccessRefusal::from_name(&word).ok_or("no such reason"))
}

#[derive(Debug, Serialize)]
struct AccessReport {
    database: String,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    /// Requests that were refused, as far as the options ask for them.
    refused: u64,
    /// The most frequent first.
    groups: Vec<RefusedGroup>,
    /// How many groups are left out.
    groups_omitted: usize,
    tokens: Vec<TokenUse>,
}

/// Refused requests that are alike.
#[derive(Debug, Serialize)]
struct RefusedGroup {
    refusal: AccessRefusal,
    /// `None` over the local socket.
    address: Option<IpAddr>,
    /// Of the known token that came with them.
    token: Option<String>,
    endpoint: String,
    count: u64,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    args.window.check()?;
    let when::Window { since, until } = args.window;
    let path = context.database()?;
    let filter = AccessFilter {
        since,
        until,
        address: args.address,
        refusal: args.refusal,
        limit: None,
    };
    let (events, tokens) = context.block_on(async {
        let reader = LogReader::open(&path).await?;
        Ok((reader.accesses(&filter).await?, reader.token_uses().await?))
    })?;
    let report = report(&path, &filter, &events, tokens, args.limit as usize);
    let text = || view::text(&report);
    args.out.show(&report, text, || view::html(&report))
}

fn report(
    path: &Path,
    filter: &AccessFilter,
    events: &[AccessEvent],
    tokens: Vec<TokenUse>,
    most_groups: usize,
) -> AccessReport {
    let mut groups: BTreeMap<_, RefusedGroup> = BTreeMap::new();
    for event in events {
        let alike = (event.refusal, event.address, &event.token, &event.endpoint);
        let group = groups.entry(alike).or_insert_with(|| RefusedGroup {
            refusal: event.refusal,
            address: event.address,
            token: event.token.clone(),
            endpoint: event.endpoint.clone(),
            count: 0,
            first: event.time,
            last: event.time,
        });
        group.count += 1;
        group.first = group.first.min(event.time);
        group.last = group.last.max(event.time);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| Reverse((group.count, group.last)));
    let groups_omitted = groups.len().saturating_sub(most_groups);
    groups.truncate(most_groups);
    AccessReport {
        database: path.display().to_string(),
        since: filter.since,
        until: filter.until,
        refused: events.len() as u64,
        groups,
        groups_omitted,
        tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(second: i64, address: &str, refusal: AccessRefusal) -> AccessEvent {
        AccessEvent {
            time: DateTime::from_timestamp(1_790_000_000 + second, 0).unwrap(),
            address: address.parse().ok(),
            token: None,
            endpoint: "/v1/extract".to_owned(),
            refusal,
        }
    }

    fn grouped(events: &[AccessEvent], most_groups: usize) -> AccessReport {
        let filter = AccessFilter::default();
        report(
            Path::new("log.db"),
            &filter,
            events,
            Vec::new(),
            most_groups,
        )
    }

    #[test]
    fn what_is_alike_is_counted_and_the_most_frequent_comes_first() {
        use AccessRefusal::{NoToken, WrongToken};
        let named = AccessEvent {
            token: Some("east".to_owned()),
            ..refused(9, "192.0.2.7", WrongToken)
        };
        let elsewhere = AccessEvent {
            endpoint: "other".to_owned(),
            ..refused(8, "192.0.2.7", WrongToken)
        };
        let events = [
            refused(5, "", NoToken),
            refused(7, "192.0.2.7", WrongToken),
            // The clock was set back in between.
            refused(2, "192.0.2.7", WrongToken),
            elsewhere,
            named,
        ];
        let report = grouped(&events, 3);
        assert_eq!((report.refused, report.groups_omitted), (5, 1));
        let first = &report.groups[0];
        assert_eq!((first.count, first.token.as_deref()), (2, None));
        let span = [first.first, first.last].map(|time| time.timestamp() - 1_790_000_000);
        assert_eq!(span, [2, 7]);
        // Of as many refusals, the latest.
        assert_eq!(report.groups[1].token.as_deref(), Some("east"));
        assert_eq!(report.groups[2].endpoint, "other");
    }

    #[test]
    fn nothing_refused_is_said_plainly() {
        let report = grouped(&[], 50);
        let text = view::text(&report);
        assert!(text.contains("no request was refused"), "{text}");
        assert!(text.contains("no token has been used"), "{text}");
        let page = view::html(&report);
        assert!(page.contains("no request was refused"), "{page}");
    }

    #[test]
    fn a_name_is_text_on_a_page_and_on_a_terminal() {
        let event = AccessEvent {
            token: Some("<b>\x1b[31m\nx".to_owned()),
            ..refused(1, "", AccessRefusal::Role)
        };
        let report = grouped(&[event], 50);
        let page = view::html(&report);
        assert!(
            page.contains("&lt;b&gt;") && !page.contains("<b>"),
            "{page}"
        );
        let text = view::text(&report);
        assert!(text.contains("<b>\\u001b[31m\\u000ax"), "{text}");
        assert!(text.contains("local socket"), "{text}");
    }
}
