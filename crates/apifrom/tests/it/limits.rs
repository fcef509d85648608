//! Every bound of a connection: just within it, and just beyond it.

use std::io::Read;
use std::time::{Duration, Instant};

use super::server::{ask, h2_request, http2, narrow_answer, take_slowly};
use super::support::{Client, SOON, Served, eventually, statuses};

const SHORT: Duration = Duration::from_millis(200);

/// How long it takes until the server closes `client`.
fn time_until_closed(client: &mut Client<std::net::TcpStream>) -> Duration {
    let start = Instant::now();
    client.rest();
    start.elapsed()
}

/// True when a new connection is closed before it is served.
fn is_closed_at_once(served: &Served) -> bool {
    served
        .exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .is_empty()
}

#[test]
fn a_client_holds_as_many_connections_as_it_may_and_no_more() {
    let served = Served::with(|config| config.limit_connections_per_client = 2);
    let mut held = [served.connect(), served.connect()];
    for client in &mut held {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(is_closed_at_once(&served));
    assert!(is_closed_at_once(&served));
    let reports = served.records.of("connections_refused");
    assert_eq!(reports.len(), 1, "a burst is one line: {reports:?}");
    assert!(reports[0].contains("limit_connections_per_client"));
    let [first, second] = held;
    drop(first);
    eventually("a free place", || !is_closed_at_once(&served));
    drop(second);
}

#[test]
fn a_listed_proxy_is_exempt_from_the_bound_of_one_client() {
    let trusting = |api: apifrom::Api| {
        api.configure(|config| config.trusted_proxies = vec!["127.0.0.1".into()])
    };
    let served = Served::api(trusting, |config| config.limit_connections_per_client = 1);
    let mut held: Vec<_> = (0..5).map(|_| served.connect()).collect();
    for client in &mut held {
        assert_eq!(client.get("/").status, 200);
    }
}

#[test]
fn beyond_the_bound_of_all_connections_new_ones_are_closed() {
    let trusting = |api: apifrom::Api| {
        api.configure(|config| config.trusted_proxies = vec!["127.0.0.1".into()])
    };
    let served = Served::api(trusting, |config| config.limit_connections = 3);
    let mut held: Vec<_> = (0..3).map(|_| served.connect()).collect();
    for client in &mut held {
        assert_eq!(client.get("/").status, 200);
    }
    assert!(is_closed_at_once(&served));
    drop(held);
    eventually("a free place", || !is_closed_at_once(&served));
}

#[test]
fn a_head_that_takes_too_long_ends_its_connection_however_it_trickles() {
    let served = Served::with(|config| config.timeout_head = SHORT);
    let mut client = served.connect();
    let start = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let closed = loop {
        assert!(start.elapsed() < SOON, "still open");
        let _ = std::io::Write::write_all(&mut client.stream, b"X-A: a\r\n");
        match client.stream.read(&mut [0; 64]) {
            Ok(0) => break start.elapsed(),
            Ok(_) => panic!("answered"),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                break start.elapsed();
            }
            Err(_) => {}
        }
    };
    assert!(closed >= SHORT && closed < SHORT * 5, "{closed:?}");
    assert_eq!(served.counts.handled(), 0);
}

#[test]
fn a_connection_that_says_nothing_has_the_time_of_a_head() {
    let served = Served::with(|config| config.timeout_head = SHORT);
    let closed = time_until_closed(&mut served.connect());
    assert!(closed >= SHORT / 2 && closed < SHORT * 5, "{closed:?}");
}

#[test]
fn the_next_head_on_a_kept_connection_has_its_time_as_well() {
    let served = Served::with(|config| config.timeout_head = SHORT);
    let mut client = served.connect();
    assert_eq!(client.get("/").status, 200);
    // Idle for longer than a head may take: nothing happens to a connection that is only kept.
    std::thread::sleep(SHORT * 3);
    assert_eq!(client.get("/").status, 200);
    std::thread::sleep(SHORT * 3);
    client.send("GET / HTT");
    let closed = time_until_closed(&mut client);
    assert!(closed >= SHORT / 2 && closed < SHORT * 5, "{closed:?}");
}

