//! How a server ends, and what becomes of what runs on it.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use apifrom::server::Server;
use apifrom::{Api, EndpointSpec, Reply, Request, ServerConfig};

use super::limits::frame;
use super::server::{h2_request, http2, narrow_answer, take_slowly};
use super::support::{Client, SOON, Served, eventually};

#[test]
fn a_running_request_is_finished_and_its_connection_closed() {
    let served = Served::with(|_| {});
    let mut busy = served.connect();
    busy.send("GET /sleep/1500 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the handler", || served.counts.handled() == 1);
    let mut idle = served.connect();
    assert_eq!(idle.get("/").status, 200);
    let address = served.address();
    let start = Instant::now();
    served.stopper.stop();
    assert_eq!(idle.rest(), "");
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "idle is closed at once"
    );
    eventually("the closed port", || {
        std::net::TcpStream::connect(address).is_err()
    });
    let answer = busy.answer();
    assert_eq!(answer.body, "slept");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(busy.rest(), "");
    drop(busy);
    let ended = served.stop();
    assert!(ended.in_time());
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let served = Served::with(|_| {});
    let mut idle: Vec<_> = (0..20).map(|_| served.connect()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/").status, 200);
    }
    let silent = served.connect();
    let start = Instant::now();
    assert!(served.stop().in_time());
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    drop((idle, silent));
}

#[test]
fn a_client_that_has_just_connected_is_still_answered() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    std::thread::sleep(Duration::from_millis(50));
    served.stopper.stop();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(client.get("/").status, 200);
    assert_eq!(client.rest(), "");
    assert!(served.stop().in_time());
}

#[test]
fn what_does_not_finish_in_time_is_cut() {
    let served = Served::with(|config| {
        config.timeout_graceful_shutdown = Duration::from_millis(200);
    });
    let mut client = served.connect();
    client.send("GET /sleep/60000 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the handler", || served.counts.handled() == 1);
    let counts = std::sync::Arc::clone(&served.counts);
    let start = Instant::now();
    let ended = served.stop();
    assert_eq!(ended.cut, 1);
    assert!(!ended.in_time());
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(counts.cancelled(), 1);
    assert_eq!(client.rest(), "");
}

#[test]
fn asked_a_second_time_the_server_waits_no_longer() {
    let mut served = Served::with(|_| {});
    let mut client = served.connect();
    client.send("GET /sleep/60000 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the handler", || served.counts.handled() == 1);
    served.stopper.stop();
    std::thread::sleep(Duration::from_millis(50));
    served.stopper.cut();
    assert_eq!(served.joined().unwrap().cut, 1);
    assert_eq!(served.records.of("connections_cut").len(), 1);
}

