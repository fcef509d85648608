//! Listening, and HTTP as it is spoken when nobody means harm.

use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use apifrom::server::{BoundAddress, Server};
use apifrom::{Api, ServeError, ServerConfig};
use bytes::Bytes;

use super::support::{Client, SOON, Served, eventually, statuses};

#[test]
fn a_connection_serves_one_request_after_another() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/").body, "home");
    }
    assert_eq!(client.get("/nothing").status, 404);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(
        served.records.of("listening"),
        [format!("listening on http://{}", served.address())]
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let served = Served::with(|_| {});
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut client = served.connect();
    client.send(request("/sleep/50") + &request("/") + &request("/nothing") + &request("/peer"));
    assert_eq!(client.answer().body, "slept");
    assert_eq!(client.answer().body, "home");
    assert_eq!(client.answer().status, 404);
    assert_eq!(client.answer().body, "127.0.0.1 http");
}

#[test]
fn a_body_arrives_whole_however_it_is_cut() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello");
    std::thread::sleep(Duration::from_millis(20));
    client.send(" world");
    assert_eq!(client.answer().body, "hello world");
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
    std::thread::sleep(Duration::from_millis(20));
    client.send("llo\r\n6\r\n world\r\n0\r\n\r\n");
    assert_eq!(client.answer().body, "hello world");
}

#[test]
fn a_large_answer_is_written_to_its_end() {
    let served = Served::with(|_| {});
    let answer = served.connect().get("/big");
    assert_eq!(answer.body.len(), 8 << 20);
}

#[test]
fn a_panic_costs_its_request_alone() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    assert_eq!(client.get("/panic").status, 500);
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_panic_while_streaming_costs_its_connection_alone() {
    let served = Served::with(|config| config.limit_connections_per_client = 2);
    let mut other = served.connect();
    assert_eq!(other.get("/").status, 200);
    for _ in 0..5 {
        let torn = served.exchange("GET /torn HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(
            !torn.ends_with("0\r\n\r\n"),
            "the answer must not look whole"
        );
    }
    assert_eq!(other.get("/").status, 200);
    // Their places were given back.
    eventually("a free place", || {
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        statuses(&served.exchange(request)) == [200]
    });
}

#[test]
fn a_client_that_closed_its_sending_half_gets_its_answer() {
    let served = Served::with(|_| {});
    for path in ["/", "/sleep/100"] {
        let mut client = served.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        client.half_close();
        assert_eq!(statuses(&client.rest()), [200], "{path}");
    }
}

#[test]
fn a_handler_whose_client_is_gone_is_cancelled() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    client.send("GET /sleep/60000 HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the handler", || served.counts.handled() == 1);
    drop(client);
    eventually("the end of the handler", || served.counts.cancelled() == 1);
}

#[test]
fn a_stream_ends_with_its_client() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the stream", || served.counts.pieces() > 2);
    drop(client);
    eventually("the end of the stream", || {
        let before = served.counts.pieces();
        std::thread::sleep(Duration::from_millis(100));
        served.counts.pieces() == before
    });
}

#[test]
fn a_stream_runs_no_further_ahead_than_a_buffer() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(300));
    let ahead = served.counts.pieces() * (16 << 10);
    // The system's own buffers hold most of this.
    assert!(
        ahead < 16 << 20,
        "{ahead} bytes were made for a client that reads none"
    );
}

#[test]
fn http_10_is_answered_and_closed() {
    let served = Served::with(|_| {});
    let answer = served.exchange("GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(answer.ends_with("home"), "{answer}");
}

#[test]
fn an_occupied_port_is_named() {
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap();
    let mut config = ServerConfig::default();
    config.port = address.port();
    let error = Server::bind(&config).unwrap_err();
    assert!(matches!(error, ServeError::Listen { .. }));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot listen on {address}: ")),
        "{text}"
    );
    assert!(text.contains("in use"), "{text}");
}

#[test]
fn an_unknown_name_is_named() {
    let mut config = ServerConfig::default();
    config.host = "no.such.host.invalid".into();
    let text = Server::bind(&config).unwrap_err().to_string();
    assert!(
        text.starts_with("cannot listen on no.such.host.invalid:8000: "),
        "{text}"
    );
}

#[test]
fn a_name_stands_for_all_its_addresses_with_one_port() {
    let served = Served::with(|config| config.host = "localhost".into());
    let mut ports = Vec::new();
    for address in &served.addresses {
        let BoundAddress::Tcp(address) = address else {
            panic!("{address:?}")
        };
        assert_eq!(Client::tcp(*address).get("/").status, 200);
        ports.push(address.port());
    }
    ports.dedup();
    assert_eq!(ports.len(), 1);
}

