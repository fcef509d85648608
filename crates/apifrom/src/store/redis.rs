//! One Redis (or Valkey) server, asked by scripts from a thread of its own.
//!
//! 1. One connection carries all questions; at most 4,096 are under way. One that is not answered in
//!    250 ms fails.
//! 2. A failure means that the server is away: from then on nobody waits for it, until a connection
//!    of the background has been answered again, which is tried four times a second.
//! 3. Going away and coming back are logged, once each, without what the address says of a password.
//! 4. The first connection is waited for when the API is built, for a second at most, so that the first
//!    requests are counted where all others are.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc as blocking};
use std::thread;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError, Script};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::clock::{Clock, SystemClock};
use crate::logging::{FieldValue, Level, Logger, Record, Sink, configuration_weak};

const ANSWER: Duration = Duration::from_millis(250);
const CONNECT: Duration = Duration::from_secs(1);
const BETWEEN: Duration = Duration::from_millis(250);
const UNDER_WAY: usize = 4_096;

/// How many numbers a script answers with.
pub(crate) const NUMBERS: usize = 4;

/// The server is away, or too much is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away;

/// A question: a script about one key.
struct Question {
    script: &'static Script,
    key: Vec<u8>,
    arguments: Vec<u64>,
    answer: oneshot::Sender<Result<[u64; NUMBERS], Away>>,
}

/// A server. The thread ends with it.
pub(crate) struct Redis {
    questions: mpsc::UnboundedSender<Question>,
    shared: Arc<Shared>,
}

struct Shared {
    is_there: AtomicBool,
    under_way: AtomicUsize,
    /// Rung when an answer did not come.
    failed: Notify,
    sink: Arc<dyn Sink>,
    /// The address, without user and password.
    address: String,
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

fn client(url: &str) -> Result<Client, RedisError> {
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
    pub(crate) fn connect(url: &str, sink: Arc<dyn Sink>) -> Option<Self> {
        let client = client(url).ok()?;
        let (questions, asked) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            is_there: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            failed: Notify::new(),
            sink,
            address: client.get_connection_info().addr().to_string(),
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
        self.shared.is_there.load(Ordering::Acquire)
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
        if !self.is_there() {
            return Err(Away);
        }
        let counted = Counted::new(&self.shared).ok_or(Away)?;
        let (answer, answered) = oneshot::channel();
        let question = Question {
            script,
            key,
            arguments,
            answer,
        };
        self.questions.send(question).map_err(|_| Away)?;
        let answer = answered.await.unwrap_or(Err(Away));
        drop(counted);
        answer
    }
}

/// One of the questions that are under way.
struct Counted<'s>(&'s Shared);

impl<'s> Counted<'s> {
    fn new(shared: &'s Shared) -> Option<Self> {
        let counted = Self(shared);
        let before = shared.under_way.fetch_add(1, Ordering::Relaxed);
        (before < UNDER_WAY).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps the connection.
struct Keeper {
    client: Client,
    shared: Arc<Shared>,
    asked: mpsc::UnboundedReceiver<Question>,
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
        loop {
            let away = match self.open().await {
                Ok(connection) => {
                    if is_away {
                        self.shared
                            .log("store_recovered", Level::Info, "answers again");
                    }
                    if !std::mem::replace(&mut is_judged, true) {
                        self.shared.judge(connection.clone()).await;
                    }
                    self.shared.is_there.store(true, Ordering::Release);
                    self.first = None;
                    is_away = false;
                    if self.serve(&connection).await {
                        return;
                    }
                    "does not answer".to_owned()
                }
                Err(why) => why,
            };
            self.shared.is_there.store(false, Ordering::Release);
            self.first = None;
            if !std::mem::replace(&mut is_away, true) {
                let what = format!("{away}; meanwhile limits do what on_failure says");
                self.shared.log("store_unavailable", Level::Error, &what);
            }
            if self.refuse_for(BETWEEN).await {
                return;
            }
        }
    }

    /// A connection that has answered.
    async fn open(&self) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let opening = async {
            let mut connection = self
                .client
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

    /// Answers questions until one fails; true when nobody will ask any more.
    async fn serve(&mut self, connection: &MultiplexedConnection) -> bool {
        loop {
            let question = tokio::select! {
                question = self.asked.recv() => question,
                () = self.shared.failed.notified() => return false,
            };
            let Some(question) = question else {
                return true;
            };
            let (mut connection, shared) = (connection.clone(), Arc::clone(&self.shared));
            tokio::spawn(async move {
                let mut call = question.script.key(question.key);
                for argument in &question.arguments {
                    call.arg(argument);
                }
                let answer = timeout(ANSWER, call.invoke_async(&mut connection)).await;
                let answer = if let Ok(Ok(numbers)) = answer {
                    Ok(numbers)
                } else {
                    // Nobody after this one waits.
                    shared.is_there.store(false, Ordering::Release);
                    shared.failed.notify_one();
                    Err(Away)
                };
                // Whoever asked may have gone.
                let _ = question.answer.send(answer);
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
                question = self.asked.recv() => match question {
                    Some(question) => drop(question.answer.send(Err(Away))),
                    None => return true,
                },
            }
        }
    }
}

/// What the server or the system said, without anything of the address.
fn said(error: &RedisError) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.category()),
        None => error.category().to_owned(),
    }
}

impl Shared {
    fn log(&self, event: &'static str, level: Level, what: &str) {
        if !self.sink.enabled(Logger::Security, level) {
            return;
        }
        let message = format!("{event} redis at {} {what}", self.address);
        let record = Record::new(Logger::Security, level, event, message, SystemClock.unix());
        self.sink
            .write(record.with("store", FieldValue::Text(self.address.clone())));
    }

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
                &*self.sink,
                "rate_limit.redis_url",
                &format!(
                    "the server's maxmemory-policy is {policy}: when its memory is full it forgets \
                     counts, and more pass than the limit says; set it to noeviction"
                ),
            );
        }
    }
}
