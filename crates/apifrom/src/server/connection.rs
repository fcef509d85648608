//! One connection, from its first byte to its last.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Sleep;

use super::frames::Frames;
use super::limits::Place;
use super::listener::{encrypted, name};
use super::phase::{Phase, PhaseClock, Pulse, Timeouts};
use super::service::Service;
use super::shutdown::{Stage, Stopper};
use super::socket::{Plain, Sniffed, Socket, Transport};
use super::streams::Streams;
use super::tls::Tls;
use crate::clock::{Clock, SystemClock, instant};
use crate::config::ServerConfig;
use crate::engine::Engine;
use crate::logging::{FieldValue, Level, Logger, Record};
use crate::request::Peer;

/// hyper's own bound, up to which it parses without an allocation.
const UNALLOCATED_FIELDS: usize = 100;

/// The least that hyper buffers.
const LEAST_BUFFER: usize = 8 << 10;

/// How much of an HTTP/1 message is held in memory on either way while the other end does not keep
/// up.
const MOST_BUFFERED: usize = 64 << 10;

/// How many requests an HTTP/2 client may have open at once.
const STREAMS: u32 = 100;
/// How much of request bodies an HTTP/2 client may send ahead of its readers, in one stream and in
/// all.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 512 << 10;
/// How many streams may be reset, by the client before they are looked at and by us for its faults,
/// until the connection is ended (CVE-2023-44487, CVE-2025-8671).
const RESETS: usize = 20;
const FAULTS: usize = 100;

/// How long a client that has just connected may still take to send its first byte when the server
/// ends: another server may have taken the address over, and this one accepted for it.
const FIRST_BYTES: Duration = Duration::from_millis(200);

/// What all connections of a server have in common.
pub(super) struct Shared {
    pub(super) engine: Engine,
    pub(super) timeouts: Timeouts,
    pub(super) max_header_fields: usize,
    http1: http1::Builder,
    http2: http2::Builder<Streams>,
    tls: Option<Tls>,
    stopper: Stopper,
}