#[test]
fn an_idle_connection_is_kept_for_its_time_from_the_last_answer_on() {
    let keep_alive = Duration::from_millis(400);
    let served = Served::with(|config| config.timeout_keep_alive = keep_alive);
    let mut client = served.connect();
    for _ in 0..4 {
        assert_eq!(client.get("/").status, 200);
        std::thread::sleep(keep_alive * 2 / 3);
    }
    assert_eq!(client.get("/sleep/600").status, 200);
    let closed = time_until_closed(&mut client);
    assert!(
        closed >= keep_alive * 3 / 4 && closed < keep_alive * 4,
        "{closed:?}"
    );
}

#[test]
fn a_body_that_takes_too_long_is_408() {
    let served = Served::with(|config| config.timeout_body = SHORT);
    let mut client = served.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    for _ in 0..3 {
        std::thread::sleep(SHORT / 4);
        client.send("a");
    }
    let answer = client.rest();
    assert_eq!(statuses(&answer), [408], "{answer}");
    assert!(answer.contains("body_too_slow"), "{answer}");
}

#[test]
fn a_body_within_its_time_is_read() {
    let served = Served::with(|config| config.timeout_body = SHORT * 3);
    let mut client = served.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
    std::thread::sleep(SHORT);
    client.send("hi");
    assert_eq!(client.answer().body, "hi");
}

#[test]
fn a_body_that_is_too_large_is_413_and_the_answer_arrives() {
    let served = Served::with(|_| {});
    let mut client = served.connect();
    let size = 4 << 20;
    client.send(format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
    ));
    // The client sends on regardless, and still gets to see why it was refused.
    let _ = std::io::Write::write_all(&mut client.stream, &vec![b'a'; size]);
    let answer = client.rest();
    assert_eq!(statuses(&answer), [413], "{answer}");
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_before_any_of_it_came() {
    let served = Served::with(|_| {});
    for size in [1 << 20, (1 << 20) + 1] {
        let mut client = served.connect();
        client.send(format!(
            "POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        ));
        let allowed = size == 1 << 20;
        assert_eq!(client.answer().status, if allowed { 200 } else { 413 });
        // The handler that was called is the one that reads nothing at all.
        assert_eq!(served.counts.handled(), 1);
    }
}

#[test]
fn a_body_that_nobody_reads_does_not_become_a_request() {
    let served = Served::with(|_| {});
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = served.exchange(format!(
        "POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{smuggled}",
        smuggled.len()
    ));
    assert_eq!(statuses(&answer), [200], "{answer}");
    assert_eq!(served.counts.handled(), 1);
}

fn get_with(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")
}

fn fields(count: usize) -> String {
    (0..count).fold(String::new(), |fields, index| {
        fields + &format!("X-{index}: a\r\n")
    })
}

#[test]
fn as_many_header_fields_as_allowed_pass() {
    // The two that every request here has count as well.
    let served = Served::with(|_| {});
    assert_eq!(statuses(&served.exchange(get_with(&fields(98)))), [200]);
    assert_eq!(statuses(&served.exchange(get_with(&fields(99)))), [431]);
    let few = Served::with(|config| config.max_header_fields = 10);
    assert_eq!(statuses(&few.exchange(get_with(&fields(8)))), [200]);
    let answer = few.exchange(get_with(&fields(9)));
    assert_eq!(statuses(&answer), [431]);
    assert!(answer.contains("too_many_header_fields"), "{answer}");
    let many = Served::with(|config| config.max_header_fields = 300);
    assert_eq!(statuses(&many.exchange(get_with(&fields(298)))), [200]);
    assert_eq!(statuses(&many.exchange(get_with(&fields(299)))), [431]);
}

#[test]
fn a_head_as_large_as_allowed_passes_and_one_byte_more_does_not() {
    for most in [2 << 10, 64 << 10, 100 << 10] {
        let served = Served::with(|config| config.max_head_size = most);
        let around = get_with("X-A: \r\n").len();
        let filled = |size: usize| get_with(&format!("X-A: {}\r\n", "a".repeat(size - around)));
        assert_eq!(filled(most).len(), most);
        assert_eq!(statuses(&served.exchange(filled(most))), [200], "{most}");
        assert_eq!(
            statuses(&served.exchange(filled(most + 1))),
            [431],
            "{most}"
        );
    }
}

#[test]
fn a_target_that_is_too_long_is_414() {
    let served = Served::with(|_| {});
    let asks = |length: usize| {
        let target = format!("/{}", "a".repeat(length - 1));
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        statuses(&served.exchange(request))
    };
    assert_eq!(asks(8 << 10), [404]);
    assert_eq!(asks((8 << 10) + 1), [414]);
}

#[test]
fn a_client_that_stops_reading_is_let_go() {
    let served = Served::with(|config| config.timeout_write = SHORT);
    let mut client = served.connect();
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the stall", || {
        !served.records.of("connection_timed_out").is_empty()
    });
    let made = served.counts.pieces();
    std::thread::sleep(SHORT);
    assert_eq!(served.counts.pieces(), made);
}

