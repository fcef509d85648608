//! HTTP/2 streams: each runs in a task of its own, and a client that stops taking one stream's
//! answer loses that stream and no other.
//!
//! Flow control lets a client hold an answer open without ever blocking the socket, so the socket
//! cannot notice. The answer's body can: it is asked for the next piece only once the client has
//! granted room for the last one. A body that was not asked again within `timeout_write` has its
//! stream reset. What HTTP/2 still holds when its body has ended is the connection's to watch, see
//! `phase`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::Instant;

use crate::clock::instant;

tokio::task_local! {
    /// The flow of the stream that a request arrived in. Set for every HTTP/2 request.
    static FLOW: Arc<Flow>;
}

/// How one answer flows, as its body sees it.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Grows by one whenever the body hands out a piece, and by one when it is asked for more: odd
    /// while the client is waited for.
    turns: AtomicU64,
}

impl Flow {
    /// The flow of the stream that is being served, if it is one of HTTP/2.
    pub(super) fn current() -> Option<Arc<Self>> {
        FLOW.try_with(Arc::clone).ok()
    }

    /// The body was asked for a piece.
    pub(super) fn asked(&self) {
        if self.waits_for_client() {
            self.turns.fetch_add(1, Relaxed);
        }
    }

    /// The body handed out a piece.
    pub(super) fn handed_out(&self) {
        if !self.waits_for_client() {
            self.turns.fetch_add(1, Relaxed);
        }
    }

    fn waits_for_client(&self) -> bool {
        self.turns.load(Relaxed) % 2 == 1
    }
}

/// Runs the streams of HTTP/2 connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    timeout_write: Duration,
}

impl Streams {
    pub(super) fn new(timeout_write: Duration) -> Self {
        Self { timeout_write }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(watched(stream, self.timeout_write));
    }
}

/// Runs `stream`, and drops it when its client stalls for `timeout`.
async fn watched(stream: impl Future<Output = ()>, timeout: Duration) {
    let flow = Arc::new(Flow::default());
    let mut stream = pin!(FLOW.scope(Arc::clone(&flow), stream));
    let mut timer = None;
    let mut seen = 0;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !flow.waits_for_client() {
            timer = None;
            return Poll::Pending;
        }
        let turns = flow.turns.load(Relaxed);
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if turns != seen {
            seen = turns;
            if let Some(deadline) = instant().checked_add(timeout) {
                timer.as_mut().reset(Instant::from_std(deadline));
            }
        }
        timer.as_mut().poll(cx)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(50);

    /// Whether a stream that does `work` runs to its end.
    async fn finishes(work: impl AsyncFnOnce(Arc<Flow>)) -> bool {
        let mut finished = false;
        let stream = async {
            work(Flow::current().unwrap()).await;
            finished = true;
        };
        watched(stream, TIMEOUT).await;
        finished
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_loses_its_stream() {
        let stalls = async |flow: Arc<Flow>| {
            flow.handed_out();
            std::future::pending::<()>().await;
        };
        assert!(!finishes(stalls).await);
    }

    #[tokio::test]
    async fn a_slow_handler_or_a_slow_source_costs_nothing() {
        let slow = async |flow: Arc<Flow>| {
            tokio::time::sleep(TIMEOUT * 2).await;
            flow.handed_out();
            flow.asked();
            tokio::time::sleep(TIMEOUT * 2).await;
        };
        assert!(finishes(slow).await);
    }

    #[tokio::test]
    async fn each_piece_that_is_taken_starts_the_time_anew() {
        let flows = async |flow: Arc<Flow>| {
            for _ in 0..6 {
                flow.asked();
                flow.handed_out();
                tokio::time::sleep(TIMEOUT / 3).await;
            }
        };
        assert!(finishes(flows).await);
    }

    #[tokio::test]
    async fn outside_of_a_stream_there_is_no_flow() {
        assert!(Flow::current().is_none());
    }
}
