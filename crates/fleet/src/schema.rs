//! The centre's tables: made and brought up to date, and the roles of boxes.

use std::collections::BTreeSet;

use faceood_log::{Column, columns};
use serde::Serialize;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::connection::{Link, Purpose};
use crate::lift::{kind, lift};
use crate::rename::rename;
use crate::{CentreAddress, FleetError};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/centre");

/// Columns of a box's row that the centre has none for, whatever the settings say: what can be
/// compared with other faces stays on the box.
const NEVER_SHIPPED: [&str; 2] = ["embedding", "thumbnail"];

/// A role has at most so many connections: one that ships, and a few that a cut network left.
const BOX_CONNECTIONS: u32 = 4;

/// The same for a role that reads: an analysis takes five.
const READER_CONNECTIONS: u32 = 30;

/// What a migration did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// The version of the schema now.
    pub version: i64,
    /// Columns that are new.
    pub columns: Vec<String>,
    /// Rows from which values of newer boxes were taken out of `extra` into their columns.
    pub rows_lifted: u64,
    /// Rows with such a value that does not fit into its column. It stays in `extra`.
    pub rows_kept: u64,
}

/// Brings the centre at `address` up to date: tables, columns, and values of newer boxes that
/// waited in `extra`. The role must own the database, and may make roles the first time. Doing it
/// again changes nothing.
///
/// # Errors
/// As the server says; a step that failed leaves no half of itself behind.
pub async fn migrate(address: &CentreAddress) -> Result<Migrated, FleetError> {
    let mut link = Link::open(address, None, Purpose::Operator).await?;
    link.step("bringing its tables up to date", async |connection| {
        let done = MIGRATIONS.run_direct(None, connection, false).await;
        done.map_err(sqlx::Error::from)
    })
    .await?;
    let mut migrated = Migrated {
        version: MIGRATIONS.iter().map(|one| one.version).max().unwrap_or(0),
        ..Migrated::default()
    };
    let there = link
        .step("reading its columns", async |connection| {
            columns_there(connection).await
        })
        .await?;
    let shipped = || {
        columns()
            .iter()
            .filter(|column| !NEVER_SHIPPED.contains(&column.name))
    };
    let new: Vec<&Column> = shipped()
        .filter(|column| !there.contains(column.name))
        .collect();
    migrated.columns = new.iter().map(|column| column.name.to_owned()).collect();
    if !new.is_empty() {
        let added: Vec<String> = new
            .iter()
            .map(|column| format!("ADD COLUMN {} {}", column.name, kind(column.kind)))
            .collect();
        let statement = format!("ALTER TABLE inferences {}", added.join(", "));
        link.step("adding columns", async |connection| {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(connection)
                .await
        })
        .await?;
    }
    link.step(
        "making the partitions of this month and the next",
        async |connection| {
            sqlx::raw_sql(
                "SELECT faceood_partition(now()), faceood_partition(now() + interval '27 days')",
            )
            .execute(connection)
            .await
        },
    )
    .await?;
    let lifted = lift(&mut link, &shipped().copied().collect::<Vec<_>>()).await?;
    (migrated.rows_lifted, migrated.rows_kept) = (lifted.rows, lifted.rows_kept);
    link.close().await;
    Ok(migrated)
}

/// Names of the columns of `inferences`.
///
/// # Errors
/// [`FleetError::Unfit`] where there is no such table.
pub(crate) async fn expect_tables(link: &mut Link) -> Result<BTreeSet<String>, FleetError> {
    let there = link
        .step("reading its columns", async |connection| {
            columns_there(connection).await
        })
        .await?;
    if there.is_empty() {
        return Err(FleetError::Unfit(format!(
            "{} has no tables of faceood: run `faceood-admin fleet migrate --db postgres://…` there once, as the \
             owner of that database",
            link.target()
        )));
    }
    Ok(there)
}