#[test]
fn a_client_that_reads_slowly_keeps_its_answer() {
    let served = Served::with(|config| config.timeout_write = SHORT);
    let mut client = served.connect();
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut scrap = vec![0; 1 << 20];
    for _ in 0..12 {
        std::thread::sleep(SHORT / 2);
        client.stream.read_exact(&mut scrap).unwrap();
    }
    assert!(served.records.of("connection_timed_out").is_empty());
}

async fn http2_to(served: &Served) -> h2::client::SendRequest<bytes::Bytes> {
    let stream = tokio::net::TcpStream::connect(served.address()).await;
    http2(stream.unwrap()).await
}

/// The fields of a request, none of them compressed.
fn head_of(method: &str, path: &str) -> Vec<u8> {
    let fields = [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a"),
    ];
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let fields = fields.map(|(name, value)| [&[0][..], &text(name), &text(value)].concat());
    fields.concat()
}

/// An HTTP/2 client that writes frames by hand.
fn framed(served: &Served) -> Client<std::net::TcpStream> {
    let mut client = served.connect();
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(frame(4, 0, 0, &[]));
    client.send(frame(4, 1, 0, &[]));
    client
}

/// Sends `bytes` one after the other and reads what comes, until the server closes. How long it took.
fn trickled(
    client: &mut Client<std::net::TcpStream>,
    bytes: impl IntoIterator<Item = u8>,
) -> Duration {
    let start = Instant::now();
    let pause = Some(Duration::from_millis(20));
    client.stream.set_read_timeout(pause).unwrap();
    let mut bytes = bytes.into_iter();
    loop {
        assert!(start.elapsed() < SOON, "still open");
        if let Some(byte) = bytes.next() {
            let _ = std::io::Write::write_all(&mut client.stream, &[byte]);
        }
        match client.stream.read(&mut [0; 4096]) {
            Ok(0) => return start.elapsed(),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                return start.elapsed();
            }
            _ => {}
        }
    }
}

#[test]
fn what_an_http_2_client_begins_and_does_not_finish_ends_its_connection() {
    let served = Served::with(|config| config.timeout_head = SHORT * 2);
    let head = head_of("GET", "/");
    let cut = frame(1, 5, 1, &head);
    let start = Instant::now();
    let clients = [
        &[0, 0][..],
        &frame(6, 0, 0, b"ping____")[..12],
        &cut[..cut.len() - 1],
        &frame(1, 1, 1, &head),
        &[frame(1, 1, 1, &head), frame(9, 0, 1, &[])].concat(),
    ]
    .map(|begun| {
        let mut client = framed(&served);
        client.send(begun);
        client
    });
    for mut client in clients {
        trickled(&mut client, []);
        assert!(start.elapsed() >= SHORT, "{:?}", start.elapsed());
    }
    assert_eq!(served.counts.handled(), 0);
    assert_eq!(served.records.of("connection_timed_out").len(), 5);
}

