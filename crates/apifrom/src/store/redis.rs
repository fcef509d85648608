//! One Redis (or Valkey) server, asked from a thread of its own: scripts that count, and texts that are
//! kept for a while.
//!
//! 1. One connection carries all questions; at most 4,096 are under way. One that is not answered in
//!    250 ms fails.
//! 2. A failure means that the server is away: from then on nobody waits for it, until a connection
//!    of the background has been answered again, which is tried four times a second.
//! 3. Going away and coming back are logged, once each, without what the address says of a password.
//! 4. The first connection is waited for when the API is built, for a second at most, so that the first
//!    requests are counted where all others are.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc as blocking};
use std::thread;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError, Script};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::clock::{Clock, SystemClock};
use crate::logging::{FieldValue, Level, Logger, Record, Sink, configuration_weak};

pub(super) const ANSWER: Duration = Duration::from_millis(250);
pub(super) const CONNECT: Duration = Duration::from_secs(1);
pub(super) const BETWEEN: Duration = Duration::from_millis(250);
const UNDER_WAY: usize = 4_096;

/// How many numbers a script answers with.
pub(crate) const NUMBERS: usize = 4;

/// The server is away, or too much is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away;

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Counts, none of which may be forgotten.
    Counts,
    /// What can be found out again.
    Cache,
}

impl Purpose {
    /// What happens while the server is away.
    fn meanwhile(self) -> &'static str {
        match self {
            Self::Counts => "limits do what on_failure says",
            Self::Cache => "what others found out is found out again",
        }
    }
}

type Sender<T> = oneshot::Sender<Result<T, Away>>;

/// A question about one key.
enum Question {
    Script {
        script: &'static Script,
        key: Vec<u8>,
        arguments: Vec<u64>,
        answer: Sender<[u64; NUMBERS]>,
    },
    Read {
        key: Vec<u8>,
        answer: Sender<Option<Vec<u8>>>,
    },
    Write {
        key: Vec<u8>,
        value: Vec<u8>,
        /// In milliseconds.
        live_for: u64,
        answer: Sender<()>,
    },
}

impl Question {
    /// Asks it; `failed` is called before whoever waits hears that there is no answer.
    async fn put(self, connection: &mut MultiplexedConnection, failed: impl FnOnce()) {
        match self {
            Self::Script {
                script,
                key,
                arguments,
                answer,
            } => {
                let mut call = script.key(key);
                for argument in &arguments {
                    call.arg(argument);
                }
                settle(in_time(call.invoke_async(connection)).await, answer, failed);
            }
            Self::Read { key, answer } => {
                let mut call = redis::cmd("GET");
                call.arg(key);
                let read = in_time(call.query_async(connection)).await;
                settle(read, answer, failed);
            }
            Self::Write {
                key,
                value,
                live_for,
                answer,
            } => {
                let mut call = redis::cmd("SET");
                call.arg(key).arg(value).arg("PX").arg(live_for);
                let written = match timeout(ANSWER, call.exec_async(connection)).await {
                    // A server that says no, as one whose memory is full does, is there.
                    Ok(Err(error)) if !error.is_unrecoverable_error() => Ok(()),
                    Ok(Ok(())) => Ok(()),
                    _ => Err(Away),
                };
                settle(written, answer, failed);
            }
        }
    }