#[test]
fn stopped_more_than_once_the_server_still_cuts() {
    let asked = Arc::new(AtomicBool::new(false));
    let asking = Arc::clone(&asked);
    let handler = Arc::new(move |_: Request| {
        asking.store(true, Ordering::SeqCst);
        Reply::wait(std::future::pending())
    });
    let never = EndpointSpec::new("never", "/", ["GET"], move |_| Some(handler));
    let engine = Api::new().endpoints([never]).build().unwrap();
    let mut config = ServerConfig::default();
    config.port = 0;
    let server = Server::bind(&config).unwrap();
    let address = server.local_address().unwrap();
    let stopper = server.stopper();
    // It outlives the server, and what was not cut with it.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let serving = runtime.spawn(server.serve(engine, std::future::pending()));
    let mut client = Client::tcp(address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the handler", || asked.load(Ordering::SeqCst));
    for _ in 0..2 {
        stopper.stop();
        std::thread::sleep(Duration::from_millis(100));
    }
    stopper.cut();
    assert_eq!(runtime.block_on(serving).unwrap().unwrap().cut, 1);
    assert_eq!(client.rest(), "");
}

#[test]
fn a_half_sent_head_does_not_hold_up_the_end() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    assert_eq!(client.get("/").status, 200);
    client.send("GET / HT");
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    served.stop();
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn http_2_clients_are_told_and_their_streams_finished() {
    let served = Served::with(|_| {});
    let stream = tokio::net::TcpStream::connect(served.address())
        .await
        .unwrap();
    let mut client = http2(stream).await;
    let (slow, _) = client
        .send_request(h2_request("GET", "/sleep/400"), true)
        .unwrap();
    while served.counts.handled() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    served.stopper.stop();
    let response = tokio::time::timeout(SOON, slow).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    drop(response);
    // No new stream is opened after GOAWAY.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let more = client.send_request(h2_request("GET", "/"), true);
    assert!(more.is_err() || more.unwrap().0.await.is_err());
    let ended = tokio::task::spawn_blocking(move || served.stop()).await;
    assert!(ended.unwrap().in_time());
}

#[tokio::test]
async fn an_http_2_client_takes_its_answer_to_the_end_however_slowly() {
    let served = Served::with(|_| {});
    let (mut body, _connection, _) = narrow_answer(&served).await;
    served.stopper.stop();
    let taken = take_slowly(&mut body, Duration::from_millis(200)).await;
    assert_eq!(taken, 60_000);
    let ended = tokio::task::spawn_blocking(move || served.stop()).await;
    assert!(ended.unwrap().in_time());
}

#[test]
fn an_idle_http_2_client_that_does_not_listen_does_not_hold_up_the_end() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(frame(4, 0, 0, &[]));
    // GET / of http://a.
    client.send(frame(1, 5, 1, &[0x82, 0x86, 0x41, 1, b'a', 0x84]));
    let mut received = Vec::new();
    while !received.ends_with(b"home") {
        let mut chunk = [0; 1024];
        let read = client.stream.read(&mut chunk).unwrap();
        assert!(read > 0, "{received:?}");
        received.extend_from_slice(&chunk[..read]);
    }
    let start = Instant::now();
    assert!(served.stop().in_time());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_cut_reaches_handlers_in_http_2_streams() {
    let served = Served::with(|config| {
        config.timeout_graceful_shutdown = Duration::from_millis(100);
    });
    let stream = tokio::net::TcpStream::connect(served.address())
        .await
        .unwrap();
    let mut client = http2(stream).await;
    let (slow, _) = client
        .send_request(h2_request("GET", "/sleep/60000"), true)
        .unwrap();
    while served.counts.handled() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let counts = std::sync::Arc::clone(&served.counts);
    let ended = tokio::task::spawn_blocking(move || served.stop()).await;
    assert_eq!(ended.unwrap().cut, 1);
    assert!(slow.await.is_err());
    assert_eq!(counts.cancelled(), 1);
}

/// Runs this test again in a process of its own, in which it serves.
fn serving_process(test: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("APIFROM_TEST_SERVES", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn signal(child: &std::process::Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// The port that the serving process prints.
fn port_of(child: &mut std::process::Child) -> u16 {
    let mut output = String::new();
    let pipe = child.stdout.as_mut().unwrap();
    loop {
        let mut byte = [0];
        assert_eq!(pipe.read(&mut byte).unwrap(), 1, "ended after {output:?}");
        output.push(char::from(byte[0]));
        if let Some((_, port)) = output.split_once("port ")
            && let Some(port) = port.strip_suffix('\n')
        {
            return port.parse().unwrap();
        }
    }
}

#[test]
fn both_signals_end_a_program_that_runs_an_api() {
    if std::env::var_os("APIFROM_TEST_SERVES").is_some() {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        println!("port {port}");
        apifrom::Api::new()
            .run(&format!("127.0.0.1:{port}"))
            .unwrap();
        println!("ended well");
        return;
    }
    for name in ["-TERM", "-INT"] {
        let mut child = serving_process("shutdown::both_signals_end_a_program_that_runs_an_api");
        let port = port_of(&mut child);
        eventually("the open port", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains("ended well"), "{name}: {printed}");
    }
}
