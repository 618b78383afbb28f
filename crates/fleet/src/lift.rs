//! Moves values that came before the centre had a column for them.

use faceood_log::{Column, ColumnKind};
use sqlx::AssertSqlSafe;

use crate::FleetError;
use crate::connection::Link;

/// What was done.
#[derive(Default)]
pub(crate) struct Lifted {
    /// Rows from which values were moved.
    pub(crate) rows: u64,
    /// Rows with a value that is none of its column's type.
    pub(crate) rows_kept: u64,
}

/// Moves values out of `extra` into the columns of their names, one partition after the other, so
/// that no boxes wait for all of it. What does not fit into its column stays where it is.
pub(crate) async fn lift(link: &mut Link, columns: &[Column]) -> Result<Lifted, FleetError> {
    let (mut sets, mut fitting, mut names) = (Vec::new(), Vec::new(), Vec::new());
    // Every centre has a row's id and time.
    let columns = columns
        .iter()
        .filter(|it| !["id", "time"].contains(&it.name));
    for Column { name, kind } in columns {
        let found = match kind {
            ColumnKind::Json => format!("extra -> '{name}'"),
            ColumnKind::Text => format!("extra ->> '{name}'"),
            kind => format!("pg_temp.as_{}(extra ->> '{name}')", self::kind(*kind)),
        };
        fitting.push(match kind {
            ColumnKind::Json | ColumnKind::Text => format!("'{name}'"),
            _ => format!(
                "CASE WHEN extra ->> '{name}' IS NULL OR {found} IS NOT NULL THEN '{name}' END"
            ),
        });
        sets.push(format!("{name} = coalesce({name}, {found})"));
        names.push(format!("'{name}'"));
    }
    let (sets, fitting, names) = (sets.join(", "), fitting.join(", "), names.join(", "));
    link.step("making functions that read numbers", async |connection| {
        let kinds = [ColumnKind::Integer, ColumnKind::Real, ColumnKind::Time].map(kind);
        let functions = kinds.map(|kind| {
            format!(
                "CREATE OR REPLACE FUNCTION pg_temp.as_{kind}(value text) RETURNS {kind} LANGUAGE plpgsql AS \
                 $$ BEGIN RETURN value::{kind}; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$"
            )
        });
        sqlx::raw_sql(AssertSqlSafe(functions.join("; ")))
            .execute(connection)
            .await
    })
    .await?;
    let partitions: Vec<String> = link
        .step("listing partitions", async |connection| {
            sqlx::query_scalar(
                "SELECT relid::regclass::text FROM pg_partition_tree('inferences') JOIN pg_class ON oid = relid \
                 WHERE isleaf AND relkind = 'r' ORDER BY 1",
            )
            .fetch_all(connection)
            .await
        })
        .await?;
    let mut lifted = Lifted::default();
    for table in partitions {
        let update = format!(
            "UPDATE {table} SET {sets}, extra = nullif(extra - ARRAY[{fitting}], '{{}}') \
             WHERE extra ?| ARRAY[{names}] AND extra ?| ARRAY[{fitting}]"
        );
        let count = format!("SELECT count(*) FROM {table} WHERE extra ?| ARRAY[{names}]");
        let (rows, kept) = link
            .step("lifting values of newer boxes", async |connection| {
                let done = sqlx::raw_sql(AssertSqlSafe(update))
                    .execute(&mut *connection)
                    .await?;
                let kept: i64 = sqlx::query_scalar(AssertSqlSafe(count))
                    .fetch_one(connection)
                    .await?;
                Ok((done.rows_affected(), kept.unsigned_abs()))
            })
            .await?;
        lifted.rows += rows;
        lifted.rows_kept += kept;
    }
    Ok(lifted)
}

/// The type of a column at the centre.
pub(crate) fn kind(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text",
        ColumnKind::Time => "timestamptz",
        ColumnKind::Integer => "bigint",
        ColumnKind::Real => "real",
        ColumnKind::Json => "jsonb",
        ColumnKind::Blob => "bytea",
    }
}
