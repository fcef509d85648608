//! Where a server is, and how it is reached.

use std::fmt;
use std::panic::RefUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{self, BufStream};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::super::error::DatabaseError;
use super::super::remote::{NoResult, is_loopback, needs_tls, runtime, tls, wait};
use super::connection::Connection;
use super::login::{Account, Greeting, ask_for_tls};
use super::wire::Line;
use super::{Fault, Phase, Session, converted};

const EXPECTED: &str = "expected mysql://user:password@host:3306/name; what is not a letter or a digit in \
                        user and password is written %xx";

/// A server, and who asks it.
pub(in super::super) struct Place {
    server: Arc<Server>,
}

pub(super) struct Server {
    host: Host,
    user: String,
    password: Zeroizing<String>,
    database: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    Tcp(String, u16),
    Unix(String),
}

/// Nothing of it changes, so a panic leaves nothing half done.
impl RefUnwindSafe for Place {}

/// Without the password.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MySql({})", self.server.shown())
    }
}

impl Place {
    /// The place at `url`, of which no message shows anything: it may hold a password.
    pub(in super::super) fn parse(url: &str) -> Result<Self, String> {
        if url.contains(['\0', '#']) {
            return Err("expected a URL without # and NUL; they are written %23 and %00".into());
        }
        let (_, rest) = url.split_once("://").ok_or(EXPECTED)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut mode, mut roots) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "sslmode" => mode = Some(decoded(value)?),
                "sslrootcert" => roots = Some(decoded(value)?),
                // Its name is the program's; what else stands there is not shown.
                _ if name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') =>
                {
                    return Err(format!(
                        "unknown option `{name}` in the URL of MySQL; expected sslmode or sslrootcert"
                    ));
                }
                _ => return Err(EXPECTED.into()),
            }
        }
        let (place, database) = rest.split_once('/').ok_or(EXPECTED)?;
        let (account, place) = match place.rsplit_once('@') {
            Some((account, place)) => (account, place),
            None => ("", place),
        };
        let (user, password) = account.split_once(':').unwrap_or((account, ""));
        // An `@` that is not written %40 would make another host.
        if place.is_empty() || account.contains('@') || database.contains('/') {
            return Err(EXPECTED.into());
        }
        let (user, database) = (decoded(user)?, decoded(database)?);
        if user.is_empty() || user.contains('\0') {
            return Err("expected a user: mysql://user:password@host:3306/name".into());
        }
        if database.is_empty() || database.contains('\0') {
            return Err(
                "expected the name of a database: mysql://user:password@host:3306/name".into(),
            );
        }
        let host = Host::parse(place)?;
        let is_near = match &host {
            Host::Tcp(name, _) => is_loopback(name),
            Host::Unix(_) => true,
        };
        let needs_tls = needs_tls(mode.as_deref(), is_near, roots.is_some())?;
        let tls = match &host {
            Host::Tcp(name, _) if needs_tls => {
                let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
                    .map_err(|_| EXPECTED)?;
                Some((Arc::new(tls(roots.as_deref())?), name))
            }
            Host::Unix(_) if needs_tls => {
                return Err("expected no TLS on a socket of this machine".into());
            }
            _ => None,
        };
        Ok(Self {
            server: Arc::new(Server {
                host,
                user,
                password: Zeroizing::new(decoded(password)?),
                database,
                tls,
            }),
        })
    }

    /// Opens a connection whose statements may run as long as `deadline`, and wait for locks as long as
    /// `patience`.
    pub(in super::super) fn open(
        &self,
        patience: Duration,
        deadline: Duration,
    ) -> Result<Session, DatabaseError> {
        let runtime = runtime()?;
        let server = Arc::clone(&self.server);
        let work = async move { server.prepared(patience).await };
        let opened = wait(&runtime, patience, work).map_err(|why| {
            let why = match why {
                NoResult::TooLate => format!("no answer within {patience:?}"),
                NoResult::Lost => "no answer".to_owned(),
            };
            self.server.unreachable(&why)
        })?;
        let (connection, longest) = opened.map_err(|fault| {
            let why = match fault {
                Fault::Lost(why) => why,
                fault => converted(fault, Phase::Preparing).to_string(),
            };
            self.server.unreachable(&why)
        })?;
        Ok(Session::new(
            connection,
            Arc::clone(&self.server),
            runtime,
            deadline,
            longest,
            settings(patience).into(),
        ))
    }
}