#[test]
fn an_ipv6_address_serves_and_its_mapped_clients_are_ipv4() {
    if TcpListener::bind("[::1]:0").is_err() {
        return; // This machine has no IPv6.
    }
    let served = Served::with(|config| config.host = "::".into());
    let port = served.address().port();
    let mut client = Client::tcp(([127, 0, 0, 1], port).into());
    assert_eq!(client.get("/peer").body, "127.0.0.1 http");
    let mut client = Client::tcp(format!("[::1]:{port}").parse().unwrap());
    assert_eq!(client.get("/peer").body, "::1 http");
}

#[test]
fn a_unix_domain_socket_serves_and_leaves_no_file() {
    let path = std::env::temp_dir().join(format!("apifrom-{}.sock", std::process::id()));
    let text = path.to_str().unwrap().to_owned();
    // The file of a server that is gone is no obstacle.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let served = Served::with(|config| config.uds = Some(text.clone()));
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut client = Client::over(stream);
    assert_eq!(client.get("/peer").body, "unix http");

    // A server that lives is one.
    let mut config = ServerConfig::default();
    config.uds = Some(text.clone());
    let error = Server::bind(&config).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("cannot listen on {text}: ")),
        "{error}"
    );
    drop(client);
    served.stop();
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let path = std::env::temp_dir().join(format!("apifrom-{}.txt", std::process::id()));
    std::fs::write(&path, "precious").unwrap();
    let mut config = ServerConfig::default();
    config.uds = Some(path.to_str().unwrap().into());
    assert!(Server::bind(&config).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn an_inherited_socket_serves() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = Served::with(|config| config.fd = Some(listener.as_raw_fd()));
    // The server owns the descriptor from here on.
    std::mem::forget(listener);
    assert_eq!(Client::tcp(address).get("/").status, 200);
    drop(served);
}

#[test]
fn a_descriptor_that_is_no_listening_socket_is_refused_and_left_open() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let stream = UnixStream::pair().unwrap().0;
    for fd in [file.as_raw_fd(), stream.as_raw_fd()] {
        let mut config = ServerConfig::default();
        config.fd = Some(fd);
        let error = Server::bind(&config).unwrap_err().to_string();
        let expected = format!("cannot listen on descriptor {fd}: ");
        assert!(error.starts_with(&expected), "{error}");
    }
    assert!(file.metadata().is_ok());
}

#[test]
fn options_that_make_no_sense_open_nothing() {
    let mut config = ServerConfig::default();
    config.limit_connections = 0;
    config.timeout_head = Duration::ZERO;
    let error = Server::bind(&config).unwrap_err();
    assert!(matches!(error, ServeError::Config(_)));
    let text = error.to_string();
    assert!(text.contains("\n  limit_connections: "), "{text}");
    assert!(text.contains("\n  timeout_head: "), "{text}");
}

#[test]
fn what_is_wrong_with_api_and_options_is_reported_together() {
    let api = Api::new()
        .configure(|config| config.trusted_hosts = vec!["https://a".into()])
        .serve_with(|config| config.limit_connections = 0);
    let text = api.run("127.0.0.1:0").unwrap_err().to_string();
    assert!(text.starts_with("2 configuration errors\n"), "{text}");
}

#[test]
fn a_runtime_of_many_threads_serves_as_well() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine = Api::new().build().unwrap();
    let mut config = ServerConfig::default();
    config.port = 0;
    let server = Server::bind(&config).unwrap();
    let address = server.local_address().unwrap();
    let stopper = server.stopper();
    let serving = runtime.spawn(server.serve(engine, std::future::pending()));
    assert_eq!(Client::tcp(address).get("/").status, 404);
    stopper.stop();
    assert!(runtime.block_on(serving).unwrap().unwrap().in_time());
}

/// An HTTP/2 client by prior knowledge.
pub(crate) async fn http2(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
) -> h2::client::SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Sends a request and returns status and body.
pub(crate) async fn ask(
    client: &mut h2::client::SendRequest<Bytes>,
    request: http::Request<()>,
    body: Option<&'static [u8]>,
) -> Result<(u16, Vec<u8>), h2::Error> {
    let (response, mut sending) = client.send_request(request, body.is_none())?;
    if let Some(body) = body {
        sending.send_data(Bytes::from_static(body), true)?;
    }
    let response = response.await?;
    let status = response.status().as_u16();
    let mut receiving = response.into_body();
    let mut whole = Vec::new();
    while let Some(chunk) = receiving.data().await {
        let chunk = chunk?;
        receiving.flow_control().release_capacity(chunk.len())?;
        whole.extend_from_slice(&chunk);
    }
    Ok((status, whole))
}