impl Shared {
    pub(super) fn new(
        engine: Engine,
        config: &ServerConfig,
        tls: Option<Tls>,
        stopper: Stopper,
    ) -> Self {
        let timeouts = Timeouts::new(config);
        let mut http1 = http1::Builder::new();
        http1
            // Time is kept here, see `phase`.
            .header_read_timeout(None)
            // Nearly every answer is small: one buffer of it all costs less than a list of two.
            .writev(false)
            .max_header_size(config.max_head_size)
            .max_buf_size(config.max_head_size.max(MOST_BUFFERED).max(LEAST_BUFFER));
        if config.max_header_fields > UNALLOCATED_FIELDS {
            http1.max_headers(config.max_header_fields);
        }
        let mut http2 = http2::Builder::new(Streams::new(timeouts.write));
        http2
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(config.max_head_size.try_into().unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(MOST_BUFFERED)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(FAULTS);
        Self {
            engine,
            timeouts,
            max_header_fields: config.max_header_fields,
            http1,
            http2,
            tls,
            stopper,
        }
    }

    fn log(&self, event: &'static str, peer: &Peer, message: impl FnOnce() -> String) {
        let sink = self.engine.sink();
        if sink.enabled(Logger::Server, Level::Debug) {
            let record = Record::new(
                Logger::Server,
                Level::Debug,
                event,
                message(),
                SystemClock.unix(),
            );
            sink.write(record.with("peer", FieldValue::Text(name(peer))));
        }
    }
}

/// Serves what was accepted from `peer` until either side is done with it. `place` is given back
/// when this ends, however it ends.
pub(super) async fn serve(shared: Arc<Shared>, socket: Plain, peer: Peer, place: Place) {
    let accepted = instant();
    // Boxed, because what opening needs would otherwise be held for the whole connection.
    let opened = Box::pin(opened(&shared, socket, &peer, accepted)).await;
    if let Some(opened) = opened {
        Connection::new(shared, opened, peer, accepted).await;
    }
    drop(place);
}

/// A socket on which it is known what will be spoken.
struct Opened {
    transport: Transport,
    sniffed: Sniffed,
    http2: bool,
}

/// Opens the connection, within the time of a request head: a client that cannot even do that in
/// time will not send one.
async fn opened(shared: &Shared, socket: Plain, peer: &Peer, accepted: Instant) -> Option<Opened> {
    let open = async {
        match &shared.tls {
            None => open_plain(socket).await,
            Some(tls) => {
                let (stream, http2) = tls.accept(socket).await?;
                Ok(Opened {
                    transport: Transport::Tls(stream),
                    sniffed: Sniffed::default(),
                    http2,
                })
            }
        }
    };
    let late = async {
        match accepted.checked_add(shared.timeouts.head) {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    let opened = tokio::select! {
        opened = open => opened,
        () = late => Err(io::ErrorKind::TimedOut.into()),
        () = ended(&shared.stopper) => return None,
    };
    opened
        .inspect_err(|error| {
            let what = if shared.tls.is_some() {
                "the TLS handshake failed"
            } else {
                "the connection ended before it began"
            };
            shared.log("connection_failed", peer, || {
                format!("{what} with {}: {error}", name(peer))
            });
        })
        .ok()
}

/// Resolves when a connection that has sent nothing yet is to be given up.
async fn ended(stopper: &Stopper) {
    stopper.reached(Stage::Stopping).await;
    tokio::select! {
        () = tokio::time::sleep(FIRST_BYTES) => {}
        () = stopper.reached(Stage::Cutting) => stopper.note_cut(),
    }
}

async fn open_plain(mut socket: Plain) -> io::Result<Opened> {
    let mut sniffed = Sniffed::default();
    let http2 = std::future::poll_fn(|cx| sniffed.poll_fill(cx, &mut socket)).await?;
    Ok(Opened {
        transport: Transport::Plain(socket),
        sniffed,
        http2,
    })
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly every connection is of the large kind"
)]
enum Protocol {
    Http1(http1::Connection<TokioIo<Socket>, Service>),
    /// Boxed, because it is several times as large and far rarer.
    Http2(Pin<Box<http2::Connection<TokioIo<Socket>, Service, Streams>>>),
}

impl Protocol {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        match self {
            Self::Http1(connection) => Pin::new(connection).poll(cx),
            Self::Http2(connection) => connection.as_mut().poll(cx),
        }
    }

    fn graceful_shutdown(&mut self) {
        match self {
            Self::Http1(connection) => Pin::new(connection).graceful_shutdown(),
            Self::Http2(connection) => connection.as_mut().graceful_shutdown(),
        }
    }
}

/// An open connection: HTTP, its deadlines, and the server's end.
struct Connection {
    protocol: Protocol,
    pulse: Arc<Pulse>,
    clock: PhaseClock,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer rings, if it is set.
    rings: Option<Instant>,
    stage: Stage,
    /// Wakes this connection when the server goes on to its next stage.
    change: Pin<Box<OwnedNotified>>,
    /// True once `change` knows whom to wake.
    is_watching: bool,
    /// True until HTTP has seen what the client sent first.
    is_fresh: bool,
    peer: Arc<Peer>,
    shared: Arc<Shared>,
}

/// What a connection is to do after a turn.
enum Next {
    /// Wait to be woken.
    Wait,
    /// Let HTTP look again, because something changed that it cannot be woken for.
    Turn,
    /// End without another word.
    Drop,
}

impl Connection {
    fn new(shared: Arc<Shared>, opened: Opened, peer: Peer, accepted: Instant) -> Self {
        let http2 = opened.http2;
        let pulse = Arc::new(if http2 {
            Pulse::http2()
        } else {
            Pulse::http1()
        });
        // The first head has its time from the accept on, handshake included.
        let since = if http2 { instant() } else { accepted };
        let peer = Arc::new(match opened.transport {
            Transport::Plain(_) => peer,
            Transport::Tls(_) => encrypted(&peer),
        });
        let service = Service::new(Arc::clone(&shared), Arc::clone(&peer), Arc::clone(&pulse));
        let frames = http2.then(Frames::new);
        let socket = Socket::new(opened.transport, opened.sniffed, Arc::clone(&pulse), frames);
        let io = TokioIo::new(socket);
        Self {
            protocol: if http2 {
                Protocol::Http2(Box::pin(shared.http2.serve_connection(io, service)))
            } else {
                Protocol::Http1(shared.http1.serve_connection(io, service))
            },
            clock: PhaseClock::starting(&pulse, since),
            pulse,
            timer: None,
            rings: None,
            stage: Stage::Serving,
            change: shared.stopper.next_change(),
            is_watching: false,
            is_fresh: true,
            peer,
            shared,
        }
    }

