//! The counts that the centre keeps of every hour.

use chrono::{DateTime, Utc};

use crate::copied::{CopiedRow, CopyError};

/// What is asked for, in the order in which [`counts`] reads it.
pub(super) const COLUMNS: &str = "node, source, hour, pack_sha256, calibration_id, rows, scored, accepted, reviewed, \
     rejected, errors, normed, norm_sum";
pub(super) const FIELDS: usize = 13;

/// Rows of one source, hour, pack and calibration, as the centre counts them when they come.
#[derive(Clone, Debug, PartialEq)]
pub struct HourCounts<'a> {
    /// Which box.
    pub node: &'a str,
    /// Its terminal or camera.
    pub source: Option<&'a str>,
    /// When the hour begins.
    pub hour: DateTime<Utc>,
    /// SHA-256 of the pack.
    pub pack_sha256: Option<&'a str>,
    /// Which calibration.
    pub calibration_id: Option<&'a str>,
    /// All rows.
    pub rows: u64,
    /// Those with a quality score.
    pub scored: u64,
    /// Those that a policy accepted.
    pub accepted: u64,
    /// Those that a person should look at.
    pub reviewed: u64,
    /// Those that are not to be believed.
    pub rejected: u64,
    /// Those with an error.
    pub errors: u64,
    /// Those with an embedding norm.
    pub normed: u64,
    /// The sum of these norms.
    pub norm_sum: f64,
}

pub(super) fn counts<'a>(row: &CopiedRow<'a>) -> Result<HourCounts<'a>, CopyError> {
    let count = |field| {
        let count = row.bigint(field)?;
        Ok::<u64, CopyError>(count.unwrap_or(0).unsigned_abs())
    };
    Ok(HourCounts {
        node: row.text(0)?.unwrap_or_default(),
        source: row.text(1)?,
        hour: row.time(2)?.unwrap_or_default(),
        pack_sha256: row.text(3)?,
        calibration_id: row.text(4)?,
        rows: count(5)?,
        scored: count(6)?,
        accepted: count(7)?,
        reviewed: count(8)?,
        rejected: count(9)?,
        errors: count(10)?,
        normed: count(11)?,
        norm_sum: row.double(12)?.unwrap_or_default(),
    })
}
