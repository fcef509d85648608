//! What the HTTP parser forgives, over real sockets.

use std::time::Duration;

use super::support::{Served, statuses};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(fields: &str, body: &str) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
}

#[test]
fn ambiguous_framing_is_refused_with_a_whole_answer_and_a_close() {
    let served = Served::with(|_| {});
    for fields in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
    ] {
        let request = post(fields, "5\r\nhello\r\n0\r\n\r\n") + SMUGGLED;
        let answer = served.exchange(request);
        assert_eq!(statuses(&answer), [400], "{fields}: {answer}");
        assert!(answer.contains("bad_framing"), "{fields}: {answer}");
        assert!(answer.contains("connection: close"), "{fields}: {answer}");
        assert!(answer.contains("x-request-id: "), "{fields}: {answer}");
    }
    assert_eq!(served.counts.handled(), 0);
}

#[test]
fn a_head_that_does_not_parse_gets_a_bare_refusal_and_a_close() {
    let served = Served::with(|_| {});
    for request in [
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let answer = served.exchange(request.to_owned() + SMUGGLED);
        assert_eq!(statuses(&answer), [400], "{request}: {answer}");
    }
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Transfer-Encoding: identity\r\n",
    ] {
        let answer = served.exchange(post(fields, "hello") + SMUGGLED);
        assert_eq!(statuses(&answer), [400], "{fields}: {answer}");
    }
    assert_eq!(served.counts.handled(), 0);
}

#[test]
fn tunnels_and_echoes_are_refused() {
    let served = Served::with(|_| {});
    let answer = served.exchange("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
    assert_eq!(statuses(&answer), [400], "{answer}");
    let answer = served.exchange("TRACE / HTTP/1.1\r\nHost: a\r\nCookie: s=secret\r\n\r\n");
    assert_eq!(statuses(&answer), [405], "{answer}");
    assert!(answer.contains("\r\nallow: "), "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
}

#[test]
fn requests_name_one_host() {
    let served = Served::with(|_| {});
    for (hosts, expected) in [
        ("Host: a\r\n", 200),
        ("", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a, b\r\n", 400),
        ("Host: u@a\r\n", 400),
        ("Host:\r\n", 400),
    ] {
        let request = format!("GET / HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        assert_eq!(statuses(&served.exchange(request)), [expected], "{hosts}");
    }
}

#[test]
fn a_chunked_body_where_none_is_expected_costs_nobody_an_answer() {
    let served = Served::with(|config| config.timeout_body = Duration::from_millis(200));
    let get = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = served.connect();
    client.send(format!("{get}5\r\nhello\r\n"));
    client.send("0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.answer().status, 200);

    let large = "a".repeat((64 << 10) + 1);
    client.send(format!("{get}10001\r\n{large}\r\n0\r\n\r\n"));
    assert_eq!(client.answer().status, 413);
    let answer = served.exchange(format!("{get}5\r\nhel"));
    assert_eq!(statuses(&answer), [408], "{answer}");
    let answer = served.exchange(format!("{get}x\r\n{SMUGGLED}"));
    assert_eq!(statuses(&answer), [400], "{answer}");
}