impl Server {
    fn unreachable(&self, why: &str) -> DatabaseError {
        DatabaseError::unavailable(format!("MySQL at {}: {why}", self.shown()))
    }

    fn shown(&self) -> String {
        match &self.host {
            Host::Tcp(name, port) => format!("{name}:{port}"),
            Host::Unix(path) => path.clone(),
        }
    }

    /// A connection with our settings, and how long a packet the server takes.
    async fn prepared(&self, patience: Duration) -> Result<(Connection, usize), Fault> {
        let mut connection = self.connect(patience).await?;
        connection.run(&settings(patience)).await.1?;
        let asked = connection.prepare("SELECT @@max_allowed_packet").await?;
        let outcome = connection.execute(&asked, &[], true).await?;
        connection.close(&asked).await?;
        let longest = outcome.values.first().and_then(|value| match value {
            super::super::value::Value::Integer(number) => usize::try_from(*number).ok(),
            _ => None,
        });
        Ok((connection, longest.unwrap_or(usize::MAX)))
    }

    /// A connection that is logged in.
    async fn connect(&self, patience: Duration) -> Result<Connection, Fault> {
        let account = Account {
            user: &self.user,
            password: &self.password,
            database: &self.database,
        };
        let mut count = 0;
        let (name, port) = match &self.host {
            Host::Unix(path) => {
                let mut line = BufStream::new(UnixStream::connect(path).await?);
                let greeting = Greeting::receive(&mut line, &mut count).await?;
                return Connection::begin(Box::new(line), count, greeting, &account, true, false)
                    .await;
            }
            Host::Tcp(name, port) => (name.trim_matches(['[', ']']), *port),
        };
        let mut stream = TcpStream::connect((name, port)).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(Duration::from_secs(30)))?;
        socket.set_tcp_user_timeout(Some(patience.max(Duration::from_secs(10))))?;
        // Read without a buffer: what was sent in the clear behind it must not pass for protected.
        let greeting = Greeting::receive(&mut stream, &mut count).await?;
        let Some((config, name)) = &self.tls else {
            let line = Box::new(BufStream::new(stream));
            return Connection::begin(line, count, greeting, &account, false, false).await;
        };
        if !greeting.offers_tls() {
            return Err(Fault::Lost("the server offers no TLS".into()));
        }
        ask_for_tls(&mut stream, &mut count).await?;
        let connector = TlsConnector::from(Arc::clone(config));
        let stream = connector.connect(name.clone(), stream).await?;
        let line = Box::new(BufStream::new(stream));
        Connection::begin(line, count, greeting, &account, true, true).await
    }

    /// Ends a connection, and with it what it does.
    pub(super) async fn kill(&self, id: u32, patience: Duration) {
        if let Ok(mut connection) = self.connect(patience).await {
            // One that is gone already needs no killing.
            let _ = connection.run(&format!("KILL {id}")).await;
            connection.quit().await;
        }
    }
}

/// What a session is given first: nothing of it depends on the server's settings any longer.
fn settings(patience: Duration) -> String {
    let seconds = patience.as_millis().div_ceil(1_000).max(1);
    format!(
        "SET NAMES utf8mb4, time_zone = '+00:00', autocommit = 1, sql_mode = \
         'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,\
         NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY,ANSI_QUOTES,PIPES_AS_CONCAT', \
         innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}"
    )
}

impl Host {
    fn parse(place: &str) -> Result<Self, String> {
        let (name, port) = match place.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
            _ => (place, None),
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().map_err(|_| EXPECTED)?
            }
            Some(_) => return Err(EXPECTED.into()),
            None => 3306,
        };
        let name = decoded(name)?;
        if name.starts_with('/') {
            return Ok(Self::Unix(name));
        }
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let is_right = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !name.is_empty() && !name.contains([':', '[', ']', ',', ' ', '\0', '/']),
        };
        if !is_right {
            return Err(EXPECTED.into());
        }
        Ok(Self::Tcp(name, port))
    }
}

/// Reads `%xx`.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(*rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (high, low) = (digit().ok_or(EXPECTED)?, digit().ok_or(EXPECTED)?);
        bytes.push(high * 16 + low);
    }
    String::from_utf8(bytes).map_err(|_| EXPECTED.into())
}

impl Line for TcpStream {
    fn is_quiet(&self) -> bool {
        would_wait(self.try_read(&mut [0]))
    }
}

