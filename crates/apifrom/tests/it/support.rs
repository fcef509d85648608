//! A served API and a client that writes bytes by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use apifrom::server::{BoundAddress, Ended, Server, Stopper};
use apifrom::{
    Api, EndpointSpec, Handler, Level, Logger, Record, Rejection, Reply, Request, Response,
    ResponseBody, ServerConfig, Sink,
};
use bytes::Bytes;
use http_body::Frame;

/// How long a test waits for what should happen soon.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// What the test API counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Requests that reached a handler.
    pub(crate) handled: AtomicUsize,
    /// Handlers that were dropped before they answered.
    pub(crate) cancelled: AtomicUsize,
    /// Pieces that were made for streams.
    pub(crate) pieces: AtomicUsize,
}

impl Counts {
    pub(crate) fn handled(&self) -> usize {
        self.handled.load(Ordering::SeqCst)
    }

    pub(crate) fn cancelled(&self) -> usize {
        self.cancelled.load(Ordering::SeqCst)
    }

    pub(crate) fn pieces(&self) -> usize {
        self.pieces.load(Ordering::SeqCst)
    }
}

/// Keeps what the server says.
#[derive(Debug, Default)]
pub(crate) struct Records(Mutex<Vec<Record>>);

impl Sink for Records {
    fn enabled(&self, logger: Logger, _level: Level) -> bool {
        logger == Logger::Server
    }

    fn write(&self, record: Record) {
        self.0.lock().unwrap().push(record);
    }
}

impl Records {
    /// The messages of one kind of event.
    pub(crate) fn of(&self, event: &str) -> Vec<String> {
        let records = self.0.lock().unwrap();
        let wanted = records.iter().filter(|record| record.event == event);
        wanted.map(|record| record.message.clone()).collect()
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Served {
    pub(crate) addresses: Vec<BoundAddress>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) records: Arc<Records>,
    pub(crate) stopper: Stopper,
    running: Option<JoinHandle<Ended>>,
}

impl Served {
    /// The test API on a free port, under the configuration that `change` makes.
    pub(crate) fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::api(|api| api, change)
    }

    pub(crate) fn api(
        extend: impl FnOnce(Api) -> Api,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let mut config = ServerConfig::default();
        config.port = 0;
        change(&mut config);
        let counts = Arc::<Counts>::default();
        let records = Arc::<Records>::default();
        let api = Api::new()
            .endpoints(endpoints(&counts))
            .log_to(Arc::clone(&records) as _);
        let engine = extend(api).build().unwrap();
        let server = Server::bind(&config).unwrap();
        let addresses = server.addresses().cloned().collect();
        let stopper = server.stopper();
        let running = std::thread::spawn(move || {
            // One thread, as on the Python face: what works there works on many.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let serving = server.serve(engine, std::future::pending());
            let ended = runtime.block_on(serving).unwrap();
            runtime.shutdown_background();
            ended
        });
        Self {
            addresses,
            counts,
            records,
            stopper,
            running: Some(running),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self.addresses.first() {
            Some(BoundAddress::Tcp(address)) => *address,
            other => panic!("not on TCP but on {other:?}"),
        }
    }

    pub(crate) fn connect(&self) -> Client<TcpStream> {
        Client::tcp(self.address())
    }

    /// Sends `request` on a connection of its own and returns everything that comes back.
    pub(crate) fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        // A server that refuses early may have closed before it got everything.
        let _ = client.stream.write_all(request.as_ref());
        client.rest()
    }

    /// Stops the server and says how it ended.
    pub(crate) fn stop(mut self) -> Ended {
        self.stopper.stop();
        self.joined().unwrap()
    }

    /// How the server ended that was stopped already.
    pub(crate) fn joined(&mut self) -> Option<Ended> {
        self.running.take().map(|running| running.join().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stopper.cut();
        if !std::thread::panicking() {
            self.joined();
        }
    }
}

/// A client that counts nothing and hides nothing.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    /// What was read and not yet looked at.
    read: Vec<u8>,
}

impl Client<TcpStream> {
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    pub(crate) fn half_close(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        self.answer()
    }

    /// One answer that announces its length.
    pub(crate) fn answer(&mut self) -> Answer {
        loop {
            if let Some((answer, length)) = Answer::parse(&self.read) {
                self.read.drain(..length);
                return answer;
            }
            let mut chunk = [0; 8192];
            let read = self.stream.read(&mut chunk).unwrap();
            assert!(
                read > 0,
                "closed after {:?}",
                String::from_utf8_lossy(&self.read)
            );
            self.read.extend_from_slice(&chunk[..read]);
        }
    }

