//! Marks against tokens that processes and hosts share: kept by Redis, with a copy in each process.
//!
//! 1. A mark is in the store before whoever made it is told so, and in the copy of that process at once.
//!    Every other process asks twice a second for what is new, by a number that each mark gets.
//! 2. A store that lost its data has another epoch, or lower numbers, or gave the numbers that it lost to other marks
//!    since: all is asked for anew where that shows, and over each new connection. What the copy holds stays, because
//!    nothing that was revoked may come back.
//! 3. How old the copy is can be told at any time. While the store does not answer it grows old, and
//!    marks cannot be made.
//! 4. Marks are merged as [`super::memory`] does it, and go when they are over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock, mpsc as blocking};
use std::thread;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Client, Script};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::memory::{Full, Key, Ledger, Mark};
use super::redis::{ANSWER, BETWEEN, CONNECT, Voice, client, opened};
use crate::clock::{Clock, instant};
use crate::logging::{Level, Sink};

const POLL: Duration = Duration::from_millis(500);
/// How many marks are asked for at once.
const BATCH: usize = 1_000;
/// What stands for a time that never comes; Lua's numbers hold every whole one up to it.
const NEVER: u64 = (1 << 53) - 1;

static ADD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
redis.call('SET', KEYS[5], ARGV[6], 'NX')
local over = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[4], 'LIMIT', 0, 1000)
for _, field in ipairs(over) do
  redis.call('HDEL', KEYS[1], field)
  redis.call('ZREM', KEYS[2], field)
  redis.call('ZREM', KEYS[3], field)
end
local before, ends = tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known then
  local middle = string.find(known, ':')
  before = math.max(before, tonumber(string.sub(known, 1, middle - 1)))
  ends = math.max(ends, tonumber(string.sub(known, middle + 1)))
elseif redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f:%.0f', before, ends))
redis.call('ZADD', KEYS[3], string.format('%.0f', ends), ARGV[1])
redis.call('ZADD', KEYS[2], redis.call('INCR', KEYS[4]), ARGV[1])
return 1
",
    )
});

static PULL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local epoch = redis.call('GET', KEYS[5]) or ''
local since = ARGV[1]
local number = tonumber(redis.call('GET', KEYS[4]) or '0')
if epoch ~= ARGV[2] or number < tonumber(since) then since = '0' end
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. since, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
local answer = {epoch, since}
for place = 1, #found, 2 do
  answer[#answer + 1] = found[place]
  answer[#answer + 1] = found[place + 1]
  answer[#answer + 1] = redis.call('HGET', KEYS[1], found[place])
end
return answer
",
    )
});

/// Why a mark could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmade {
    /// Every place is taken.
    Full,
    /// The store does not answer.
    Away,
}

struct Job {
    key: Key,
    mark: Mark,
    now: Duration,
    answer: oneshot::Sender<Result<(), Unmade>>,
}

/// The marks, and this process's copy of them. The thread ends with it.
pub(crate) struct Replica {
    jobs: mpsc::UnboundedSender<Job>,
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Ledger,
    capacity: usize,
    begin: Instant,
    /// When the copy was last what the store holds, in milliseconds from one on; 0 is never.
    fresh: AtomicU64,
    sink: OnceLock<Voice>,
    address: String,
    clock: Arc<dyn Clock>,
}

