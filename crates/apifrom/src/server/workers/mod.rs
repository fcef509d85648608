//! Several processes that serve one API, and the one that keeps them.
//!
//! 1. The supervisor opens a socket for each worker and keeps all of them open for its own life. What
//!    waits at the socket of a worker that died waits for the one that follows it. What that worker had
//!    accepted is lost, and nothing else.
//! 2. A worker is a new process of the program, never a copy of a running one. It is handed its sockets
//!    by descriptor.
//! 3. The first worker is started alone, so that what fails in each of them fails once; the others follow
//!    together. The server says that it listens when all of them serve. One that ends before that ends
//!    the start.
//! 4. A worker that ends later is followed by another (`restarts`).
//! 5. SIGTERM or SIGINT stops all; what runs is finished. A second one cuts what still runs. A worker that
//!    takes ten seconds longer than `timeout_graceful_shutdown` is killed.
//! 6. Workers end in the same way when their supervisor is killed. On Linux one that does not serve yet is
//!    killed with it.
//!
//! A worker that is sent SIGTERM itself finishes what runs, and is followed by another.
//!
//! # Security
//! On Linux the sockets are `SO_REUSEPORT`: a process of the same user could open another one beside them
//! and would be given a part of the connections. A process of another user cannot.

mod assignment;
mod child;
mod restarts;

use std::future::Future;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use self::assignment::Assignment;
use self::assignment::ENDING;
pub(super) use self::assignment::Post;
use self::child::{Change, Child, how};
use self::restarts::{Next, Restarts};
use super::Signals;
use super::accept::Log;
use super::listener::{self, BoundAddress, Listener};
use super::shutdown::{Stage, Stopper};
use crate::clock::instant;
use crate::config::ServerConfig;
use crate::error::ServeError;
use crate::logging::{Level, Sink};

/// Makes the command of a worker from its assignment.
type Program = dyn Fn(&str) -> Command + Send + Sync;

/// Several processes that serve one API, on sockets that are open from here on.
///
/// The Rust face has no need of them: its server is one process with a thread for each core. The Python
/// face runs one for each core.
///
/// # Examples
/// A program that runs itself four times:
/// ```no_run
/// use std::process::Command;
/// use std::sync::Arc;
///
/// use apifrom::server::{Assignment, Server, Workers};
/// use apifrom::{Api, ServerConfig, TracingSink};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Api::new().configure(|config| config.processes = 4).build()?;
/// let config = ServerConfig::default();
/// if let Some(text) = std::env::args().nth(1) {
///     let server = Server::assigned(&config, Assignment::take(&text)?)?;
///     server.serve(engine, async { /* until SIGTERM */ }).await?;
/// } else {
///     let program = std::env::current_exe()?;
///     let run = move |assignment: &str| {
///         let mut command = Command::new(&program);
///         command.arg(assignment);
///         command
///     };
///     Workers::bind(&config, 4)?.run(Arc::new(TracingSink), run)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Workers {
    /// The sockets of each.
    places: Vec<Vec<Listener>>,
    urls: Vec<String>,
    patience: Duration,
    warning: Option<String>,
}

impl Workers {
    /// Opens the sockets that `config` asks for, once for each of `count` workers. Needs no runtime.
    ///
    /// # Errors
    /// As [`Server::bind`](super::Server::bind).
    pub fn bind(config: &ServerConfig, count: u32) -> Result<Self, ServeError> {
        let loaded = config.prepared()?;
        let count = usize::try_from(count).unwrap_or(usize::MAX).max(1);
        let places = listener::open_for(config, count)?;
        let listened = places.iter().take(1).flatten().map(Listener::address);
        Ok(Self {
            urls: listened
                .map(|address: &BoundAddress| address.url(loaded.is_some()))
                .collect(),
            places,
            patience: config.timeout_graceful_shutdown,
            warning: loaded.and_then(|loaded| loaded.warning),
        })
    }

    /// Starts the workers by the commands that `program` makes of their assignments, and keeps them until
    /// SIGTERM or SIGINT. True when all of them finished what ran.
    ///
    /// # Errors
    /// [`ServeError::Worker`] when one does not come to serve, [`ServeError::Start`] when the signals
    /// cannot be watched.
    pub fn run(
        self,
        sink: Arc<dyn Sink>,
        program: impl Fn(&str) -> Command + Send + Sync + 'static,
    ) -> Result<bool, ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ServeError::Start)?;
        runtime.block_on(self.supervise(Arc::new(Log(sink)), Arc::new(program)))
    }

    async fn supervise(self, log: Arc<Log>, program: Arc<Program>) -> Result<bool, ServeError> {
        let stopper = Stopper::new();
        let signals = tokio::spawn(Signals::watch()?.obey(stopper.clone()));
        if let Some(warning) = self.warning {
            log.write(Level::Warning, "certificate", warning);
        }
        let count = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut places = (1..).zip(self.places).map(|(number, listeners)| Place {
            number,
            count,
            listeners,
            program: Arc::clone(&program),
            patience: self.patience,
            stopper: stopper.clone(),
            tell: tell.clone(),
            log: Arc::clone(&log),
        });
        let mut kept = JoinSet::new();
        let mut outcome = Ok(());
        for together in [1, count.saturating_sub(1)] {
            let mut starting = 0;
            for place in places
                .by_ref()
                .take(usize::try_from(together).unwrap_or(usize::MAX))
            {
                kept.spawn(place.keep());
                starting += 1;
            }
            outcome = all_serve(starting, &mut told, &stopper).await;
            if outcome.is_err() || stopper.stage() > Stage::Serving {
                break;
            }
        }
        if outcome.is_ok() && stopper.stage() == Stage::Serving {
            for url in &self.urls {
                let message = format!("listening on {url} with {count} workers");
                log.write(Level::Info, "listening", message);
            }
            // Nobody says any more that he serves: the next that is heard is that one never will.
            outcome = all_serve(1, &mut told, &stopper).await;
        }
        // Those that were never started let go of their sockets.
        drop(places);
        stopper.stop();
        let mut in_time = true;
        while let Some(ended) = kept.join_next().await {
            in_time &= ended.unwrap_or(false);
        }
        signals.abort();
        outcome.map(|()| in_time)
    }
}

