//! Compares a box's log with what the centre has of it, and mends what differs.

use chrono::NaiveDate;
use faceood_log::DayLedger;

use crate::shipped::{DayDifference, DayOutcome, Verified};
use crate::stop::Stop;
use crate::visit::{BATCH_ROWS, Visit};
use crate::{CentreDay, FleetError};

impl Visit {
    /// Compares both sides day by day, and sends the days that differ again. Rows and feedback may
    /// come meanwhile: before a day is said to differ, it is compared without those that wait.
    pub(crate) async fn verify(&mut self, stop: &Stop) -> Result<(), FleetError> {
        let mut verified = Verified::default();
        for ledger in self.outbox.days().await? {
            if stop.is_asked() {
                self.shipped.is_complete = false;
                break;
            }
            verified.days += 1;
            let day = ledger.day;
            if is_same(&ledger, &self.centre.day(self.log_id, day, &[]).await?) {
                continue;
            }
            let (here, there) = self.compare(day, stop).await?;
            if is_same(&here, &there) {
                continue;
            }
            let rows_stored = self.send_day(day).await?;
            let (now_here, now_there) = self.compare(day, stop).await?;
            let outcome = if is_same(&now_here, &now_there) {
                DayOutcome::Mended
            } else if now_there.rows < now_here.rows || now_there.outcomes < now_here.outcomes {
                DayOutcome::Lost
            } else {
                DayOutcome::CentreHasMore
            };
            verified.differing.push(DayDifference {
                day,
                box_rows: here.rows,
                centre_rows: there.rows,
                rows_stored,
                outcome,
            });
        }
        self.shipped.verified = Some(verified);
        Ok(())
    }

    /// Both sides of `day`, without the rows that wait: what the centre has of them may be older.
    async fn compare(
        &mut self,
        day: NaiveDate,
        stop: &Stop,
    ) -> Result<(DayLedger, CentreDay), FleetError> {
        self.ship_all(stop, |_| {}).await?;
        let (here, waiting) = self.outbox.day(day).await?;
        let there = self.centre.day(self.log_id, day, &waiting).await?;
        Ok((here, there))
    }

    /// Sends again what the centre has confirmed of `day`. Gives how many rows were new there.
    async fn send_day(&mut self, day: NaiveDate) -> Result<u64, FleetError> {
        let mut rows_stored = 0;
        let mut after = None;
        loop {
            let batch = self.outbox.of_day(day, after, BATCH_ROWS).await?;
            let Some(last) = batch.rows.last() else {
                return Ok(rows_stored);
            };
            after = Some((last.time, last.id));
            rows_stored += self.send(&batch).await?;
        }
    }
}

fn is_same(ledger: &DayLedger, centre: &CentreDay) -> bool {
    let here = CentreDay {
        rows: ledger.rows,
        id_high: ledger.id_high,
        id_low: ledger.id_low,
        outcomes: ledger.outcomes,
    };
    here == *centre
}
