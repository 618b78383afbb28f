//! Reads a request's body with a bound on bytes, on time and on the memory that all uploads together may take.
//!
//! actix times out the head of a request but not its body, so a client that sends one byte a minute would stay for ever,
//! and two hundred of them would hold whatever they were promised. Here each body pays for the bytes that have really
//! arrived, from one purse ([`UploadMemory`]); slow clients therefore hold little, and one that stalls is let go.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::{Instant, Sleep, sleep_until};

pub use crate::problem::texts::BodyFault;

/// Memory is counted in this many bytes, so that a purse of gigabytes fits a semaphore.
const UNIT_BYTES: usize = 1024;

/// What one body may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Most bytes on the wire.
    pub bytes: usize,
    /// Longest silence between two pieces.
    pub idle: Duration,
    /// Longest time from the first to the last byte.
    pub total: Duration,
}

/// The purse from which uploads in flight are paid.
#[derive(Clone, Debug)]
pub struct UploadMemory {
    units: Arc<Semaphore>,
    limit: usize,
}

impl UploadMemory {
    /// A purse of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(units)),
            limit: bytes,
        }
    }

    /// Bytes that are still free.
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.units.available_permits() * UNIT_BYTES
    }
}

/// What an upload has been granted; dropping it gives the memory back.
#[derive(Debug, Default)]
pub struct Lease {
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Lease {
    /// Takes `more` bytes out of `memory`, or says that they are not there.
    ///
    /// # Errors
    ///
    /// [`BodyFault::NoMemory`].
    pub fn grow(&mut self, memory: &UploadMemory, more: usize) -> Result<(), BodyFault> {
        let held = self.bytes.div_ceil(UNIT_BYTES);
        self.bytes += more;
        let units = self.bytes.div_ceil(UNIT_BYTES) - held;
        let no_memory = BodyFault::NoMemory {
            limit: memory.limit,
        };
        let units = u32::try_from(units).map_err(|_| no_memory.clone())?;
        match Arc::clone(&memory.units).try_acquire_many_owned(units) {
            Ok(permit) => {
                match &mut self.permit {
                    Some(held) => held.merge(permit),
                    None => self.permit = Some(permit),
                }
                Ok(())
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => Err(no_memory),
        }
    }
}

/// A body under guard: a stream of its pieces that fails as soon as a bound is crossed.
pub struct GuardedBody<S> {
    inner: S,
    limits: BodyLimits,
    memory: UploadMemory,
    lease: Rc<RefCell<Lease>>,
    received: usize,
    deadline: Instant,
    alarm: Pin<Box<Sleep>>,
    fault: Rc<RefCell<Option<BodyFault>>>,
}

impl<S> GuardedBody<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    /// Guards `inner`.
    pub fn new(inner: S, limits: BodyLimits, memory: &UploadMemory) -> Self {
        let now = Instant::now();
        Self {
            inner,
            limits,
            memory: memory.clone(),
            lease: Rc::default(),
            received: 0,
            deadline: now + limits.total,
            alarm: Box::pin(sleep_until(now + limits.idle.min(limits.total))),
            fault: Rc::default(),
        }
    }

    /// A handle on the lease and on the fault, which outlives the stream.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            lease: Rc::clone(&self.lease),
            fault: Rc::clone(&self.fault),
        }
    }

    /// Collects the whole body; `declared` is the announced length.
    ///
    /// # Errors
    ///
    /// The [`BodyFault`] that stopped it.
    pub async fn collect(mut self, declared: Option<usize>) -> Result<(Bytes, Lease), BodyFault> {
        let account = self.account();
        // Trust an announced length only so far: memory is paid for as bytes arrive.
        let mut whole = BytesMut::with_capacity(declared.unwrap_or(0).min(1 << 20));
        while let Some(piece) = self.next().await {
            match piece {
                Ok(piece) => whole.extend_from_slice(&piece),
                Err(_) => {
                    return Err(account.fault().unwrap_or(BodyFault::Broken {
                        received: whole.len(),
                    }));
                }
            }
        }
        Ok((whole.freeze(), account.lease()))
    }

    fn judge(&mut self, piece: &Bytes) -> Result<(), BodyFault> {
        self.received += piece.len();
        if self.received > self.limits.bytes {
            return Err(BodyFault::TooLarge {
                limit: self.limits.bytes,
            });
        }
        self.lease.borrow_mut().grow(&self.memory, piece.len())
    }

    fn fail(&mut self, fault: BodyFault) -> Poll<Option<Result<Bytes, PayloadError>>> {
        let error = PayloadError::Io(io::Error::other(fault.to_string()));
        *self.fault.borrow_mut() = Some(fault);
        Poll::Ready(Some(Err(error)))
    }
}