    /// Closes what is idle, and lets everything else finish first.
    fn close(&mut self) {
        if self.pulse.phase() == Phase::Idle {
            self.pulse.close_idle();
        } else {
            self.pulse.close();
        }
        self.protocol.graceful_shutdown();
    }

    /// Has this connection woken at the next change of stage.
    fn watch(&mut self, cx: &mut Context<'_>) {
        // While the server serves, whoever is told of a change finds another stage. Once it is
        // ending, the telling may come after the stage was seen, and use up what was armed.
        if self.is_watching && self.stage == Stage::Serving {
            return;
        }
        while self.change.as_mut().poll(cx).is_ready() {
            self.change = self.shared.stopper.next_change();
        }
        self.is_watching = true;
    }

    /// Follows the server to its next stage.
    fn follow(&mut self, cx: &mut Context<'_>) -> Next {
        // Armed before the look, so that a change between the two is not missed.
        self.watch(cx);
        let stage = self.shared.stopper.stage();
        if stage == self.stage {
            return Next::Wait;
        }
        self.stage = stage;
        if stage == Stage::Cutting {
            self.shared.stopper.note_cut();
            return Next::Drop;
        }
        self.close();
        Next::Turn
    }

    /// Looks at the clock after a turn of HTTP.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Next {
        if self.pulse.is_owed_nothing() {
            self.pulse.close();
            return Next::Turn;
        }
        self.pulse.watched_by(cx.waker());
        let now = instant();
        let (phase, deadline) = self.clock.read(&self.pulse, now, &self.shared.timeouts);
        let Some(deadline) = deadline else {
            return Next::Wait;
        };
        if deadline <= now {
            return self.overdue(phase);
        }
        let is_set = self
            .rings
            .is_some_and(|rings| now < rings && rings <= deadline);
        if !is_set {
            self.rings = Some(deadline);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())));
            timer.as_mut().reset(deadline.into());
            if timer.as_mut().poll(cx).is_ready() {
                return Next::Turn;
            }
        }
        Next::Wait
    }

    fn overdue(&mut self, phase: Phase) -> Next {
        match phase {
            // Goodbye is said where there is someone to hear it: GOAWAY, close_notify.
            Phase::Idle => {
                self.close();
                Next::Turn
            }
            // The parser learns of the client's end, and with it the handler.
            Phase::HalfClosed if !self.pulse.is_closing() => {
                self.pulse.close();
                Next::Turn
            }
            Phase::Head | Phase::Stalled | Phase::Sending => {
                self.shared.log("connection_timed_out", &self.peer, || {
                    let what = match phase {
                        Phase::Head => "sent no whole request head in time",
                        _ => "took nothing of its answer in time",
                    };
                    format!("{} {what}", name(&self.peer))
                });
                Next::Drop
            }
            Phase::Busy | Phase::HalfClosed | Phase::Closing => Next::Drop,
        }
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            // Asked to end before it has seen anything, hyper closes over what it could still answer.
            let is_first = std::mem::take(&mut this.is_fresh);
            if !is_first {
                match this.follow(cx) {
                    Next::Wait => {}
                    Next::Turn => continue,
                    Next::Drop => return Poll::Ready(()),
                }
            }
            if let Poll::Ready(ended) = this.protocol.poll(cx) {
                if let Err(error) = ended {
                    this.shared.log("connection_broke", &this.peer, || {
                        format!("the connection with {} broke: {error}", name(&this.peer))
                    });
                }
                return Poll::Ready(());
            }
            match this.keep_time(cx) {
                Next::Wait if is_first => {}
                Next::Wait => return Poll::Pending,
                Next::Turn => {}
                Next::Drop => return Poll::Ready(()),
            }
        }
    }
}