/// Names of the columns of `inferences`; none where there is no such table.
async fn columns_there(connection: &mut PgConnection) -> Result<BTreeSet<String>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT attname::text FROM pg_attribute \
         WHERE attrelid = to_regclass('public.inferences') AND attnum > 0 AND NOT attisdropped",
    )
    .fetch_all(connection)
    .await?;
    Ok(names.into_iter().collect())
}

/// What the operator says of a box; `None` leaves what is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoxPlace {
    /// Where it stands.
    pub site: Option<String>,
    /// In which ring it gets releases.
    pub ring: Option<String>,
    /// The name that it had before: all that it has sent gets the new name.
    pub was: Option<String>,
}

/// What a new role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Ship the rows of one box.
    Box(BoxPlace),
    /// Read everything.
    Reader,
}

/// What was done to admit a box or a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enrolled {
    /// Whether the role is new; one that was there already with the same rights is left as it is.
    pub is_new: bool,
    /// Rows that had the box's name of before.
    pub rows_renamed: u64,
}

/// Makes the role `name`, whose certificate has that common name.
///
/// # Errors
/// [`FleetError::Unfit`] where the name cannot be a role's, is another role's, or where no box has
/// the name of before.
pub async fn enrol(
    address: &CentreAddress,
    name: &str,
    role: &Role,
) -> Result<Enrolled, FleetError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_fit = !name.is_empty() && name.len() <= 63 && name.chars().all(is_plain);
    let is_kept = ["public", "none"].contains(&name) || name.starts_with("pg_");
    if !is_fit || is_kept || name.starts_with("faceood_") {
        return Err(FleetError::Unfit(format!(
            "{name:?} cannot be the name of a box: give 1 to 63 letters, digits, dots, dashes or underscores, \
             which begin neither with pg_ nor with faceood_ and are neither public nor none"
        )));
    }
    let (group, most) = match role {
        Role::Box(_) => ("faceood_box", BOX_CONNECTIONS),
        Role::Reader => ("faceood_reader", READER_CONNECTIONS),
    };
    let mut link = Link::open(address, None, Purpose::Operator).await?;
    expect_tables(&mut link).await?;
    let target = link.target().to_owned();
    let known: Option<bool> = link
        .step("looking for the role", async |connection| {
            sqlx::query_scalar(
                "SELECT NOT rolsuper AND EXISTS (SELECT FROM pg_auth_members \
                     WHERE member = roles.oid AND roleid = to_regrole($2)) \
                 FROM pg_roles AS roles WHERE rolname = $1",
            )
            .bind(name)
            .bind(group)
            .fetch_optional(connection)
            .await
        })
        .await?;
    if known == Some(false) {
        return Err(FleetError::Unfit(format!(
            "the role {name:?} of {target} is there already and is no member of {group}: choose another name, \
             or drop that role if nothing uses it"
        )));
    }
    link.step("making the role", async |connection| {
        let mut transaction = connection.begin().await?;
        if known.is_none() {
            // A plain name: no quote can be in it.
            let statement =
                format!("CREATE ROLE \"{name}\" LOGIN CONNECTION LIMIT {most} IN ROLE {group}");
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut *transaction)
                .await?;
        }
        if let Role::Box(place) = role {
            sqlx::query(
                "INSERT INTO boxes (node, site, ring) VALUES ($1, $2, $3) ON CONFLICT (node) DO UPDATE \
                 SET site = coalesce(excluded.site, boxes.site), ring = coalesce(excluded.ring, boxes.ring)",
            )
            .bind(name)
            .bind(&place.site)
            .bind(&place.ring)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    })
    .await?;
    let mut enrolled = Enrolled {
        is_new: known.is_none(),
        rows_renamed: 0,
    };
    if let Role::Box(BoxPlace { was: Some(was), .. }) = role {
        enrolled.rows_renamed = rename(&mut link, was, name).await?;
    }
    link.close().await;
    Ok(enrolled)
}
