//! The fleet's centre: the logs of many boxes in one PostgreSQL.
//!
//! Each box's SQLite log is its own queue. A box connects, stores its new rows through [`Centre`],
//! says what it is and disconnects. A batch is one transaction, and rows that the centre has
//! already are left alone: so a row arrives once, however often it is sent. The tables are in
//! `migrations/centre`; `docs/fleet-shipping.md` describes them and how rows get there.

mod address;
mod centre;
mod connection;
mod copied;
mod copy;
mod error;
mod reading;
mod schema;

pub use address::{CentreAddress, ClientFiles};
pub use centre::{BoxFacts, Centre, CentreDay, ShippedRow, Stored};
pub use error::FleetError;
pub use reading::{
    CentreConnection, CentreFilter, CentreKey, CentreMoment, CentrePart, CentreReader,
    CentreSnapshot, HourCounts,
};
pub use schema::{Migrated, Role, enrol, migrate};