impl Replica {
    /// Connects to the server at `url`, and waits a second at most for the first copy of the marks under
    /// `name`. `None` where the address is none, or no thread is to be had.
    pub(crate) fn connect(
        url: &str,
        name: &str,
        capacity: usize,
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        let client = client(url).ok()?;
        let (jobs, asked) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            ledger: Ledger::new(capacity),
            capacity,
            begin: instant(),
            fresh: AtomicU64::new(0),
            sink: OnceLock::new(),
            address: client.get_connection_info().addr().to_string(),
            clock,
        });
        let (first, tried) = blocking::sync_channel(1);
        let keys = ["marks", "log", "ends", "number", "epoch"]
            .map(|part| format!("apifrom:revocation:{{{name}}}:{part}"));
        let keeper = Keeper {
            client,
            keys,
            shared: Arc::clone(&shared),
            asked,
            first: Some(first),
            since: String::from("0"),
            epoch: String::new(),
        };
        let spawned = thread::Builder::new()
            .name("apifrom-revoked".to_owned())
            .spawn(move || keeper.run());
        spawned.ok()?;
        let _ = tried.recv_timeout(CONNECT + ANSWER);
        Some(Self { jobs, shared })
    }

    /// Says from now on to `sink` when the store goes away and comes back.
    pub(crate) fn say_to(&self, sink: &Arc<dyn Sink>) {
        // The first API that asks is told.
        let _ = self.shared.sink.set(Voice {
            sink: Arc::clone(sink),
            address: self.shared.address.clone(),
        });
        if self.shared.fresh.load(Ordering::Acquire) == 0 {
            self.shared.say(
                "store_unavailable",
                Level::Error,
                "has not answered yet; no token passes before it does",
            );
        }
    }

    /// Before which moment tokens of `key` are covered, as far as the copy knows.
    pub(crate) fn find(&self, key: &Key, now: Duration) -> Option<Duration> {
        self.shared.ledger.find(key, now)
    }

    /// How old the copy is; nothing while there is none.
    pub(crate) fn age(&self) -> Option<Duration> {
        let fresh = self.shared.fresh.load(Ordering::Acquire).checked_sub(1)?;
        let now = instant().duration_since(self.shared.begin);
        Some(now.saturating_sub(Duration::from_millis(fresh)))
    }

    /// Makes a mark.
    ///
    /// # Errors
    /// [`Unmade`]; of a store that did not answer it is not known whether the mark was made.
    pub(crate) async fn add(&self, key: Key, mark: Mark, now: Duration) -> Result<(), Unmade> {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            key,
            mark,
            now,
            answer,
        };
        self.jobs.send(job).map_err(|_| Unmade::Away)?;
        answered.await.unwrap_or(Err(Unmade::Away))
    }
}

impl Shared {
    fn say(&self, event: &'static str, level: Level, what: &str) {
        if let Some(voice) = self.sink.get() {
            voice.say(event, level, what);
        }
    }

    fn is_fresh(&self) {
        let now = instant().duration_since(self.begin).as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX - 1);
        self.fresh.store(now + 1, Ordering::Release);
    }
}

struct Keeper {
    client: Client,
    keys: [String; 5],
    shared: Arc<Shared>,
    asked: mpsc::UnboundedReceiver<Job>,
    first: Option<blocking::SyncSender<()>>,
    /// The number of the last mark that was copied.
    since: String,
    epoch: String,
}

