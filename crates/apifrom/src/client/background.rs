//! The thread on which other servers are asked, and questions that several wait for.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::Client;

/// How many jobs may be under way.
const JOBS: usize = 256;

/// The thread of one engine. It ends with it.
pub(crate) struct Background {
    sender: OnceLock<Option<mpsc::UnboundedSender<Job>>>,
    under_way: Arc<AtomicUsize>,
}

type Job = Box<dyn FnOnce(Client) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Too much is under way, or there is no thread to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

impl Background {
    pub(crate) fn new() -> Self {
        Self {
            sender: OnceLock::new(),
            under_way: Arc::default(),
        }
    }

    /// Runs `job` to its end, whoever waits for it.
    pub(crate) fn spawn<F, T>(&self, job: F) -> Result<(), Busy>
    where
        F: FnOnce(Client) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let sender = self.sender.get_or_init(start).as_ref().ok_or(Busy)?;
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= JOBS {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        let counted = Counted(Arc::clone(&self.under_way));
        let job: Job = Box::new(move |client| {
            let running = job(client);
            Box::pin(async move {
                running.await;
                drop(counted);
            })
        });
        sender.send(job).map_err(|_| Busy)
    }
}

/// One of the jobs that are under way.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn start() -> Option<mpsc::UnboundedSender<Job>> {
    let (sender, mut jobs) = mpsc::unbounded_channel::<Job>();
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name("apifrom-client".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let made = runtime.ok().zip(Client::new().ok());
            // Whoever starts it waits for this.
            let _ = ready.send(made.is_some());
            let Some((runtime, client)) = made else {
                return;
            };
            runtime.block_on(async move {
                while let Some(job) = jobs.recv().await {
                    tokio::spawn(job(client.clone()));
                }
            });
        });
    let is_there = thread.is_ok() && started.recv() == Ok(true);
    is_there.then_some(sender)
}

/// Questions that are under way, each asked once however many wait for its answer.
pub(crate) struct Flights<K, V>(Mutex<HashMap<K, Vec<oneshot::Sender<V>>>>);

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Flights<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Vec<oneshot::Sender<V>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the answer to `key`; true for the one who has to ask.
    pub(crate) fn join(&self, key: K) -> (oneshot::Receiver<V>, bool) {
        let (sender, receiver) = oneshot::channel();
        let mut flights = self.lock();
        let waiting = flights.entry(key).or_default();
        let is_first = waiting.is_empty();
        waiting.push(sender);
        (receiver, is_first)
    }

    /// True while somebody asks.
    pub(crate) fn is_open(&self, key: &K) -> bool {
        self.lock().contains_key(key)
    }

    /// Waits for the answer to `key` where somebody asks already.
    pub(crate) fn join_open(&self, key: &K) -> Option<oneshot::Receiver<V>> {
        let mut flights = self.lock();
        let waiting = flights.get_mut(key)?;
        let (sender, receiver) = oneshot::channel();
        waiting.push(sender);
        Some(receiver)
    }

    /// Hands the answer to all who wait for it.
    pub(crate) fn land(&self, key: &K, value: &V) {
        let waiting = self.lock().remove(key).unwrap_or_default();
        for sender in waiting {
            // Whoever waited may have gone.
            let _ = sender.send(value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_and_all_are_answered() {
        let flights = Flights::default();
        let (first, asks) = flights.join(1);
        let (second, asks_too) = flights.join(1);
        let (_, asks_another) = flights.join(2);
        assert_eq!((asks, asks_too, asks_another), (true, false, true));
        let third = flights.join_open(&1).unwrap();
        assert!(flights.join_open(&3).is_none());
        flights.land(&1, &"answer");
        for waiting in [first, second, third] {
            assert_eq!(waiting.blocking_recv(), Ok("answer"));
        }
        assert!(flights.join_open(&1).is_none());
        assert!(flights.join(1).1, "the next one asks anew");
    }

    #[test]
    fn a_bounded_number_of_jobs_is_under_way() {
        let background = Background::new();
        let (go, gone) = tokio::sync::watch::channel(false);
        for _ in 0..JOBS {
            let mut gone = gone.clone();
            let job = |_| async move {
                let _ = gone.wait_for(|gone| *gone).await;
            };
            background.spawn(job).unwrap();
        }
        assert_eq!(background.spawn(|_| async {}), Err(Busy));
        go.send(true).unwrap();
        let began = std::time::Duration::from_millis(5);
        for _ in 0..1000 {
            if background.under_way.load(Ordering::Relaxed) == 0 {
                break;
            }
            thread::sleep(began);
        }
        assert_eq!(background.spawn(|_| async {}), Ok(()));
    }
}
