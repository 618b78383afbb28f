//! Visits the centre again and again.

use std::time::Duration;

use uuid::Uuid;

use crate::FleetError;
use crate::ship::{ShipPlan, ship};
use crate::shipped::Shipped;
use crate::stop::Stop;

/// The first and the longest wait after a failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Ships, disconnects and waits for `interval`, until `stop` is asked. After a failure it tries
/// again, first after a second and at most after five minutes. `hear` gets the end of each visit,
/// and how long it will wait.
///
/// # Errors
/// Only what no waiting mends, such as an address that cannot be used.
pub async fn follow(
    plan: &ShipPlan,
    interval: Duration,
    stop: &Stop,
    mut hear: impl FnMut(Result<&Shipped, &FleetError>, Duration),
) -> Result<(), FleetError> {
    let mut failures = 0;
    while !stop.is_asked() {
        let visit = ship(plan, false, stop, |_| {}).await;
        let wait = match &visit {
            Ok(_) => {
                failures = 0;
                // Boxes that started together do not stay together.
                interval.mul_f64(1.0 + 0.1 * (chance() - 0.5))
            }
            Err(error) if !error.is_passing() => return Err(error.clone()),
            Err(_) => {
                failures += 1;
                wait_after(failures, chance())
            }
        };
        hear(visit.as_ref(), wait);
        stop.wait(wait).await;
    }
    Ok(())
}

/// The wait after so many failures in a row: twice as long each time, and between half and all of
/// it by `chance` (0…1), so that boxes do not come back all at once.
fn wait_after(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_WAIT).mul_f64(0.5 + 0.5 * chance)
}

/// A random number, 0…1.
fn chance() -> f64 {
    // The last half of an id is random but for its two highest bits.
    let (_, random) = Uuid::now_v7().as_u64_pair();
    f64::from(u32::try_from(random & 0xffff_ffff).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_vary() {
        let full = |failures| wait_after(failures, 1.0).as_secs();
        assert_eq!([1, 2, 3, 9, 10, 40].map(full), [1, 2, 4, 256, 300, 300]);
        assert_eq!(wait_after(10, 0.0).as_secs(), 150);
        let some: Vec<f64> = (0..100).map(|_| chance()).collect();
        assert!(some.iter().all(|chance| (0.0..=1.0).contains(chance)));
        assert!(some.iter().any(|chance| *chance < 0.4) && some.iter().any(|chance| *chance > 0.6));
    }
}
