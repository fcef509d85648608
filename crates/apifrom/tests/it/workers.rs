//! The supervisor of several processes, whose workers are scripts here.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use apifrom::server::{Assignment, Workers};
use apifrom::{ServeError, ServerConfig, TracingSink};

/// Says that it serves, on the descriptor that its assignment names.
const SERVES: &str = "rest=${1#*:}; printf s >&${rest%%:*};";

fn workers(count: u32) -> Workers {
    let mut config = ServerConfig::default();
    config.port = 0;
    Workers::bind(&config, count).unwrap()
}

/// Runs `count` workers by the scripts that `script` makes from how many were started before, and from
/// the assignment; returns how it ended and how many were started in all.
fn run(
    count: u32,
    script: impl Fn(u32, &str) -> String + Send + Sync + 'static,
) -> (Result<bool, ServeError>, u32) {
    let started = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&started);
    let ended = workers(count).run(Arc::new(TracingSink), move |assignment| {
        let before = counted.fetch_add(1, Ordering::SeqCst);
        let mut command = Command::new("bash");
        command.args(["-c", &script(before, assignment), "worker", assignment]);
        command
    });
    (ended, started.load(Ordering::SeqCst))
}

#[test]
fn the_first_that_does_not_come_to_serve_ends_the_start() {
    let (ended, started) = run(3, |_, _| "exit 7".into());
    let error = ended.unwrap_err();
    assert_eq!(
        error.to_string(),
        "worker 1 ended with status 7 before it served"
    );
    assert!(matches!(
        error,
        ServeError::Worker {
            number: 1,
            status: Some(7),
            ..
        }
    ));
    assert_eq!(started, 1);

    let (ended, _) = run(2, |_, _| "kill -9 $$".into());
    let error = ended.unwrap_err();
    assert_eq!(
        error.to_string(),
        "worker 1 was killed by signal 9 before it served"
    );

    let missing = workers(2).run(Arc::new(TracingSink), |_| Command::new("/nowhere/at-all"));
    let error = missing.unwrap_err().to_string();
    assert!(
        error.starts_with("worker 1 could not be started ("),
        "{error}"
    );
}

#[test]
fn one_that_fails_beside_others_that_serve_ends_all_of_them() {
    let began = Instant::now();
    let (ended, started) = run(2, |before, _| match before {
        0 => format!("{SERVES} trap 'exit 0' TERM; while :; do sleep 0.02; done"),
        _ => "exit 3".into(),
    });
    assert!(matches!(
        ended.unwrap_err(),
        ServeError::Worker {
            number: 2,
            status: Some(3),
            ..
        }
    ));
    assert_eq!(started, 2);
    // Stopped, and not waited for until it would be killed.
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[test]
fn those_that_follow_one_that_served_have_five_tries() {
    let began = Instant::now();
    let (ended, started) = run(1, |before, _| match before {
        0 => format!("{SERVES} exit 0"),
        3 => format!("{SERVES} exit 1"),
        _ => "exit 1".into(),
    });
    assert!(matches!(
        ended.unwrap_err(),
        ServeError::Worker {
            number: 1,
            status: Some(1),
            ..
        }
    ));
    // Two that failed, one that served, and five that failed.
    assert_eq!(started, 1 + 2 + 1 + 5);
    assert!(began.elapsed() >= Duration::from_millis(4_500));
}

#[test]
fn each_is_assigned_sockets_of_its_own_and_no_other_process_takes_them() {
    let (ended, _) = run(1, |_, assignment| {
        let (place, descriptors) = assignment.split_once(':').unwrap();
        assert_eq!(place, "1/1");
        // Both are open in the new process, and nothing else above the standard ones and the script's.
        let all = descriptors.replace([':', ','], " ");
        format!("for fd in {all}; do [ -S /proc/self/fd/$fd ] || exit 8; done; exit 9")
    });
    assert!(matches!(
        ended.unwrap_err(),
        ServeError::Worker {
            status: Some(9),
            ..
        }
    ));
    // Here they are closed, or something else.
    assert!(Assignment::take("1/1:900:901").is_err());
}