    fn refuse(self) {
        match self {
            Self::Script { answer, .. } => settle(Err(Away), answer, || {}),
            Self::Read { answer, .. } => settle(Err(Away), answer, || {}),
            Self::Write { answer, .. } => settle(Err(Away), answer, || {}),
        }
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, RedisError>>) -> Result<T, Away> {
    match timeout(ANSWER, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        _ => Err(Away),
    }
}

fn settle<T>(found: Result<T, Away>, answer: Sender<T>, failed: impl FnOnce()) {
    if found.is_err() {
        failed();
    }
    // Whoever asked may have gone.
    let _ = answer.send(found);
}

/// A server. The thread ends with it.
pub(crate) struct Redis {
    questions: mpsc::UnboundedSender<(Question, Counted)>,
    shared: Arc<Shared>,
}

struct Shared {
    /// The number of the connection that answers; 0 while none does.
    answering: AtomicU64,
    under_way: AtomicUsize,
    purpose: Purpose,
    voice: Voice,
}

/// What is wrong with an address.
pub(crate) fn fault(url: &str) -> Option<String> {
    let parsed = client(url);
    let expected = "expected an address such as redis://localhost:6379/0";
    // The library's own text may quote the address.
    parsed.err().map(|error| {
        let detail = match error.detail() {
            Some(detail) if !detail.contains(url) => format!(": {detail}"),
            _ => String::new(),
        };
        format!("{expected}{detail}")
    })
}

pub(super) fn client(url: &str) -> Result<Client, RedisError> {
    let is_known = [
        "redis://",
        "rediss://",
        "redis+unix://",
        "unix://",
        "valkey://",
        "valkeys://",
    ];
    if !is_known.iter().any(|scheme| url.starts_with(scheme)) {
        return Err((redis::ErrorKind::InvalidClientConfig, "no such scheme").into());
    }
    Client::open(url.into_connection_info()?)
}

impl Redis {
    /// Connects to the server at `url`; `None` where the address is none, or no thread is to be had.
    pub(crate) fn connect(url: &str, purpose: Purpose, sink: Arc<dyn Sink>) -> Option<Self> {
        let client = client(url).ok()?;
        let (questions, asked) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            answering: AtomicU64::new(0),
            under_way: AtomicUsize::new(0),
            purpose,
            voice: Voice {
                sink,
                address: client.get_connection_info().addr().to_string(),
            },
        });
        let (first, tried) = blocking::sync_channel(1);
        let keeper = Keeper {
            client,
            shared: Arc::clone(&shared),
            asked,
            first: Some(first),
        };
        let spawned = thread::Builder::new()
            .name("apifrom-redis".to_owned())
            .spawn(move || keeper.run());
        spawned.ok()?;
        // Whatever comes of it, requests are answered.
        let _ = tried.recv_timeout(CONNECT + ANSWER);
        Some(Self { questions, shared })
    }

    /// True while the server answers.
    pub(crate) fn is_there(&self) -> bool {
        self.shared.answering.load(Ordering::Acquire) != 0
    }

    /// Runs `script` about `key`.
    ///
    /// # Errors
    /// [`Away`], at once where that is known.
    pub(crate) async fn ask(
        &self,
        script: &'static Script,
        key: Vec<u8>,
        arguments: Vec<u64>,
    ) -> Result<[u64; NUMBERS], Away> {
        self.answered(|answer| Question::Script {
            script,
            key,
            arguments,
            answer,
        })
        .await
    }

    /// What is kept under `key`.
    ///
    /// # Errors
    /// [`Away`], at once where that is known.
    pub(crate) async fn read(&self, key: Vec<u8>) -> Result<Option<Vec<u8>>, Away> {
        self.answered(|answer| Question::Read { key, answer }).await
    }

    /// Keeps `value` under `key`, for so many milliseconds.
    ///
    /// # Errors
    /// [`Away`], at once where that is known.
    pub(crate) async fn write(
        &self,
        key: Vec<u8>,
        value: Vec<u8>,
        live_for: u64,
    ) -> Result<(), Away> {
        self.answered(|answer| Question::Write {
            key,
            value,
            live_for,
            answer,
        })
        .await
    }

    async fn answered<T>(&self, question: impl FnOnce(Sender<T>) -> Question) -> Result<T, Away> {
        if !self.is_there() {
            return Err(Away);
        }
        let counted = Counted::new(&self.shared).ok_or(Away)?;
        let (answer, answered) = oneshot::channel();
        let asked = (question(answer), counted);
        self.questions.send(asked).map_err(|_| Away)?;
        answered.await.unwrap_or(Err(Away))
    }
}

/// One of the questions that are under way: until it is answered, whether or not somebody still waits.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Option<Self> {
        let counted = Self(Arc::clone(shared));
        let before = shared.under_way.fetch_add(1, Ordering::Relaxed);
        (before < UNDER_WAY).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps the connection.
struct Keeper {
    client: Client,
    shared: Arc<Shared>,
    asked: mpsc::UnboundedReceiver<(Question, Counted)>,
    /// Whoever waits for the first attempt.
    first: Option<blocking::SyncSender<()>>,
}