#[test]
fn an_http_2_head_that_trickles_is_cut_even_beside_a_stream_that_runs() {
    let served = Served::with(|config| config.timeout_head = SHORT * 2);
    for beside in [false, true] {
        let mut client = framed(&served);
        if beside {
            client.send(frame(1, 5, 1, &head_of("GET", "/sleep/60000")));
            eventually("the request", || served.counts.handled() == 1);
        }
        let endless = frame(1, 4, 3, &[b'x'; 1000]);
        let closed = trickled(&mut client, endless);
        assert!(closed >= SHORT / 2, "{closed:?}");
    }
}

#[test]
fn an_http_2_client_whose_frames_are_whole_idles_for_longer_than_a_head_may_take() {
    let served = Served::with(|config| config.timeout_head = SHORT * 2);
    let mut client = framed(&served);
    for _ in 0..8 {
        client.send(frame(6, 0, 0, b"ping____"));
        client.send(frame(8, 0, 0, &[0, 0, 0, 1]));
        client.send(frame(4, 0, 0, &[]));
        std::thread::sleep(SHORT / 2);
    }
    client.send(frame(1, 4, 1, &head_of("POST", "/echo")));
    // Half a frame of a body has the body's time.
    let body = frame(0, 1, 1, b"hello");
    client.send(&body[..11]);
    std::thread::sleep(SHORT * 3);
    client.send(&body[11..]);
    client.stream.set_read_timeout(Some(SOON)).unwrap();
    let mut read = Vec::new();
    while !read.windows(5).any(|at| at == b"hello") {
        let mut chunk = [0; 4096];
        let count = client.stream.read(&mut chunk).unwrap();
        assert!(count > 0, "closed after {read:?}");
        read.extend_from_slice(&chunk[..count]);
    }
}

#[test]
fn frames_that_trickle_do_not_make_an_http_2_connection_less_idle() {
    let keep_alive = SHORT * 3;
    let served = Served::with(|config| config.timeout_keep_alive = keep_alive);
    let mut client = framed(&served);
    let pings = frame(6, 0, 0, b"ping____").into_iter().cycle();
    let closed = trickled(&mut client, pings);
    assert!(closed >= keep_alive / 2, "{closed:?}");
    assert!(served.records.of("connection_timed_out").is_empty());
}

