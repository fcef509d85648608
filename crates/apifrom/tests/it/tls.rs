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
        Self::of(name, &KeyPair::generate().unwrap(), change)
    }

    fn of(name: &str, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let folder = format!("apifrom-tls-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.self_signed(key).unwrap();
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

    fn certificate_text(&self) -> String {
        std::fs::read_to_string(self.path("cert.pem")).unwrap()
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
fn half_a_preface_of_http_2_has_the_time_of_a_head() {
    let files = Files::new("preface");
    let served = files.serve(|config| config.timeout_head = SOON / 10);
    let config = files.client(&[&rustls::version::TLS13], &["h2"]);
    let mut client = connect(&served, &config);
    client.send(b"PRI * HTTP/2.0");
    // An end, and no time-out of the client's own.
    client.rest();
    assert_eq!(served.records.of("connection_timed_out").len(), 1);
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

/// What `text` in the place of a key is refused with, for the certificate of [`KEY`].
fn refused_key(name: &str, text: &str, password: Option<&str>) -> String {
    let files = Files::of(name, &KeyPair::from_pem(KEY).unwrap(), |_| {});
    files.write("key.pem", text);
    let mut config = files.config();
    config.ssl_keyfile_password = password.map(Into::into);
    assert!(!format!("{config:?}").contains(PASSWORD));
    let said = refusal(config);
    assert_says(&said, &["1 configuration error\n", &files.path("key.pem")]);
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        assert!(!said.contains(password), "{said}");
    }
    said
}

#[test]
fn encrypted_keys_serve_with_their_password() {
    let files = Files::of("encrypted", &KeyPair::from_pem(KEY).unwrap(), |_| {});
    let among_others = format!("{}{PBKDF2}", files.certificate_text());
    for text in [PBKDF2, SCRYPT, &PBKDF2.replace('\n', "\r\n"), &among_others] {
        files.write("key.pem", text);
        let served = files.serve(|config| {
            config.tls.as_mut().unwrap().ssl_keyfile_password = Some(PASSWORD.into());
        });
        let config = files.client(&[&rustls::version::TLS13], &[]);
        assert_eq!(connect(&served, &config).get("/").status, 200, "{text}");
    }
}

#[test]
fn a_password_that_is_wrong_missing_or_of_no_use_is_named_and_not_shown() {
    // The last is among the few that leave something which looks whole.
    for password in ["", "hunter3", "wrong163"] {
        let said = refused_key("other", PBKDF2, Some(password));
        assert_says(&said, &["ssl_keyfile_password: does not open"]);
    }
    let said = refused_key("other", SCRYPT, Some("hunter3"));
    assert_says(&said, &["ssl_keyfile_password: does not open"]);
    let said = refused_key("none", PBKDF2, None);
    assert_says(&said, &["ssl_keyfile_password: is missing", "is encrypted"]);
    let said = refused_key("plain", KEY, Some(PASSWORD));
    assert_says(
        &said,
        &["ssl_keyfile_password: the key in", "not encrypted"],
    );
    assert_says(&said, &["leave the password out"]);
}

#[test]
fn keys_that_are_encrypted_in_another_way_are_refused_with_advice() {
    for (text, expected) in [
        (DES3, "in a way that is not supported"),
        (SHA1, "in a way that is not supported"),
        (PKCS12, "in a way that is not supported"),
        (PBES1, "in a way that is not supported"),
        (OLD, "in an old form"),
    ] {
        let said = refused_key("old", text, Some(PASSWORD));
        assert_says(&said, &["ssl_keyfile: ", expected]);
        assert_says(&said, &["openssl pkcs8 -topk8 -v2 aes-256-cbc"]);
    }
    let cut = PBKDF2.replace("VeAuHaP5Ve44oiwM\n", "");
    let noise = PBKDF2.replace("MIHsM", "MIHs?");
    for (text, expected) in [
        (cut.as_str(), "holds no valid encrypted key"),
        (&noise, "not valid PEM"),
        (PBKDF2.split_once("-----END").unwrap().0, "not valid PEM"),
    ] {
        let said = refused_key("damaged", text, Some(PASSWORD));
        assert_says(&said, &["ssl_keyfile: ", expected]);
    }
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

/// What the keys below are encrypted with.
const PASSWORD: &str = "hunter2";

/// One key, made and encrypted by OpenSSL 3.0.
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvkELoQsuIJTfjC2O
VPUt9wa3cwYHk5LNSmEQWEj86DGhRANCAATH69vXzTJ3M8XBantrSc0AkwACVxIa
OqPF2XmiXrM8tFwKmrt+rPYyCephy892QfchefscgDDpHLYuS0j4TUzA
-----END PRIVATE KEY-----
";

const PBKDF2: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgxw8MTR/OB9AICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAq216uX6rmrau3VaAa2CdwEgZAg
bvigjrv7sSYEPh7YHaw94QvRRQ/Md2sq31Gv07rb4ZD6sYf2Hb8jbipgOpPL9pGu
IzDxKtWbiS6MFBWW3CidZxm/Ow3iayJJHhBT3whPmVsTXnCEVeAuHaP5Ve44oiwM
iuoOt0GNvmMQIBZsoNNKlDhP3ZezrvANJ8MHQvbLMPjtZEc1BjR7BRyUOIv4/bo=
-----END ENCRYPTED PRIVATE KEY-----
";

const SCRYPT: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHkME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAg862ySBRFHzAICQAAC
AQgCAQEwHQYJYIZIAWUDBAECBBCLrZ9Wi+jY3v4qznwS+I+ABIGQpoDGG9SHfvEF
rxLynl9bUGwYDHrEsZGWUpPdh/F+CeBwO12UeHC6G+wumuPTUQQ6XnHpu/Ex5ODP
SRoqzzx/+hwmMWjKojAOZHKl2m0yi7oCmO0kGiYj6KSU71w55rswBU+U8kwx5WB4
Izcl7O/9dWSvZffbYmjbStmaux70DxE6v3NvdiTycRMRxXr4pHxV
-----END ENCRYPTED PRIVATE KEY-----
";

const DES3: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHjME4GCSqGSIb3DQEFDTBBMCkGCSqGSIb3DQEFDDAcBAjIrZDqyOnRfgICCAAw
DAYIKoZIhvcNAgkFADAUBggqhkiG9w0DBwQIegAJyu896cgEgZCS8UkefHMB/tFX
7R7bnf67VS1DqDasu1kf9B/sv1LwWL5VpqvG5SeTiTKOTN11hwPf0VyK4zRFsgi9
iA3KEp9nB54UELqY99wyRMl3Jztha9pE7eLEMC2h6YCY4IxK+k4oeo9O7Xof9fWc
W6Zxo/uMcCLG+WmdBXgWOhdpYLTrk9RN9fWmQH3JLUwsoIzB1VE=
-----END ENCRYPTED PRIVATE KEY-----
";

const SHA1: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHeMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAgfojjtwHDdXAICCAAw
HQYJYIZIAWUDBAEqBBBGtdjU2PWobcI27+9kXGR3BIGQzgA/SfxTjTLdKNpL/7da
MGweako0NksyiZJ2dy4DF6gT23bK8pUtsA7yz8RwyBso0YDYoyVaRzNBec9rKNTI
CJht/Oo2us1yhR7LCtB4r2cE+TH4p/fhm8EQPZbBFd9ulXQah935OkZX1O/EjBf3
47CLt0Tye9e6v48dGR+GfBbz2FT3VfwRmq/z/WpZLK5v
-----END ENCRYPTED PRIVATE KEY-----
";

const PKCS12: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGxMBwGCiqGSIb3DQEMAQMwDgQIMUzhIny59RICAggABIGQWNsLkiuuGuDlkFcM
JLMl7lAVN4as+i0vUGYvzwEQX4VAiCxlU9SBGFq3oQGEu6VCL/rvNUZzXFIviMjX
IUkZ233pjDnqQNIYOzYhVF/RLYFCZMosabhRvX9brfIJz+BW0Zl/12KUEISmMPdg
dpyg3GCsBcKULIZYO8R+CxPr9jIGUej3ApALIlt2rYQ93Ezw
-----END ENCRYPTED PRIVATE KEY-----
";

const PBES1: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGwMBsGCSqGSIb3DQEFAzAOBAgvelUmZfK/CQICCAAEgZBuQhMKDE4+3739nbO7
lHiUfolMO/xmoXkv3F7D3Q23iGxYW+LNHkmBKMmepyS5tzNmi62TyYmYcDv8XIEJ
u2KIsevzFKk/SH2IjIKFluOyR2Ls+KHnNTnDdl2mWPPlDPNyAjnSLZdQN1YDb/E/
lCNUDjd+PJ5COqlUn9UT4H3cpr3FcGTNBaB8GfZ3on2njB8=
-----END ENCRYPTED PRIVATE KEY-----
";

const OLD: &str = "\
-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,F06CB95FA0A4D3DB6D711B66AB9859AC

UJMhbXOrozTAInqty9KuTKpvXLQfJf98Zj0h0q3bHY8ILMOFxLluqXw0a192Pgcd
TQB1rUZUCZ/Ke9ghuxm6t6c6aBjeLfENHaKsNZPV463k+2aUXUqckHIQaH9LeBMB
EUsAhHjnEU+Yo2tN7MsqczJlg440pB5g4iV4aKZI1BE=
-----END EC PRIVATE KEY-----
";
