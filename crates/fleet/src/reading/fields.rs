//! Which fields of a row are read, and what becomes of them.

use std::collections::HashSet;

use faceood_engine::quality::Component;
use faceood_log::{Column, ColumnKind, Observation, Value};

use crate::copied::{CopiedRow, CopyError};

/// How much of a row is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// How good the capture was.
    Brief,
    /// What it was like, too.
    Complete,
}

/// Fields of a brief look, in this order.
const BRIEF: [&str; 14] = [
    "node",
    "source",
    "id",
    "time",
    "quality_score",
    "embedding_norm",
    "pack",
    "pack_sha256",
    "calibration_id",
    "error_code",
    "causes",
    "action",
    "reasons",
    "draw",
];
pub(super) const DRAW: usize = 13;

/// The further fields of a complete look, before the components.
const SIZES: [&str; 4] = ["image_width", "image_height", "box_width", "box_height"];

pub(super) fn fields(look: Look) -> usize {
    match look {
        Look::Brief => BRIEF.len(),
        Look::Complete => BRIEF.len() + SIZES.len() + Component::ALL.len(),
    }
}

/// The fields as SQL; what an older centre does not have is NULL.
pub(super) fn observed(present: &HashSet<String>, look: Look) -> String {
    let components = Component::ALL.iter().map(|component| component.name());
    let all = BRIEF
        .into_iter()
        .chain(SIZES)
        .chain(components)
        .take(fields(look));
    let selected = all.map(|name| match name {
        name if !present.contains(name) => "NULL",
        "image_width" => "image_width::real",
        "image_height" => "image_height::real",
        name => name,
    });
    selected.collect::<Vec<_>>().join(", ")
}

pub(super) fn observation<'a>(
    row: &CopiedRow<'a>,
    look: Look,
) -> Result<(&'a str, Observation<'a>), CopyError> {
    let missing = |field, expected| CopyError::Value { field, expected };
    let pair = |first| -> Result<Option<[f32; 2]>, CopyError> {
        Ok(row.real(first)?.zip(row.real(first + 1)?).map(Into::into))
    };
    let mut observation = Observation {
        source: row.text(1)?,
        id: row.uuid(2)?.ok_or(missing(2, "id"))?,
        time: row.time(3)?.ok_or(missing(3, "time"))?,
        quality_score: row.real(4)?,
        embedding_norm: row.real(5)?,
        pack: row.text(6)?,
        pack_sha256: row.text(7)?,
        calibration_id: row.text(8)?,
        error_code: row.text(9)?,
        causes_json: row.jsonb(10)?,
        action: row.text(11)?,
        reasons_json: row.jsonb(12)?,
        image_px: None,
        box_px: None,
        components: [None; Component::ALL.len()],
    };
    if look == Look::Complete {
        observation.image_px = pair(BRIEF.len())?;
        observation.box_px = pair(BRIEF.len() + 2)?;
        for (value, field) in observation
            .components
            .iter_mut()
            .zip(BRIEF.len() + SIZES.len()..)
        {
            *value = row.real(field)?;
        }
    }
    Ok((row.text(0)?.unwrap_or_default(), observation))
}

pub(super) fn value(row: &CopiedRow<'_>, field: usize, column: Column) -> Result<Value, CopyError> {
    let value = match column.kind {
        ColumnKind::Text => row.text(field)?.map(|text| Value::Text(text.to_owned())),
        ColumnKind::Json => row.jsonb(field)?.map(|text| Value::Json(text.to_owned())),
        ColumnKind::Time => row.time(field)?.map(Value::Time),
        ColumnKind::Integer => row.bigint(field)?.map(Value::Integer),
        ColumnKind::Real => row.real(field)?.map(Value::Real),
        // Embeddings and pictures stay at the boxes.
        ColumnKind::Blob => None,
    };
    Ok(value.unwrap_or(Value::Null))
}