    /// Everything up to the server's end; a reset is an end as well.
    pub(crate) fn rest(&mut self) -> String {
        let mut chunk = [0; 8192];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => self.read.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&self.read)),
            }
        }
        let rest = std::mem::take(&mut self.read);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
    as_sent: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|at| at == b"\r\n\r\n")? + 4;
        let as_sent = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let head = as_sent.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| {
            rest.split("\r\n").next().unwrap().parse().unwrap()
        });
        let body = bytes.get(end..end + length)?;
        let answer = Self {
            status: head[9..12].parse().unwrap(),
            body: String::from_utf8_lossy(body).into_owned(),
            head,
            as_sent,
        };
        Some((answer, end + length))
    }

    /// The first value of a header, as it was sent.
    pub(crate) fn head_as_sent(&self, name: &str) -> String {
        let lines = self
            .as_sent
            .lines()
            .filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        values.next().unwrap().1.to_owned()
    }
}

/// The statuses of all answers in `text`.
pub(crate) fn statuses(text: &str) -> Vec<u16> {
    let heads = text.split("HTTP/1.").skip(1);
    heads.map(|head| head[2..5].parse().unwrap()).collect()
}

/// Waits until `happened`, and fails when it does not within [`SOON`].
pub(crate) fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < SOON, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn endpoints(counts: &Arc<Counts>) -> Vec<EndpointSpec> {
    vec![
        endpoint(counts, "/", "GET", |_, _| Reply::Ready(Ok(text("home")))),
        endpoint(counts, "/peer", "GET", |_, request| {
            let context = request.context();
            let seen = format!("{} {}", context.client, context.notes.scheme.as_str());
            Reply::Ready(Ok(text(seen)))
        }),
        endpoint(counts, "/panic", "GET", |_, _| panic!("as asked")),
        endpoint(counts, "/echo", "POST", |_, mut request| {
            Reply::wait(async move {
                let body = request.body().read().await?;
                Ok(Response::new(ResponseBody::full(body)))
            })
        }),
        endpoint(counts, "/torn", "GET", |_, _| {
            Reply::Ready(Ok(Response::new(ResponseBody::stream(Torn))))
        }),
        // Answers without a look at the body.
        endpoint(counts, "/deaf", "POST", |_, _| {
            Reply::Ready(Ok(text("deaf")))
        }),
        endpoint(counts, "/sleep/{ms}", "GET", |counts, request| {
            let ms = request.capture(0).unwrap().parse().unwrap();
            let cancelled = Cancelled::of(counts);
            Reply::wait(async move {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                cancelled.not();
                Ok(text("slept"))
            })
        }),
        endpoint(counts, "/big", "GET", |_, _| {
            Reply::Ready(Ok(Response::new(ResponseBody::full(vec![b'x'; 8 << 20]))))
        }),
        endpoint(counts, "/stream", "GET", |counts, _| {
            Reply::Ready(Ok(Response::new(ResponseBody::stream(Endless(counts)))))
        }),
    ]
}

fn endpoint(
    counts: &Arc<Counts>,
    template: &str,
    method: &str,
    handler: impl Fn(Arc<Counts>, Request) -> Reply + Send + Sync + 'static,
) -> EndpointSpec {
    let counts = Arc::clone(counts);
    let handler = move |request: Request| {
        counts.handled.fetch_add(1, Ordering::SeqCst);
        handler(Arc::clone(&counts), request)
    };
    let handler: Arc<dyn Handler> = Arc::new(handler);
    EndpointSpec::new(template, template, [method], |_| Some(handler))
}

fn text(text: impl Into<String>) -> Response {
    Response::new(ResponseBody::full(text.into()))
}

/// A body that never ends.
struct Endless(Arc<Counts>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Rejection;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Rejection>>> {
        self.0.pieces.fetch_add(1, Ordering::SeqCst);
        let piece = Bytes::from(vec![b'x'; 16 << 10]);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// A body that panics where the engine no longer watches.
struct Torn;

impl http_body::Body for Torn {
    type Data = Bytes;
    type Error = Rejection;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Rejection>>> {
        panic!("as asked, while streaming")
    }
}

/// Counts a handler that is dropped before it answered.
struct Cancelled {
    counts: Arc<Counts>,
    answered: bool,
}

impl Cancelled {
    fn of(counts: Arc<Counts>) -> Self {
        Self {
            counts,
            answered: false,
        }
    }

    fn not(mut self) {
        self.answered = true;
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if !self.answered {
            self.counts.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }
}