impl<S> Stream for GuardedBody<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.inner.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(piece))) => {
                let alarm = (Instant::now() + self.limits.idle).min(self.deadline);
                self.alarm.as_mut().reset(alarm);
                match self.judge(&piece) {
                    Ok(()) => Poll::Ready(Some(Ok(piece))),
                    Err(fault) => self.fail(fault),
                }
            }
            Poll::Ready(Some(Err(_))) => {
                let received = self.received;
                self.fail(BodyFault::Broken { received })
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                if self.alarm.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                let received = self.received;
                let fault = if Instant::now() >= self.deadline {
                    BodyFault::TooSlow {
                        received,
                        total: self.limits.total,
                    }
                } else {
                    BodyFault::Stalled {
                        received,
                        idle: self.limits.idle,
                    }
                };
                self.fail(fault)
            }
        }
    }
}

/// What a [`GuardedBody`] leaves behind when someone else (the multipart parser) has consumed it.
#[derive(Debug)]
pub struct Account {
    lease: Rc<RefCell<Lease>>,
    fault: Rc<RefCell<Option<BodyFault>>>,
}

impl Account {
    /// What stopped the stream.
    #[must_use]
    pub fn fault(&self) -> Option<BodyFault> {
        self.fault.borrow().clone()
    }

    /// Takes over the memory that the body has been granted.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.lease.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Explain, ProblemCode};
    use futures_util::stream;

    const LIMITS: BodyLimits = BodyLimits {
        bytes: 10_000,
        idle: Duration::from_secs(10),
        total: Duration::from_secs(60),
    };

    fn pieces(sizes: &[usize]) -> impl Stream<Item = Result<Bytes, PayloadError>> + Unpin + use<> {
        let pieces: Vec<_> = sizes
            .iter()
            .map(|&size| Ok(Bytes::from(vec![7; size])))
            .collect();
        stream::iter(pieces)
    }

    #[tokio::test]
    async fn memory_is_paid_for_what_arrived_and_given_back() {
        let memory = UploadMemory::new(64 * 1024);
        let before = memory.free_bytes();
        let body = GuardedBody::new(pieces(&[1000, 1000, 1000]), LIMITS, &memory);
        let (bytes, lease) = body.collect(None).await.unwrap();
        assert_eq!(bytes.len(), 3000);
        assert_eq!(before - memory.free_bytes(), 3 * 1024);
        drop(lease);
        assert_eq!(memory.free_bytes(), before);
    }

    #[tokio::test]
    async fn tiny_pieces_do_not_cost_a_unit_each() {
        let memory = UploadMemory::new(4 * 1024);
        let body = GuardedBody::new(pieces(&[1; 2000]), LIMITS, &memory);
        let (bytes, _lease) = body.collect(None).await.unwrap();
        assert_eq!(bytes.len(), 2000);
        assert_eq!(memory.free_bytes(), 2 * 1024);
    }

    #[tokio::test]
    async fn a_full_purse_is_overload_and_nothing_leaks() {
        let memory = UploadMemory::new(2 * 1024);
        let body = GuardedBody::new(pieces(&[1024, 1024, 1]), LIMITS, &memory);
        let fault = body.collect(None).await.unwrap_err();
        assert_eq!(fault.problem(), ProblemCode::Overloaded);
        assert_eq!(memory.free_bytes(), 2 * 1024);
    }

    #[tokio::test]
    async fn too_many_bytes_stop_it_while_they_come() {
        let memory = UploadMemory::new(1 << 20);
        let endless = stream::iter(std::iter::repeat_with(|| {
            Ok(Bytes::from_static(&[0; 4096]))
        }));
        let fault = GuardedBody::new(endless, LIMITS, &memory)
            .collect(None)
            .await
            .unwrap_err();
        assert_eq!(fault.problem(), ProblemCode::ImageTooLarge);
        assert!(fault.to_string().contains("10000"), "{fault}");
    }

    #[tokio::test]
    async fn silence_ends_it() {
        let memory = UploadMemory::new(1 << 20);
        let stalled = pieces(&[100]).chain(stream::pending());
        let limits = BodyLimits {
            idle: Duration::ZERO,
            ..LIMITS
        };
        let body = GuardedBody::new(stalled, limits, &memory);
        let fault = body.collect(None).await.unwrap_err();
        assert!(
            matches!(fault, BodyFault::Stalled { received: 100, .. }),
            "{fault:?}"
        );
        assert_eq!(fault.problem(), ProblemCode::MalformedRequest);
    }

    #[tokio::test]
    async fn so_does_the_time_for_the_whole() {
        let memory = UploadMemory::new(1 << 20);
        let slow = pieces(&[100]).chain(stream::pending());
        let limits = BodyLimits {
            total: Duration::ZERO,
            ..LIMITS
        };
        let body = GuardedBody::new(slow, limits, &memory);
        let fault = body.collect(None).await.unwrap_err();
        assert!(
            matches!(fault, BodyFault::TooSlow { received: 100, .. }),
            "{fault:?}"
        );
    }
}
