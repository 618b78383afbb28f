//! The rows of one visit of a box at the centre.

use faceood_log::{Column, Outbox, OutboxBatch, shipped_columns};
use uuid::Uuid;

use crate::shipped::Shipped;
use crate::stop::Stop;
use crate::{Centre, FleetError, ShippedRow};

/// Rows of one transaction.
pub(crate) const BATCH_ROWS: u32 = 1000;

/// One connection of a box, and what has been done on it.
pub(crate) struct Visit {
    pub(crate) outbox: Outbox,
    pub(crate) centre: Centre,
    pub(crate) log_id: Uuid,
    pub(crate) shipped: Shipped,
    columns: Vec<Column>,
}

impl Visit {
    pub(crate) fn new(outbox: Outbox, centre: Centre, with_notes: bool) -> Self {
        Self {
            log_id: outbox.identity().log_id,
            columns: shipped_columns(with_notes),
            shipped: Shipped {
                target: centre.target().to_owned(),
                node: centre.node().to_owned(),
                ..Shipped::default()
            },
            outbox,
            centre,
        }
    }

    /// Ships all that waits, or until `stop` is asked. What comes while the last batch is on its way
    /// waits for the next time: a busy box always has something. `progress` hears of each batch.
    pub(crate) async fn ship_all(
        &mut self,
        stop: &Stop,
        mut progress: impl FnMut(&Shipped),
    ) -> Result<(), FleetError> {
        self.shipped.is_complete = false;
        while !stop.is_asked() {
            let batch = self.outbox.next(BATCH_ROWS).await?;
            self.send(&batch).await?;
            progress(&self.shipped);
            if batch.is_last {
                self.shipped.is_complete = true;
                break;
            }
        }
        Ok(())
    }

    /// Stores a batch at the centre, and then moves the cursor. Gives how many rows were new there.
    pub(crate) async fn send(&mut self, batch: &OutboxBatch) -> Result<u64, FleetError> {
        let rows: Vec<_> = batch
            .rows
            .iter()
            .map(|row| ShippedRow {
                seq: row.seq,
                id: row.id,
                time: row.time,
                values: &row.values,
            })
            .collect();
        let stored = self.centre.write(self.log_id, &self.columns, &rows).await?;
        for (id, why) in &stored.refused {
            let target = self.centre.target();
            tracing::warn!(row = %id, target, why, "the centre cannot take a row: it is passed over");
        }
        self.outbox.done(batch, &stored.refused).await?;
        self.shipped.rows_sent += rows.len() as u64;
        self.shipped.rows_stored += stored.rows;
        self.shipped.outcomes += stored.outcomes;
        self.shipped.rows_quarantined += stored.refused.len() as u64;
        Ok(stored.rows)
    }
}