/// An answer of 60,000 bytes, the connection that it comes over, and pings. The client has room for
/// 4,000 bytes at a time.
pub(crate) async fn narrow_answer(
    served: &Served,
) -> (
    h2::RecvStream,
    tokio::task::JoinHandle<Result<(), h2::Error>>,
    h2::PingPong,
) {
    let stream = tokio::net::TcpStream::connect(served.address())
        .await
        .unwrap();
    let (mut client, mut connection) = h2::client::Builder::new()
        .initial_window_size(4000)
        .handshake::<_, Bytes>(stream)
        .await
        .unwrap();
    let pings = connection.ping_pong().unwrap();
    let connection = tokio::spawn(connection);
    let (response, mut sending) = client
        .send_request(h2_request("POST", "/echo"), false)
        .unwrap();
    sending.send_data(vec![b'x'; 60_000].into(), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    (response.into_body(), connection, pings)
}

/// Takes what is left of an answer, with a pause after each piece, and says how much it was.
pub(crate) async fn take_slowly(body: &mut h2::RecvStream, pause: Duration) -> usize {
    let mut taken = 0;
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap_or_else(|error| panic!("{error} after {taken} bytes"));
        taken += chunk.len();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        tokio::time::sleep(pause).await;
    }
    taken
}

pub(crate) fn h2_request(method: &str, path: &str) -> http::Request<()> {
    http::Request::builder()
        .method(method)
        .uri(format!("http://a{path}"))
        .body(())
        .unwrap()
}

#[tokio::test]
async fn http_2_is_served_to_who_knows_it_in_advance() {
    let served = Served::with(|_| {});
    let stream = tokio::net::TcpStream::connect(served.address())
        .await
        .unwrap();
    let mut client = http2(stream).await;
    let (status, body) = ask(&mut client, h2_request("GET", "/"), None)
        .await
        .unwrap();
    assert_eq!((status, body.as_slice()), (200, &b"home"[..]));
    let echo = h2_request("POST", "/echo");
    let (status, body) = ask(&mut client, echo, Some(b"hello")).await.unwrap();
    assert_eq!((status, body.as_slice()), (200, &b"hello"[..]));
    let big = ask(&mut client, h2_request("GET", "/big"), None);
    let (status, body) = big.await.unwrap();
    assert_eq!((status, body.len()), (200, 8 << 20));
    let (status, _) = ask(&mut client, h2_request("GET", "/panic"), None)
        .await
        .unwrap();
    assert_eq!(status, 500);
}

#[tokio::test]
async fn http_2_streams_do_not_wait_for_each_other() {
    let served = Served::with(|_| {});
    let stream = tokio::net::TcpStream::connect(served.address())
        .await
        .unwrap();
    let mut client = http2(stream).await;
    let start = Instant::now();
    let (slow, _) = client
        .send_request(h2_request("GET", "/sleep/2000"), true)
        .unwrap();
    let (status, _) = ask(&mut client, h2_request("GET", "/"), None)
        .await
        .unwrap();
    assert_eq!(status, 200);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(slow.await.unwrap().status(), 200);
}

#[test]
fn a_preface_that_comes_in_pieces_is_still_http_2() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    for piece in ["P", "RI * HT", "TP/2.0\r\n\r\nSM\r\n", "\r\n"] {
        client.send(piece);
        std::thread::sleep(Duration::from_millis(10));
    }
    // An empty SETTINGS frame, and the server's own comes back.
    client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let mut head = [0; 9];
    std::io::Read::read_exact(&mut client.stream, &mut head).unwrap();
    assert_eq!(head[3], 4, "{head:?}");
}

#[test]
fn what_only_begins_like_http_2_is_http_1() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    client.send("P");
    std::thread::sleep(Duration::from_millis(10));
    client.send("OST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.answer().body, "hi");
    let answer = served.exchange("PRI * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(statuses(&answer).len(), 1, "{answer}");
}

#[test]
fn http_2_is_not_spoken_by_upgrade() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
    );
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (200, "home"));
    assert_eq!(client.get("/").status, 200);
}