impl Keeper {
    fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(self.keep());
        }
    }

    async fn keep(&mut self) {
        // Said once, until it changes.
        let mut is_away = false;
        let mut is_judged = false;
        let mut number = 0;
        loop {
            let away = match opened(&self.client).await {
                Ok(connection) => {
                    if is_away {
                        self.shared
                            .voice
                            .say("store_recovered", Level::Info, "answers again");
                    }
                    if self.shared.purpose == Purpose::Counts
                        && !std::mem::replace(&mut is_judged, true)
                    {
                        self.shared.judge(connection.clone()).await;
                    }
                    number += 1;
                    self.shared.answering.store(number, Ordering::Release);
                    self.first = None;
                    is_away = false;
                    if self.serve(&connection, number).await {
                        return;
                    }
                    "does not answer".to_owned()
                }
                Err(why) => why,
            };
            self.shared.answering.store(0, Ordering::Release);
            if !std::mem::replace(&mut is_away, true) {
                let what = format!("{away}; meanwhile {}", self.shared.purpose.meanwhile());
                self.shared
                    .voice
                    .say("store_unavailable", Level::Error, &what);
            }
            // Whoever waits for the first connection goes on once it is said what became of it.
            self.first = None;
            if self.refuse_for(BETWEEN).await {
                return;
            }
        }
    }

    /// Answers questions over the connection of this number until one fails; true when nobody will ask any
    /// more.
    async fn serve(&mut self, connection: &MultiplexedConnection, number: u64) -> bool {
        // Its own: what fails late on a connection that was given up says nothing of the next.
        let failure = Arc::new(Notify::new());
        loop {
            let asked = tokio::select! {
                asked = self.asked.recv() => asked,
                () = failure.notified() => return false,
            };
            let Some((question, counted)) = asked else {
                return true;
            };
            let (mut connection, failure) = (connection.clone(), Arc::clone(&failure));
            tokio::spawn(async move {
                let failed = || {
                    // Nobody after this one waits.
                    let answering = &counted.0.answering;
                    let _ =
                        answering.compare_exchange(number, 0, Ordering::AcqRel, Ordering::Relaxed);
                    failure.notify_one();
                };
                question.put(&mut connection, failed).await;
                drop(counted);
            });
        }
    }

    /// Lets nobody wait meanwhile; true when nobody will ask any more.
    async fn refuse_for(&mut self, while_: Duration) -> bool {
        let pause = sleep(while_);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return false,
                asked = self.asked.recv() => match asked {
                    Some((question, _)) => question.refuse(),
                    None => return true,
                },
            }
        }
    }
}

/// A connection that has answered.
///
/// # Errors
/// Why there is none, without anything secret.
pub(super) async fn opened(client: &Client) -> Result<MultiplexedConnection, String> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER));
    let opening = async {
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        redis::cmd("PING").exec_async(&mut connection).await?;
        Ok::<_, RedisError>(connection)
    };
    match timeout(CONNECT, opening).await {
        Ok(opened) => opened.map_err(|error| format!("cannot be used: {}", said(&error))),
        Err(_) => Err("does not answer in time".to_owned()),
    }
}

/// What the server or the system said, without anything of the address.
fn said(error: &RedisError) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.category()),
        None => error.category().to_owned(),
    }
}

/// What is said about a server, and to whom.
pub(super) struct Voice {
    pub(super) sink: Arc<dyn Sink>,
    /// The address, without user and password.
    pub(super) address: String,
}

impl Voice {
    pub(super) fn say(&self, event: &'static str, level: Level, what: &str) {
        if !self.sink.enabled(Logger::Security, level) {
            return;
        }
        let message = format!("{event} redis at {} {what}", self.address);
        let record = Record::new(Logger::Security, level, event, message, SystemClock.unix());
        self.sink
            .write(record.with("store", FieldValue::Text(self.address.clone())));
    }
}

impl Shared {
    /// Warns of a server that forgets counts when its memory is full.
    async fn judge(&self, mut connection: MultiplexedConnection) {
        let mut asking = redis::cmd("CONFIG");
        asking.arg("GET").arg("maxmemory-policy");
        // Who may not ask is not told.
        let Ok(found) = asking.query_async::<Vec<String>>(&mut connection).await else {
            return;
        };
        if let Some(policy) = found.get(1)
            && policy != "noeviction"
        {
            configuration_weak(
                &*self.voice.sink,
                "rate_limit.redis_url",
                &format!(
                    "the server's maxmemory-policy is {policy}: when its memory is full it forgets \
                     counts, and more pass than the limit says; set it to noeviction"
                ),
            );
        }
    }
}