#[tokio::test]
async fn an_http_2_stream_that_nobody_takes_is_reset_and_the_others_live() {
    let served = Served::with(|config| config.timeout_write = SHORT);
    let mut client = http2_to(&served).await;
    let (response, _) = client
        .send_request(h2_request("GET", "/stream"), true)
        .unwrap();
    // No capacity is ever released, so the window closes after 64 KiB.
    let mut stalled = response.await.unwrap().into_body();
    let mut read = 0;
    let error = loop {
        match tokio::time::timeout(SOON, stalled.data()).await.unwrap() {
            Some(Ok(chunk)) => read += chunk.len(),
            Some(Err(error)) => break error,
            None => panic!("the stream ended in peace"),
        }
    };
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
    assert!(read < 128 << 10, "{read}");
    // What was never released is missing from the connection's window, but heads need none.
    let (status, _) = ask(&mut client, h2_request("HEAD", "/"), None)
        .await
        .unwrap();
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_large_answer_over_http_2_is_not_held_for_a_client_that_stalls() {
    let served = Served::with(|config| config.timeout_write = SHORT);
    let mut client = http2_to(&served).await;
    let (response, _) = client
        .send_request(h2_request("GET", "/big"), true)
        .unwrap();
    let mut stalled = response.await.unwrap().into_body();
    let mut read = 0;
    loop {
        match tokio::time::timeout(SOON, stalled.data()).await.unwrap() {
            Some(Ok(chunk)) => read += chunk.len(),
            Some(Err(_)) => break,
            None => panic!("{read} bytes passed through a window of 64 KiB"),
        }
    }
}

#[tokio::test]
async fn an_http_2_connection_is_not_idle_while_its_answer_is_taken() {
    let served = Served::with(|config| config.timeout_keep_alive = SHORT * 3);
    let (mut body, connection, _) = narrow_answer(&served).await;
    // Far longer than a connection may idle and then linger.
    assert_eq!(take_slowly(&mut body, SHORT).await, 60_000);
    let ended = tokio::time::timeout(SOON, connection).await;
    assert!(ended.is_ok(), "idle now, and kept");
}

#[tokio::test]
async fn an_http_2_client_that_takes_nothing_of_a_small_answer_is_let_go() {
    let served = Served::with(|config| config.timeout_write = SHORT);
    let (_body, _, mut pings) = narrow_answer(&served).await;
    // Other frames than those of the answer do not count.
    let pinging = async {
        while pings.ping(h2::Ping::opaque()).await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    let let_go = tokio::time::timeout(SOON, pinging).await;
    assert!(let_go.is_ok(), "still open");
    assert_eq!(served.records.of("connection_timed_out").len(), 1);
}

#[tokio::test]
async fn an_http_2_client_that_takes_an_answer_slowly_keeps_it() {
    let served = Served::with(|config| config.timeout_write = SHORT * 10);
    let (mut body, _connection, _) = narrow_answer(&served).await;
    assert_eq!(take_slowly(&mut body, SHORT).await, 60_000);
    assert!(served.records.of("connection_timed_out").is_empty());
}

#[tokio::test]
async fn an_idle_http_2_connection_is_ended_with_goaway() {
    let keep_alive = Duration::from_millis(300);
    let served = Served::with(|config| config.timeout_keep_alive = keep_alive);
    let stream = tokio::net::TcpStream::connect(served.address())
        .await
        .unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    assert_eq!(
        ask(&mut client, h2_request("GET", "/sleep/700"), None)
            .await
            .unwrap()
            .0,
        200,
        "a stream that runs keeps its connection"
    );
    let start = Instant::now();
    let ended = tokio::time::timeout(SOON, connection)
        .await
        .unwrap()
        .unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    assert!(start.elapsed() >= keep_alive / 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn http_2_headers_are_bounded_like_others() {
    let served = Served::with(|config| config.max_header_fields = 10);
    let mut client = http2_to(&served).await;
    let mut request = h2_request("GET", "/");
    for index in 0..10 {
        let name = format!("x-{index}").parse::<http::HeaderName>().unwrap();
        request.headers_mut().insert(name, "a".parse().unwrap());
    }
    let (status, _) = ask(&mut client, request.clone(), None).await.unwrap();
    assert_eq!(status, 200);
    request.headers_mut().insert("x-more", "a".parse().unwrap());
    let (status, body) = ask(&mut client, request, None).await.unwrap();
    assert_eq!(status, 431);
    assert!(
        String::from_utf8(body)
            .unwrap()
            .contains("too_many_header_fields")
    );

    let mut request = h2_request("GET", "/");
    let large = "a".repeat(65 << 10).parse().unwrap();
    request.headers_mut().insert("x-large", large);
    let refused = ask(&mut client, request, None).await;
    assert!(refused.is_err() || refused.unwrap().0 == 431);
    assert_eq!(served.counts.handled(), 1);
}

/// An HTTP/2 frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

#[test]
fn a_flood_of_resets_ends_the_connection_and_disturbs_nobody() {
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const GOAWAY: u8 = 7;
    const ENHANCE_YOUR_CALM: u32 = 11;
    let served = Served::with(|_| {});
    let mut client = served.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.send(frame(4, 0, 0, &[]));
    // GET /sleep/60000 of http://a, in indexed and literal fields.
    let mut head = vec![0x82, 0x86, 0x41, 1, b'a', 0x44, 12];
    head.extend_from_slice(b"/sleep/60000");
    let mut flood = Vec::new();
    for stream in (1..).step_by(2).take(20_000) {
        flood.extend(frame(HEADERS, 5, stream, &head));
        flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    let _ = std::io::Write::write_all(&mut client.stream, &flood);
    let mut received = Vec::new();
    while let Ok(read @ 1..) = client.stream.read_to_end(&mut received) {
        assert!(read > 0);
    }
    let goaway = received
        .windows(17)
        .any(|frame| frame[3] == GOAWAY && frame[13..] == ENHANCE_YOUR_CALM.to_be_bytes());
    assert!(goaway, "{received:?}");
    eventually("the end of all handlers", || {
        served.counts.cancelled() == served.counts.handled()
    });
    assert_eq!(served.connect().get("/").status, 200);
}