/// What the keeper of a place says.
enum Said {
    /// Its worker serves, for the first time.
    Serves,
    /// No worker will.
    Failed(ServeError),
}

/// Waits until so many serve, one fails, or the server is asked to stop.
async fn all_serve(
    count: u32,
    told: &mut mpsc::UnboundedReceiver<Said>,
    stopper: &Stopper,
) -> Result<(), ServeError> {
    for _ in 0..count {
        tokio::select! {
            biased;
            () = stopper.reached(Stage::Stopping) => return Ok(()),
            said = told.recv() => if let Some(Said::Failed(error)) = said {
                return Err(error);
            },
        }
    }
    Ok(())
}

/// The place of one worker after another.
struct Place {
    number: u32,
    count: u32,
    listeners: Vec<Listener>,
    program: Arc<Program>,
    patience: Duration,
    stopper: Stopper,
    tell: mpsc::UnboundedSender<Said>,
    log: Arc<Log>,
}

/// How a worker's time was over.
enum Over {
    /// It was asked to stop; true where it finished what ran.
    Stopped(bool),
    /// It ended by itself, and served for so long.
    Ended {
        served: Option<Duration>,
        how: String,
        status: Option<i32>,
    },
}

impl Place {
    /// Keeps a worker here until the server stops; true where the last finished what ran.
    async fn keep(mut self) -> bool {
        let mut restarts = Restarts::default();
        let mut is_first = true;
        loop {
            let (served, how, status) = match self.one(is_first).await {
                Over::Stopped(in_time) => return in_time,
                Over::Ended {
                    served,
                    how,
                    status,
                } => (served, how, status),
            };
            is_first &= served.is_none();
            let next = if is_first {
                Next::GiveUp
            } else {
                restarts.after(served)
            };
            let Next::After(pause) = next else {
                let failed = ServeError::Worker {
                    number: self.number,
                    how,
                    status,
                };
                // Nobody listens any more where another failed before.
                let _ = self.tell.send(Said::Failed(failed));
                return false;
            };
            self.say_gone(&how, status, pause);
            tokio::select! {
                biased;
                () = self.stopper.reached(Stage::Stopping) => return true,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One worker from its start to its end.
    async fn one(&mut self, is_first: bool) -> Over {
        let started = Child::start(
            (self.number, self.count),
            &self.listeners,
            self.program.as_ref(),
        );
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                return Over::Ended {
                    served: None,
                    how: format!("could not be started ({error})"),
                    status: None,
                };
            }
        };
        let mut began = None;
        let status = loop {
            tokio::select! {
                biased;
                () = self.stopper.reached(Stage::Stopping) => {
                    // From here on connecting is refused.
                    self.listeners.clear();
                    return Over::Stopped(self.end(child, began.is_some()).await);
                }
                change = child.changed() => match change {
                    Change::Serves => {
                        began = Some(instant());
                        self.say_serves(is_first, child.id());
                    }
                    Change::Ended(status) => break status,
                },
            }
        };
        Over::Ended {
            served: began.map(|began| instant().saturating_duration_since(began)),
            how: how(status),
            status: status.and_then(|status| status.code()),
        }
    }

    /// Waits for the end of a worker that is asked to stop.
    async fn end(&self, mut child: Child, served: bool) -> bool {
        child.stop();
        let first = self.patience.saturating_add(ENDING);
        let cutting = self.stopper.reached(Stage::Cutting);
        let mut status = ended_within(&mut child, first, cutting).await;
        if status.is_none() && self.stopper.stage() == Stage::Cutting {
            child.cut();
            status = ended_within(&mut child, ENDING, std::future::pending()).await;
        }
        if let Some(succeeded) = status {
            // One that did not serve yet is ended by the signal, and nothing is lost.
            return succeeded || !served;
        }
        let message = format!(
            "worker {} (process {}) does not end and is killed",
            self.number,
            child.id()
        );
        self.log.write(Level::Error, "worker_killed", message);
        child.kill();
        child.ended().await;
        false
    }

    fn say_serves(&self, is_first: bool, id: u32) {
        let message = format!("worker {} (process {id}) serves", self.number);
        self.log.write(Level::Info, "worker_serves", message);
        if is_first {
            let _ = self.tell.send(Said::Serves);
        }
    }

    fn say_gone(&self, how: &str, status: Option<i32>, pause: Duration) {
        let level = if status == Some(0) {
            Level::Info
        } else {
            Level::Error
        };
        let when = if pause.is_zero() {
            String::new()
        } else {
            format!(" in {pause:?}")
        };
        let message = format!("worker {} {how}; another follows{when}", self.number);
        self.log.write(level, "worker_gone", message);
    }
}

/// Whether it succeeded, where it ends within `time` and before `sooner`.
async fn ended_within(
    child: &mut Child,
    time: Duration,
    sooner: impl Future<Output = ()>,
) -> Option<bool> {
    tokio::select! {
        biased;
        status = child.ended() => Some(status.is_some_and(|status| status.success())),
        () = sooner => None,
        () = tokio::time::sleep(time) => None,
    }
}
