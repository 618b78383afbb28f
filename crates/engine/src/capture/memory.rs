//! One budget in bytes for all pictures that are in work at the same time.
//!
//! A limit in pixels says little about memory: a pixel takes 3 bytes in a baseline JPEG, 9 in a
//! progressive one, 16 as floating point numbers. Each picture reserves what its decoder will take,
//! by its header, before anything is allocated, until the analysis is done.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::CaptureError;

/// How long a picture waits for the memory that others hold. Callers give up after about 10 s
/// (`docs/integrators.md`), so that a longer wait would only do work nobody reads.
const PATIENCE: Duration = Duration::from_secs(5);

/// The memory that pictures in work may take together. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: u64,
    held: Mutex<u64>,
    freed: Condvar,
}

impl Memory {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Shared {
            limit,
            held: Mutex::new(0),
            freed: Condvar::new(),
        }))
    }

    /// Bytes of the whole budget.
    pub(super) fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Bytes that are reserved now.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        *self.0.lock()
    }

    /// Takes `bytes` out of the budget, and waits a while for them where others hold them.
    ///
    /// # Errors
    /// [`CaptureError::TooMuchMemory`] where the whole budget would not do,
    /// [`CaptureError::NoMemory`] where the wait was in vain.
    pub(super) fn reserve(&self, bytes: u64) -> Result<Reservation, CaptureError> {
        self.reserve_within(bytes, PATIENCE)
    }

    fn reserve_within(&self, needed: u64, patience: Duration) -> Result<Reservation, CaptureError> {
        let limit = self.0.limit;
        if needed > limit {
            return Err(CaptureError::TooMuchMemory { needed, limit });
        }
        let is_short = |held: &mut u64| limit - *held < needed;
        let waited = self
            .0
            .freed
            .wait_timeout_while(self.0.lock(), patience, is_short);
        let (mut held, _) = waited.unwrap_or_else(PoisonError::into_inner);
        // Asked again: a poisoned lock ends the wait early.
        if is_short(&mut held) {
            return Err(CaptureError::NoMemory { needed, limit });
        }
        *held += needed;
        drop(held);
        Ok(Reservation {
            memory: self.clone(),
            bytes: needed,
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory that one picture holds; dropping it gives the memory back.
#[must_use]
#[derive(Debug)]
pub(super) struct Reservation {
    memory: Memory,
    bytes: u64,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        *self.memory.0.lock() -= self.bytes;
        self.memory.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_fits_is_refused_at_once_and_with_both_figures() {
        let memory = Memory::new(100);
        let error = memory.reserve(101).unwrap_err();
        assert_eq!(
            error,
            CaptureError::TooMuchMemory {
                needed: 101,
                limit: 100
            }
        );
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn memory_comes_back_when_the_picture_is_done() {
        let memory = Memory::new(100);
        let first = memory.reserve(60).unwrap();
        let second = memory.reserve(40).unwrap();
        assert_eq!(memory.held(), 100);
        let error = memory.reserve_within(1, Duration::ZERO).unwrap_err();
        assert!(
            matches!(error, CaptureError::NoMemory { needed: 1, .. }),
            "{error}"
        );
        drop(first);
        assert_eq!(memory.held(), 40);
        drop(second);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn a_picture_waits_for_the_memory_of_another() {
        let memory = Memory::new(100);
        let first = memory.reserve(70).unwrap();
        let waiting = std::thread::spawn({
            let memory = memory.clone();
            move || memory.reserve_within(50, Duration::from_secs(60)).is_ok()
        });
        drop(first);
        assert!(waiting.join().unwrap());
        assert_eq!(memory.held(), 0);
    }
}
