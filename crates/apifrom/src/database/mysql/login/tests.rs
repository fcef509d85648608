use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use tokio::net::{TcpListener, TcpStream};

use super::*;

const NONCE: &[u8] = b"abcdefghijklmnopqrst";

fn greeting(plugin: &str) -> Vec<u8> {
    let (first, rest) = NONCE.split_at(8);
    let [a, b, c, d] = (WANTED | capability::TLS).to_le_bytes();
    let mut out = vec![10];
    out.extend_from_slice(b"8.4.0\0\x07\0\0\0");
    out.extend_from_slice(first);
    out.extend_from_slice(&[0, a, b, 45, 2, 0, c, d, 21]);
    out.extend_from_slice(&[0; 10]);
    out.extend_from_slice(rest);
    out.push(0);
    out.extend_from_slice(plugin.as_bytes());
    out.push(0);
    out
}

#[test]
fn a_greeting_is_read() {
    let read = Greeting::read(&greeting("caching_sha2_password")).unwrap();
    assert_eq!((read.id, &*read.nonce), (7, NONCE));
    assert_eq!(read.plugin, "caching_sha2_password");
    assert!(read.offers_tls());
    assert!(Greeting::read(b"\x09").is_err());
    assert!(Greeting::read(b"HTTP/1.1 400").is_err());
}

proptest! {
    #[test]
    fn no_greeting_is_more_than_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..90)) {
        let _ = Greeting::read(&bytes);
        let _ = Greeting::read(&[&[10], &*bytes].concat());
    }
}

#[test]
fn passwords_are_proven_as_the_servers_expect_it() {
    for plugin in [Plugin::Native, Plugin::CachingSha2] {
        assert!(plugin.proof("", NONCE).is_empty());
    }
    assert_eq!(
        STANDARD.encode(Plugin::Native.proof("correct horse", NONCE)),
        "+BjBn+YzspZ5SENUUUc3xTlPSVQ="
    );
    assert_eq!(
        STANDARD.encode(Plugin::CachingSha2.proof("correct horse", NONCE)),
        "nqvEJtfdbstiCbwAPLFKzV72U49orZhoE32pMlpeaSg="
    );
}

/// What a server does that plays its part from a list: it sends, and returns all that it is sent.
async fn play(mut stream: TcpStream, script: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut count = 0;
    send(&mut stream, &mut count, &greeting("caching_sha2_password"))
        .await
        .unwrap();
    let mut got = Vec::new();
    for packet in script {
        got.push(receive(&mut stream, &mut count).await.unwrap());
        send(&mut stream, &mut count, &packet).await.unwrap();
    }
    // What comes behind the last line of the part is seen as well.
    let more = receive(&mut stream, &mut count);
    let more = tokio::time::timeout(Duration::from_millis(100), more).await;
    got.extend(more.into_iter().flatten());
    got
}

fn logged_in(script: Vec<Vec<u8>>, is_private: bool) -> (Result<(), String>, Vec<Vec<u8>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            play(stream, script).await
        });
        let mut stream = TcpStream::connect(place).await.unwrap();
        let mut count = 0;
        let greeting = Greeting::receive(&mut stream, &mut count).await.unwrap();
        let account = Account {
            user: "ann",
            password: "correct horse",
            database: "app",
        };
        let result = log_in(
            &mut stream,
            &mut count,
            greeting,
            &account,
            is_private,
            false,
        )
        .await;
        drop(stream);
        let result = result.map_err(|fault| match fault {
            Fault::Lost(why) => why,
            Fault::Refused(refusal) => refusal.message,
            Fault::Own(error) => error.to_string(),
        });
        (result, server.await.unwrap())
    })
}

fn ok() -> Vec<u8> {
    vec![0, 0, 0, 2, 0, 0, 0]
}

fn says(packets: &[Vec<u8>]) -> bool {
    packets
        .iter()
        .any(|packet| packet.windows(7).any(|part| part == b"correct"))
}

#[test]
fn a_password_that_the_server_knows_is_not_said() {
    let (result, got) = logged_in(vec![vec![1, 3]], false);
    assert!(result.is_err(), "there was no end");
    assert!(!says(&got));
    let (result, got) = logged_in(vec![ok()], false);
    assert_eq!(result, Ok(()));
    let proof = Plugin::CachingSha2.proof("correct horse", NONCE);
    let mut expected = b"ann\0\x20".to_vec();
    expected.extend_from_slice(&proof);
    expected.extend_from_slice(b"app\0caching_sha2_password\0");
    assert_eq!(got[0].get(32..), Some(&*expected));
}

#[test]
fn a_server_that_asks_for_the_password_is_given_it_by_private_lines_alone() {
    let (result, got) = logged_in(vec![vec![1, 4], ok()], true);
    assert_eq!(result, Ok(()));
    assert_eq!(got[1], b"correct horse\0");

    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let body = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    let sent = [&[1], pem.as_bytes()].concat();
    let (result, got) = logged_in(vec![vec![1, 4], sent, ok()], false);
    assert_eq!(result, Ok(()));
    assert_eq!(got[1], [2]);
    assert!(!says(&got));
    let key = OaepPrivateDecryptingKey::new(key).unwrap();
    let mut out = vec![0; key.min_output_size()];
    let opened = key
        .decrypt(&OAEP_SHA1_MGF1SHA1, &got[2], &mut out, None)
        .unwrap();
    let said: Vec<u8> = opened
        .iter()
        .zip(NONCE.iter().cycle())
        .map(|(a, b)| a ^ b)
        .collect();
    assert_eq!(said, b"correct horse\0");

    let (result, got) = logged_in(vec![vec![1, 4], vec![1, b'x']], false);
    assert_eq!(result.unwrap_err(), "expected an RSA key");
    assert!(!says(&got));
}

#[test]
fn another_way_is_taken_where_it_is_known_and_once() {
    let switch = |name: &[u8]| [&[0xfe], name, b"\0", b"ABCDEFGHIJKLMNOPQRST\0"].concat();
    let (result, got) = logged_in(vec![switch(b"mysql_native_password"), ok()], false);
    assert_eq!(result, Ok(()));
    assert_eq!(
        got[1],
        Plugin::Native.proof("correct horse", b"ABCDEFGHIJKLMNOPQRST")
    );
    for name in [
        &b"mysql_clear_password"[..],
        b"dialog",
        b"mysql_old_password",
        b"",
    ] {
        let (result, got) = logged_in(vec![switch(name)], true);
        assert!(
            result
                .unwrap_err()
                .contains("expected mysql_native_password")
        );
        assert!(!says(&got));
    }
    let twice = vec![
        switch(b"mysql_native_password"),
        switch(b"mysql_native_password"),
    ];
    assert!(
        logged_in(twice, true)
            .0
            .unwrap_err()
            .contains("unknown way")
    );
    let refused = b"\xff\x15\x04#28000Access denied".to_vec();
    assert_eq!(
        logged_in(vec![refused], true).0.unwrap_err(),
        "Access denied"
    );
}
