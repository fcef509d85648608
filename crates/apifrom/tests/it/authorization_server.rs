//! An authorization server on a socket, with keys and tokens of its own.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apifrom::security::CreateToken;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::secured::START;

/// What is answered at each path, and what was asked.
pub(crate) struct Server {
    pub(crate) origin: String,
    answers: Arc<Mutex<HashMap<String, String>>>,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    is_down: Arc<AtomicBool>,
    /// Milliseconds before each answer.
    pub(crate) pause: Arc<AtomicU64>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let server = Self {
            origin,
            answers: Arc::default(),
            asked: Arc::default(),
            is_down: Arc::default(),
            pause: Arc::default(),
        };
        let (answers, asked) = (Arc::clone(&server.answers), Arc::clone(&server.asked));
        let (is_down, pause) = (Arc::clone(&server.is_down), Arc::clone(&server.pause));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
                let (is_down, pause) = (Arc::clone(&is_down), Arc::clone(&pause));
                std::thread::spawn(move || serve(socket, &answers, &asked, &is_down, &pause));
            }
        });
        server
    }

    /// Answers 200 with `body` at `path`.
    pub(crate) fn says(&self, path: &str, body: &str) {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.answers(path, &answer);
    }

    pub(crate) fn answers(&self, path: &str, answer: &str) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(path.to_owned(), answer.to_owned());
    }

    pub(crate) fn is_down(&self, down: bool) {
        self.is_down.store(down, Ordering::SeqCst);
    }

    pub(crate) fn times(&self, path: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|head| head.contains(&format!(" {path} ")))
            .count()
    }

    pub(crate) fn last(&self) -> String {
        self.asked
            .lock()
            .unwrap()
            .last()
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

fn serve(
    mut socket: TcpStream,
    answers: &Mutex<HashMap<String, String>>,
    asked: &Mutex<Vec<String>>,
    is_down: &AtomicBool,
    pause: &AtomicU64,
) {
    let mut buffer = Vec::new();
    loop {
        let mut piece = [0; 4096];
        match socket.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(count) => buffer.extend_from_slice(&piece[..count]),
        }
        if is_down.load(Ordering::SeqCst) {
            return;
        }
        let text = String::from_utf8_lossy(&buffer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        if body.len() < length {
            continue;
        }
        asked.lock().unwrap().push(text.clone());
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let answer = answers.lock().unwrap().get(&path).cloned();
        std::thread::sleep(Duration::from_millis(pause.load(Ordering::SeqCst)));
        let absent = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned();
        if socket
            .write_all(answer.unwrap_or(absent).as_bytes())
            .is_err()
        {
            return;
        }
        buffer.clear();
    }
}

/// A key pair of the server: what it signs with, and its JWK.
pub(crate) fn pair(kid: &str) -> (String, String) {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref()).unwrap();
    let encoded = BASE64_STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n");
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let part = |part| BASE64_URL_SAFE_NO_PAD.encode(part);
    let jwk = format!(
        r#"{{"kty":"EC","crv":"P-256","use":"sig","kid":"{kid}","x":"{}","y":"{}"}}"#,
        part(x),
        part(y)
    );
    (pem, jwk)
}

/// A token with the header of RFC 9068, or another `typ`.
pub(crate) fn signed(pem: &str, kid: &str, typ: &str, payload: &str) -> String {
    let token = CreateToken::new(pem, "ES256")
        .expires_delta(None)
        .kid(kid)
        .sign(payload)
        .unwrap();
    if typ == "JWT" {
        return token;
    }
    // The creator writes `JWT`: the header is changed and signed again.
    let header = format!(r#"{{"alg":"ES256","typ":"{typ}","kid":"{kid}"}}"#);
    let payload = token.split('.').nth(1).unwrap();
    let message = format!("{}.{payload}", BASE64_URL_SAFE_NO_PAD.encode(header));
    let der = BASE64_STANDARD
        .decode(
            pem.lines()
                .filter(|line| !line.starts_with('-'))
                .collect::<String>(),
        )
        .unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!(
        "{message}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref())
    )
}

pub(crate) fn metadata(server: &Server) {
    server.says(
        "/.well-known/oauth-authorization-server",
        &format!(
            r#"{{"issuer":"{0}","token_endpoint":"{0}/token","jwks_uri":"{0}/jwks",
                "introspection_endpoint":"{0}/introspect"}}"#,
            server.origin
        ),
    );
}

pub(crate) fn claims(server: &Server, more: &str) -> String {
    let exp = START.as_secs() + 600;
    format!(
        r#"{{"iss":"{}","aud":"my-api","sub":"ada","scope":"read","exp":{exp}{more}}}"#,
        server.origin
    )
}
