//! Reads a request's body with a bound on bytes, time and the memory of all uploads.
//!
//! actix times out the head of a request but not its body, so a client that sends one byte a minute
//! would stay for ever, and 200 such clients would keep all the memory that was reserved for them.
//! Here each body takes memory for the bytes that have arrived, from one budget ([`UploadMemory`]).
//! So slow clients hold little, and one that stalls is let go.

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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

pub(crate) use faceood_engine::problem::texts::BodyFault;

use crate::access::Meter;

/// Memory is counted in this many bytes, so that a budget of gigabytes fits a semaphore.
const UNIT_BYTES: usize = 1024;

/// What one body may cost.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimits {
    /// Most bytes on the wire.
    pub(crate) bytes: usize,
    /// Longest silence between two pieces.
    pub(crate) idle: Duration,
    /// Longest time from the first to the last byte.
    pub(crate) total: Duration,
}

/// The memory that uploads in flight may take together. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct UploadMemory {
    units: Arc<Semaphore>,
    limit: usize,
}

impl UploadMemory {
    pub(crate) fn new(bytes: usize) -> Self {
        let units = bytes.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            units: Arc::new(Semaphore::new(units)),
            limit: bytes,
        }
    }

    /// Bytes that are still free.
    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.units.available_permits() * UNIT_BYTES
    }
}

/// What an upload has been granted; dropping it gives the memory back.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Lease {
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Lease {
    /// Takes `more` bytes out of `memory`; [`BodyFault::NoMemory`] where it has fewer.
    fn grow(&mut self, memory: &UploadMemory, more: usize) -> Result<(), BodyFault> {
        let held = self.bytes.div_ceil(UNIT_BYTES);
        self.bytes += more;
        let units = self.bytes.div_ceil(UNIT_BYTES) - held;
        let permit = u32::try_from(units)
            .ok()
            .and_then(|units| Arc::clone(&memory.units).try_acquire_many_owned(units).ok());
        let limit = memory.limit;
        let permit = permit.ok_or(BodyFault::NoMemory { limit })?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        Ok(())
    }
}

/// A body under guard: a stream of its pieces that fails as soon as a bound is crossed.
pub(crate) struct GuardedBody<S> {
    inner: S,
    limits: BodyLimits,
    memory: UploadMemory,
    account: Account,
    meter: Option<Meter>,
    received: usize,
    deadline: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl<S> GuardedBody<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    pub(crate) fn new(inner: S, limits: BodyLimits, memory: &UploadMemory) -> Self {
        let now = Instant::now();
        Self {
            inner,
            limits,
            memory: memory.clone(),
            account: Account::default(),
            meter: None,
            received: 0,
            deadline: now + limits.total,
            alarm: Box::pin(sleep_until(now + limits.idle.min(limits.total))),
        }
    }

    /// The same body, charged to its caller while it comes.
    pub(crate) fn charged(mut self, meter: Option<Meter>) -> Self {
        self.meter = meter;
        self
    }

    /// A handle on the lease and on the fault, which outlives the stream.
    pub(crate) fn account(&self) -> Account {
        self.account.clone()
    }

    /// Collects the whole body; `declared` is the announced length.
    pub(crate) async fn collect(
        mut self,
        declared: Option<usize>,
    ) -> Result<(Bytes, Lease), BodyFault> {
        let account = self.account();
        // Trust an announced length only so far: memory is paid for as bytes arrive.
        let mut whole = BytesMut::with_capacity(declared.unwrap_or(0).min(1 << 20));
        while let Some(piece) = self.next().await {
            let received = whole.len();
            let broken = |_| account.fault().unwrap_or(BodyFault::Broken { received });
            whole.extend_from_slice(&piece.map_err(broken)?);
        }
        Ok((whole.freeze(), account.lease()))
    }

    fn judge(&mut self, piece: &Bytes) -> Result<(), BodyFault> {
        self.received += piece.len();
        let limit = self.limits.bytes;
        if self.received > limit {
            return Err(BodyFault::TooLarge { limit });
        }
        if let Some(meter) = &mut self.meter {
            let counted = meter.count(piece.len() as u64);
            counted.map_err(|over| BodyFault::OverLimit { fault: over.into() })?;
        }
        self.account
            .lease
            .borrow_mut()
            .grow(&self.memory, piece.len())
    }

    fn fail(&mut self, fault: BodyFault) -> Poll<Option<Result<Bytes, PayloadError>>> {
        let error = PayloadError::Io(io::Error::other(fault.to_string()));
        *self.account.fault.borrow_mut() = Some(fault);
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
                let (received, BodyLimits { idle, total, .. }) = (self.received, self.limits);
                let is_late = Instant::now() >= self.deadline;
                self.fail(if is_late {
                    BodyFault::TooSlow { received, total }
                } else {
                    BodyFault::Stalled { received, idle }
                })
            }
        }
    }
}

/// What a [`GuardedBody`] leaves behind when the multipart parser has consumed it.
#[derive(Clone, Default)]
pub(crate) struct Account {
    lease: Rc<RefCell<Lease>>,
    fault: Rc<RefCell<Option<BodyFault>>>,
}

impl Account {
    pub(crate) fn fault(&self) -> Option<BodyFault> {
        self.fault.borrow().clone()
    }

    /// Takes over the memory that the body has been granted.
    pub(crate) fn lease(&self) -> Lease {
        self.lease.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use faceood_engine::problem::{Explain, ProblemCode};
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
