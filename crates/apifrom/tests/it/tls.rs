//! TLS: what is negotiated, and which files do not serve.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use apifrom::server::Server;
use apifrom::{ServeError, ServerConfig, TlsConfig};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};

use super::server::{ask, h2_request, http2};
use super::support::{Client, SOON, Served, eventually};

/// A certificate with its key, in files of their own.
pub(crate) struct Files {
    folder: PathBuf,
    certificate: CertificateDer<'static>,
}

impl Files {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let folder = format!("apifrom-tls-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        let files = Self {
            folder,
            certificate: certificate.der().clone(),
        };
        files.write("cert.pem", &certificate.pem());
        files.write("key.pem", &key.serialize_pem());
        files
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().into()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn config(&self) -> TlsConfig {
        TlsConfig::new(self.path("key.pem"), self.path("cert.pem"))
    }

    fn serve(&self, change: impl FnOnce(&mut ServerConfig)) -> Served {
        Served::with(|config| {
            config.tls = Some(self.config());
            change(config);
        })
    }

    pub(crate) fn client(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        protocols: &[&str],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        Arc::new(config)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

pub(crate) fn name() -> ServerName<'static> {
    "localhost".try_into().unwrap()
}

fn connect(served: &Served, config: &Arc<ClientConfig>) -> Client<Tls> {
    let connection = ClientConnection::new(Arc::clone(config), name()).unwrap();
    let socket = served.connect().stream;
    Client::over(StreamOwned::new(connection, socket))
}

#[test]
fn both_versions_of_tls_serve() {
    let files = Files::new("versions");
    let served = files.serve(|_| {});
    for (version, expected) in [
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let config = files.client(&[version], &[]);
        let mut client = connect(&served, &config);
        assert_eq!(client.get("/peer").body, "127.0.0.1 https");
        assert_eq!(client.get("/").body, "home");
        assert_eq!(client.stream.conn.protocol_version(), Some(expected));
    }
    assert_eq!(
        served.records.of("listening"),
        [format!("listening on https://{}", served.address())]
    );
}

#[test]
fn sessions_are_resumed_in_both_versions() {
    let files = Files::new("resumed");
    let served = files.serve(|_| {});
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = files.client(&[version], &[]);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut client = connect(&served, &config);
            assert_eq!(client.get("/").status, 200);
            kinds.push(client.stream.conn.handshake_kind().unwrap());
        }
        assert_eq!(kinds[1], rustls::HandshakeKind::Resumed, "{version:?}");
    }
}

#[test]
fn alpn_chooses_and_without_it_http_1_is_spoken() {
    let files = Files::new("alpn");
    let served = files.serve(|_| {});
    let both = [&rustls::version::TLS13, &rustls::version::TLS12];
    let config = files.client(&both, &["http/1.1"]);
    let mut client = connect(&served, &config);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(client.stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));

    let config = files.client(&both, &["gopher"]);
    let mut client = connect(&served, &config);
    let refused = std::io::Write::write_all(&mut client.stream, b"GET / HTTP/1.1\r\n\r\n");
    assert!(
        refused.is_err(),
        "who offers nothing that is spoken here is refused"
    );
}

#[tokio::test]
async fn http_2_is_chosen_by_alpn() {
    let files = Files::new("h2");
    let served = files.serve(|_| {});
    let config = files.client(&[&rustls::version::TLS13], &["h2", "http/1.1"]);
    let socket = tokio::net::TcpStream::connect(served.address())
        .await
        .unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let stream = connector.connect(name(), socket).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = http2(stream).await;
    let (status, body) = ask(&mut client, h2_request("GET", "/peer"), None)
        .await
        .unwrap();
    assert_eq!((status, body.as_slice()), (200, &b"127.0.0.1 https"[..]));
    let big = ask(&mut client, h2_request("GET", "/big"), None);
    assert_eq!(big.await.unwrap().1.len(), 8 << 20);
}