impl Line for UnixStream {
    fn is_quiet(&self) -> bool {
        would_wait(self.try_read(&mut [0]))
    }
}

impl Line for TlsStream<TcpStream> {
    fn is_quiet(&self) -> bool {
        self.get_ref().0.is_quiet()
    }
}

impl<L: Line> Line for BufStream<L> {
    fn is_quiet(&self) -> bool {
        self.get_ref().is_quiet()
    }
}

/// What is read by it is of no use any longer: the connection is closed then.
fn would_wait(read: io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_elsewhere_are_reached_by_tls_alone_unless_it_is_said() {
        for (url, has_tls) in [
            ("mysql://ann@localhost/app", false),
            ("mariadb://ann:x@127.0.0.1:3307/app", false),
            ("mysql://ann@[::1]/app", false),
            ("mysql://ann@%2Frun%2Fmysqld%2Fmysqld.sock/app", false),
            ("mysql://ann@db.example.com/app", true),
            ("mysql://ann@[2001:db8::1]:3307/app", true),
            ("mysql://ann@10.0.0.1/app", true),
            ("mysql://ann@localhost/app?sslmode=verify-full", true),
            ("mysql://ann@localhost/app?sslmode=require", true),
            ("mysql://ann@db.example.com/app?sslmode=disable", false),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!(place.server.tls.is_some(), has_tls, "{url}");
        }
    }

    #[test]
    fn a_url_is_read_to_the_letter() {
        let place = Place::parse("mysql://a%40b:p%3A%2f%25@h.example:3307/my%20app").unwrap();
        let server = place.server;
        assert_eq!(server.user, "a@b");
        assert_eq!(&**server.password, "p:/%");
        assert_eq!(server.database, "my app");
        assert_eq!(server.host, Host::Tcp("h.example".into(), 3307));
        let place = Place::parse("mysql://ann@%2Frun%2Fs.sock/app").unwrap();
        assert_eq!(place.server.host, Host::Unix("/run/s.sock".into()));
    }

    #[test]
    fn wrong_urls_are_refused_and_not_shown() {
        for (url, said) in [
            ("mysql:ann:hunter2@host/app", "expected mysql://"),
            ("mysql://ann:hunter2@host", "expected mysql://"),
            ("mysql://ann:hunter2@/app", "expected mysql://"),
            ("mysql://ann:hunter2@host:port/app", "expected mysql://"),
            ("mysql://ann:hunter2@host:99999/app", "expected mysql://"),
            ("mysql://ann:hunter2@host:+1/app", "expected mysql://"),
            ("mysql://ann:hunter2@a,b/app", "expected mysql://"),
            ("mysql://ann:hunter2@[::1/app", "expected mysql://"),
            ("mysql://ann:hunter2@::1/app", "expected mysql://"),
            ("mysql://ann:hunter2@evil@host/app", "expected mysql://"),
            ("mysql://ann:hunter2@host/app/more", "expected mysql://"),
            ("mysql://ann:hunter2%@host/app", "expected mysql://"),
            ("mysql://ann:hunter2%ff@host/app", "expected mysql://"),
            (
                "mysql://ann:hunter2@host/",
                "expected the name of a database",
            ),
            ("mysql://host/app", "expected a user"),
            ("mysql://:hunter2@host/app", "expected a user"),
            (
                "mysql://ann:hunter2@h/app?sslmode=prefer",
                "expected sslmode=verify-full",
            ),
            (
                "mysql://ann:hunter2@h/app?sslmode=",
                "expected sslmode=verify-full",
            ),
            (
                "mysql://ann:hunter2@h/app?ssl_mode=x",
                "unknown option `ssl_mode`",
            ),
            ("mysql://ann:hunter2?x@h/app", "expected mysql://"),
            ("mysql://ann:hunter2#@h/app", "without #"),
            ("mysql://ann@%2Fs/app?sslmode=require", "expected no TLS"),
            (
                "mysql://ann@h/app?sslrootcert=/nowhere.pem",
                "sslrootcert /nowhere.pem",
            ),
        ] {
            let error = Place::parse(url).unwrap_err();
            assert!(error.contains(said), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_place_is_shown_without_its_password() {
        let place = Place::parse("mysql://ann:hunter2@localhost:3307/app").unwrap();
        assert_eq!(format!("{place:?}"), "MySql(localhost:3307)");
    }
}
