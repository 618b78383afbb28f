//! The fleet's centre: the logs of many boxes in one PostgreSQL.
//!
//! Each box's SQLite log is its own queue. [`ship()`] is one visit: a box connects, stores its new
//! rows through [`Centre`], says what it is and disconnects; [`follow()`] visits again and again. A
//! batch is one transaction, and rows that the centre has already are left alone: so a row arrives
//! once, however often it is sent. An operator makes the tables by [`migrate`] and admits boxes by
//! [`enrol`]; [`fleet_state`] is what the centre knows of them. The tables are in
//! `migrations/centre`; `docs/fleet-shipping.md` describes them and how rows get there.

mod address;
mod centre;
mod connection;
mod copied;
mod copy;
mod error;
mod follow;
mod lift;
mod reading;
mod rename;
mod schema;
mod ship;
mod shipped;
mod state;
mod stop;
mod verify;
mod visit;

pub use address::{CentreAddress, ClientFiles};
pub use centre::{BoxFacts, Centre, CentreDay, ShippedRow, Stored};
pub use error::FleetError;
pub use follow::follow;
pub use reading::{
    CentreConnection, CentreFilter, CentreKey, CentreMoment, CentrePart, CentreReader,
    CentreSnapshot, HourCounts,
};
pub use schema::{BoxPlace, Enrolled, Migrated, Role, enrol, migrate};
pub use ship::{ShipPlan, forget, rewind, ship};
pub use shipped::{DayDifference, DayOutcome, Shipped, Verified};
pub use state::{BoxDay, BoxState, CloneAlarm, FleetState, fleet_state};
pub use stop::Stop;