/// The store did not answer, or not what it must.
struct Failed;

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
        let mut is_away = false;
        loop {
            let opened = opened(&self.client).await;
            let away = match opened {
                Ok(mut connection) => match self.pull_all(&mut connection).await {
                    Ok(()) => {
                        if std::mem::take(&mut is_away) {
                            self.shared
                                .say("store_recovered", Level::Info, "answers again");
                        }
                        self.first = None;
                        if self.serve(connection).await {
                            return;
                        }
                        "does not answer".to_owned()
                    }
                    Err(Failed) => "does not answer as a store of revocations does".to_owned(),
                },
                Err(why) => why,
            };
            if !std::mem::replace(&mut is_away, true) {
                let what = format!("{away}; what is revoked elsewhere is not known here");
                self.shared.say("store_unavailable", Level::Error, &what);
            }
            // Not before: whoever waits speaks next, for what came to nothing so far.
            self.first = None;
            if self.refuse_for(BETWEEN).await {
                return;
            }
        }
    }

    /// Copies and makes marks until the store fails; true when nobody is there any more.
    async fn serve(&mut self, mut connection: MultiplexedConnection) -> bool {
        loop {
            let job = tokio::select! {
                job = self.asked.recv() => match job {
                    Some(job) => Some(job),
                    None => return true,
                },
                () = sleep(POLL) => None,
            };
            if let Some(job) = job {
                let made = self.make(&mut connection, &job).await;
                let failed = made == Err(Unmade::Away);
                // Whoever asked may have gone.
                let _ = job.answer.send(made);
                if failed {
                    return false;
                }
            }
            if self.pull(&mut connection).await.is_err() {
                return false;
            }
        }
    }

    async fn make(&self, connection: &mut MultiplexedConnection, job: &Job) -> Result<(), Unmade> {
        let Job { key, mark, now, .. } = job;
        let mut call = ADD.prepare_invoke();
        for key in &self.keys {
            call.key(key);
        }
        // Rounded so that nothing more passes: what is covered up, and so is the end.
        call.arg(hex(key))
            .arg(number(mark.before, Duration::as_micros, 1_000))
            .arg(number(
                mark.until,
                |time| u128::from(time.as_secs()),
                1_000_000_000,
            ))
            .arg(now.as_secs())
            .arg(self.shared.capacity)
            .arg(hex(&fresh_epoch()));
        match timeout(ANSWER, call.invoke_async::<u64>(connection)).await {
            Ok(Ok(1)) => {
                let kept = self.shared.ledger.add(*key, *mark, *now);
                kept.map_err(|Full| Unmade::Full)
            }
            Ok(Ok(_)) => Err(Unmade::Full),
            _ => Err(Unmade::Away),
        }
    }

    /// Copies everything.
    async fn pull_all(&mut self, connection: &mut MultiplexedConnection) -> Result<(), Failed> {
        "0".clone_into(&mut self.since);
        self.pull(connection).await
    }

    /// Copies what is new.
    async fn pull(&mut self, connection: &mut MultiplexedConnection) -> Result<(), Failed> {
        loop {
            let mut call = PULL.prepare_invoke();
            for key in &self.keys {
                call.key(key);
            }
            call.arg(&self.since).arg(&self.epoch).arg(BATCH);
            let answer = timeout(ANSWER, call.invoke_async::<Vec<String>>(connection)).await;
            let Ok(Ok(answer)) = answer else {
                return Err(Failed);
            };
            let [epoch, since, marks @ ..] = &answer[..] else {
                return Err(Failed);
            };
            self.epoch.clone_from(epoch);
            self.since.clone_from(since);
            let now = self.shared.clock.unix();
            let count = marks.len() / 3;
            for mark in marks.chunks_exact(3) {
                let [field, score, value] = mark else {
                    return Err(Failed);
                };
                let (key, mark) = read(field, value).ok_or(Failed)?;
                self.since.clone_from(score);
                if mark.until > now {
                    // Each process holds as many as the store does; one more is not to be forgotten.
                    self.shared
                        .ledger
                        .add(key, mark, now)
                        .map_err(|Full| Failed)?;
                }
            }
            if count < BATCH {
                self.shared.is_fresh();
                return Ok(());
            }
        }
    }

    /// Lets nobody wait meanwhile; true when nobody is there any more.
    async fn refuse_for(&mut self, while_: Duration) -> bool {
        let pause = sleep(while_);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return false,
                job = self.asked.recv() => match job {
                    Some(job) => drop(job.answer.send(Err(Unmade::Away))),
                    None => return true,
                },
            }
        }
    }
}

/// A time as the store holds it, rounded up from what is `finer`.
fn number(time: Duration, whole: impl Fn(&Duration) -> u128, finer: u32) -> u64 {
    if time == Duration::MAX {
        return NEVER;
    }
    let rest = u64::from(!time.subsec_nanos().is_multiple_of(finer));
    u64::try_from(whole(&time)).map_or(NEVER, |whole| whole.saturating_add(rest).min(NEVER))
}

fn read(field: &str, value: &str) -> Option<(Key, Mark)> {
    let (before, until) = value.split_once(':')?;
    let (before, until): (u64, u64) = (before.parse().ok()?, until.parse().ok()?);
    let time = |number, unit: fn(u64) -> Duration| {
        if number >= NEVER {
            Duration::MAX
        } else {
            unit(number)
        }
    };
    let mut key: Key = [0; 32];
    let digits = field.as_bytes();
    if digits.len() != 2 * key.len() {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((
        key,
        Mark {
            before: time(before, Duration::from_micros),
            until: time(until, Duration::from_secs),
        },
    ))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| {
        DIGITS
            .get(usize::from(half))
            .map_or('0', |digit| char::from(*digit))
    };
    let pairs = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    pairs.collect()
}

/// What tells one life of the store's data from another.
fn fresh_epoch() -> [u8; 16] {
    let mut bytes = [0; 16];
    // Without randomness two lives might look like one, and marks of the second be missed until a number
    // is reached that the first had; the server's own numbers still begin anew.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}