#[test]
fn large_bodies_pass_in_both_directions() {
    let files = Files::new("large");
    let served = files.serve(|_| {});
    let config = files.client(&[&rustls::version::TLS13], &[]);
    let mut client = connect(&served, &config);
    assert_eq!(client.get("/big").body.len(), 8 << 20);
    let body = "a".repeat(1 << 20);
    client.send(format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(client.answer().body, body);
}

#[test]
fn who_speaks_no_tls_is_refused_and_others_are_not_disturbed() {
    let files = Files::new("plain");
    let served = files.serve(|_| {});
    let answer = served.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    assert_eq!(served.counts.handled(), 0);
    eventually("a report of the handshake", || {
        let reports = served.records.of("connection_failed");
        reports
            .iter()
            .any(|report| report.contains("TLS handshake"))
    });
    let config = files.client(&[&rustls::version::TLS13], &[]);
    assert_eq!(connect(&served, &config).get("/").status, 200);
}

#[test]
fn a_handshake_has_the_time_of_a_head() {
    let files = Files::new("slow");
    let short = Duration::from_millis(200);
    let served = files.serve(|config| config.timeout_head = short);
    let mut client = served.connect();
    let start = Instant::now();
    client.send([0x16, 3, 1]);
    client.rest();
    let closed = start.elapsed();
    assert!(closed >= short / 2 && closed < short * 5, "{closed:?}");
}

#[test]
fn an_idle_connection_under_tls_is_said_goodbye_to() {
    let files = Files::new("goodbye");
    let served = files.serve(|config| config.timeout_keep_alive = Duration::from_millis(200));
    let config = files.client(&[&rustls::version::TLS13], &[]);
    let mut client = connect(&served, &config);
    assert_eq!(client.get("/").status, 200);
    // An end without close_notify would be an error here.
    let read = std::io::Read::read(&mut client.stream, &mut [0; 64]);
    assert_eq!(read.unwrap(), 0);
}

#[test]
fn a_shutdown_ends_connections_under_tls() {
    let files = Files::new("shutdown");
    let served = files.serve(|_| {});
    let config = files.client(&[&rustls::version::TLS13], &[]);
    let mut client = connect(&served, &config);
    assert_eq!(client.get("/").status, 200);
    let start = Instant::now();
    assert!(served.stop().in_time());
    assert!(start.elapsed() < SOON / 5, "{:?}", start.elapsed());
}

/// What is wrong with serving `tls`.
fn refusal(tls: TlsConfig) -> String {
    let mut config = ServerConfig::default();
    config.port = 0;
    config.tls = Some(tls);
    match Server::bind(&config).unwrap_err() {
        ServeError::Config(errors) => errors.to_string(),
        other => panic!("{other}"),
    }
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[test]
fn files_that_do_not_serve_are_named_with_the_reason() {
    let files = Files::new("wrong");
    let (key, cert) = (files.path("key.pem"), files.path("cert.pem"));
    assert!(Path::new(&key).exists());

    let missing = files.path("missing.pem");
    let text = refusal(TlsConfig::new(&missing, &missing));
    assert_says(
        &text,
        &["2 configuration errors", "ssl_keyfile: cannot read"],
    );
    assert_says(&text, &["ssl_certfile: cannot read", &missing]);

    let noise = files.write("noise.pem", "not a certificate");
    let text = refusal(TlsConfig::new(&key, &noise));
    assert_says(&text, &["ssl_certfile: ", &noise, "holds no certificate"]);
    let text = refusal(TlsConfig::new(&noise, &cert));
    assert_says(&text, &["ssl_keyfile: ", &noise, "holds no private key"]);

    let text = refusal(TlsConfig::new(&cert, &key));
    assert_says(&text, &["holds no private key", "holds no certificate"]);

    let cut = std::fs::read_to_string(&cert).unwrap();
    let cut = files.write("cut.pem", &cut[..cut.len() / 2]);
    let text = refusal(TlsConfig::new(&key, &cut));
    assert_says(&text, &["ssl_certfile: ", &cut, "not valid PEM"]);

    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let empty = files.write("empty.pem", empty);
    let text = refusal(TlsConfig::new(&key, &empty));
    assert_says(&text, &["ssl_certfile: ", &empty]);

    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let broken = files.write("broken.pem", broken);
    let text = refusal(TlsConfig::new(&broken, &cert));
    assert_says(&text, &["ssl_keyfile: ", &broken]);
}

#[test]
fn a_key_that_belongs_to_another_certificate_is_refused() {
    let (files, others) = (Files::new("mine"), Files::new("theirs"));
    let text = refusal(TlsConfig::new(
        others.path("key.pem"),
        files.path("cert.pem"),
    ));
    assert_says(
        &text,
        &["ssl_keyfile: ", "does not belong to the certificate"],
    );
    assert_says(&text, &[&others.path("key.pem"), &files.path("cert.pem")]);
}

#[test]
fn encrypted_keys_are_refused_with_advice() {
    let files = Files::new("encrypted");
    for text in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    ] {
        let key = files.write("encrypted.pem", text);
        let text = refusal(TlsConfig::new(key, files.path("cert.pem")));
        assert_says(&text, &["ssl_keyfile: encrypted", "openssl pkey"]);
    }
    let mut config = files.config();
    config.ssl_keyfile_password = Some("hunter2".into());
    let text = refusal(config);
    assert_says(&text, &["ssl_keyfile_password: encrypted", "openssl pkey"]);
    assert!(!text.contains("hunter2"));
}

#[test]
fn an_expired_certificate_is_served_with_a_warning() {
    let files = Files::with("expired", |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let served = files.serve(|_| {});
    let started = |served: &Served| !served.records.of("listening").is_empty();
    eventually("the start", || started(&served));
    let warnings = served.records.of("certificate");
    let expected = format!("the certificate of {} has expired", files.path("cert.pem"));
    assert_eq!(warnings, [expected]);
    let fine = Files::new("fine");
    let served = fine.serve(|_| {});
    eventually("the start", || started(&served));
    assert!(served.records.of("certificate").is_empty());
}
