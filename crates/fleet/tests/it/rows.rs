//! Rows as a box's log has them, and a centre for them.

use std::future::Future;

use chrono::{DateTime, TimeDelta, Utc};
use faceood_fleet::{
    BoxPlace, Centre, CentreAddress, ClientFiles, Role, ShippedRow, enrol, migrate,
};
use faceood_log::{Column, InferenceRecord, Value, columns, fixture, to_values};
use faceood_test_support::PostgresServer;
use uuid::Uuid;

/// The log that the rows of most tests are of.
pub(crate) const LOG: Uuid = Uuid::from_u128(7);

/// A server with the tables, and the box `gate`.
pub(crate) async fn centre() -> PostgresServer {
    let server = PostgresServer::start();
    migrate(&owner(&server)).await.unwrap();
    enrol_box(&server, "gate").await;
    server
}

pub(crate) fn owner(server: &PostgresServer) -> CentreAddress {
    CentreAddress::new(&server.owner_url(), &ClientFiles::default()).unwrap()
}

pub(crate) async fn enrol_box(server: &PostgresServer, node: &str) {
    let role = Role::Box(BoxPlace::default());
    enrol(&owner(server), node, &role).await.unwrap();
}

/// The address with the certificate of a box.
pub(crate) fn address(server: &PostgresServer, node: &str) -> CentreAddress {
    let files = server.certificate(node);
    let files = ClientFiles {
        ca: Some(files.ca),
        certificate: Some(files.certificate),
        key: Some(files.key),
    };
    CentreAddress::new(&server.url(), &files).unwrap()
}

/// Connects as a box does.
pub(crate) async fn connect(server: &PostgresServer, node: &str) -> Centre {
    let connected = Centre::connect(&address(server, node), Some(node)).await;
    connected.unwrap()
}

/// What leaves a box, with notes.
pub(crate) fn shipped() -> Vec<Column> {
    let never = ["embedding", "thumbnail"];
    let stays = |column: &&Column| !never.contains(&column.name);
    columns().iter().filter(stays).copied().collect()
}

/// `count` rows, a second apart; every third is low, and none has an outcome.
pub(crate) fn records(count: u16, begin: DateTime<Utc>) -> Vec<InferenceRecord> {
    let record = |number: u16| {
        let mut record = fixture::full_record(&format!("request-{number}"), number);
        record.time = begin + TimeDelta::seconds(number.into());
        record.quality_score = Some(if number.is_multiple_of(3) { 0.4 } else { 0.9 });
        (record.outcome, record.outcome_note, record.outcome_time) = (None, None, None);
        record
    };
    (0..count).map(record).collect()
}

/// The start of the current hour.
pub(crate) fn this_hour() -> DateTime<Utc> {
    let now = Utc::now().timestamp();
    DateTime::from_timestamp(now - now % 3600, 0).unwrap()
}

/// The values of a record in the columns that are shipped.
pub(crate) fn values(record: &InferenceRecord, columns: &[Column]) -> Vec<Value> {
    let all = faceood_log::columns().iter().zip(to_values(record));
    let wanted = |column: &Column| columns.iter().any(|wanted| wanted.name == column.name);
    all.filter(|(column, _)| wanted(column))
        .map(|(_, value)| value)
        .collect()
}

/// Stores records; gives how many were new, how many outcomes were, and which rows were refused.
pub(crate) async fn store(
    centre: &mut Centre,
    columns: &[Column],
    records: &[InferenceRecord],
) -> (u64, u64, Vec<(Uuid, String)>) {
    let values: Vec<_> = records
        .iter()
        .map(|record| values(record, columns))
        .collect();
    let rows: Vec<_> = records
        .iter()
        .zip(&values)
        .zip(1..)
        .map(|((record, values), seq)| ShippedRow {
            seq: Some(seq),
            id: record.id,
            time: record.time,
            values,
        })
        .collect();
    let stored = centre.write(LOG, columns, &rows).await.unwrap();
    (stored.rows, stored.outcomes, stored.refused)
}

/// Runs a test's work.
pub(crate) fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work);
}
