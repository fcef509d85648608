//! Where a server is, and how it is reached.

use std::fmt;
use std::future::poll_fn;
use std::panic::RefUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::error::DatabaseError;
use super::super::remote::{NoResult, is_loopback, needs_tls, runtime, tls, wait};
use super::{Phase, Session, converted};

/// A server, and who asks it.
pub(in super::super) struct Place {
    config: Config,
    tls: MakeRustlsConnect,
}

/// Nothing of it changes, so a panic leaves nothing half done.
impl RefUnwindSafe for Place {}

/// Without the password.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.shown())
    }
}

impl Place {
    /// The place at `url`, of which no message shows anything: it may hold a password.
    pub(in super::super) fn parse(url: &str) -> Result<Self, String> {
        let (url, own) = taken_apart(url)?;
        let mut config: Config = url.parse().map_err(|error: Error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            // Of an option its name is said, which is the program's.
            match why.filter(|why| why.starts_with("unknown option")) {
                Some(why) => format!("{why} in the URL of PostgreSQL"),
                None => {
                    "expected postgresql://user:password@host:5432/name; what is not a letter or a \
                         digit in user and password is written %xx"
                        .to_owned()
                }
            }
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("expected a host: postgresql://user:password@host:5432/name".into());
        }
        if config.get_user().is_none() {
            return Err("expected a user: postgresql://user:password@host:5432/name".into());
        }
        let is_near = config.get_hosts().iter().all(is_near)
            && config
                .get_hostaddrs()
                .iter()
                .all(std::net::IpAddr::is_loopback);
        let needs_tls = needs_tls(own.mode.as_deref(), is_near, own.roots.is_some())?;
        config.ssl_mode(if needs_tls {
            SslMode::Require
        } else {
            SslMode::Disable
        });
        if config.get_application_name().is_none() {
            config.application_name("apifrom");
        }
        let tls = MakeRustlsConnect::new(tls(own.roots.as_deref())?);
        Ok(Self { config, tls })
    }

    /// Opens a connection whose statements may run as long as `deadline`, and wait for locks as long as
    /// `patience`.
    pub(in super::super) fn open(
        &self,
        patience: Duration,
        deadline: Duration,
    ) -> Result<Session, DatabaseError> {
        let runtime = runtime()?;
        let mut config = self.config.clone();
        let options = config.get_options().unwrap_or_default();
        // How quotes and dates are read and written must not depend on the server's settings.
        let options = format!(
            "{options} -c standard_conforming_strings=on -c TimeZone=UTC -c DateStyle=ISO \
             -c lock_timeout={} -c idle_in_transaction_session_timeout=0",
            patience.as_millis().max(1)
        );
        config.options(options.trim_start());
        config.connect_timeout(patience);
        config.tcp_user_timeout(patience.max(Duration::from_secs(10)));
        config.keepalives_idle(Duration::from_secs(30));
        let tls = self.tls.clone();
        let is_misread = Arc::new(AtomicBool::new(false));
        let misread = Arc::clone(&is_misread);
        let work = async move {
            let (client, mut connection) = config.connect(tls).await?;
            tokio::spawn(poll_fn(move |context| {
                // Whoever asks it next is told how it ended.
                let polled = Pin::new(&mut connection).poll(context).map(drop);
                // The server says so before it says that it is ready.
                if connection.parameter("standard_conforming_strings") == Some("off") {
                    misread.store(true, Ordering::Relaxed);
                }
                polled
            }));
            Ok::<_, Error>(client)
        };
        let client = wait(&runtime, patience, work).map_err(|why| {
            let why = match why {
                NoResult::TooLate => format!("no answer within {patience:?}"),
                NoResult::Lost => "no answer".to_owned(),
            };
            DatabaseError::unavailable(format!("PostgreSQL at {}: {why}", self.shown()))
        })?;
        let client = client.map_err(|error| self.unreachable(&error))?;
        Ok(Session::new(
            client,
            self.tls.clone(),
            runtime,
            deadline,
            is_misread,
        ))
    }

    fn unreachable(&self, error: &Error) -> DatabaseError {
        let why = if error.as_db_error().is_some() {
            converted(error, Phase::Preparing).to_string()
        } else {
            let mut why = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(inner) = source {
                let inner_text = inner.to_string();
                if !why.contains(&inner_text) {
                    why = format!("{why}: {inner_text}");
                }
                source = inner.source();
            }
            why
        };
        DatabaseError::unavailable(format!("PostgreSQL at {}: {why}", self.shown()))
    }

    /// The hosts with their ports.
    fn shown(&self) -> String {
        let ports = self.config.get_ports();
        let mut hosts = Vec::new();
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            hosts.push(match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => format!("{}:{port}", path.display()),
            });
        }
        hosts.join(", ")
    }
}

/// What of a URL is not the driver's.
#[derive(Default)]
struct Own {
    mode: Option<String>,
    roots: Option<String>,
}

/// The URL without what is our own in it.
fn taken_apart(url: &str) -> Result<(String, Own), String> {
    let mut own = Own::default();
    if url.contains(['\0', '#']) {
        return Err("expected a URL without # and NUL; they are written %23 and %00".into());
    }
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), own));
    };
    let mut left = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => own.mode = Some(mode.to_owned()),
            Some(("sslrootcert", path)) => own.roots = Some(path.replace("%2F", "/")),
            _ => left.push(pair),
        }
    }
    let left = left.join("&");
    let mark = if left.is_empty() { "" } else { "?" };
    Ok((format!("{base}{mark}{left}"), own))
}

/// True where what is sent stays on this machine.
fn is_near(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => is_loopback(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_elsewhere_are_reached_by_tls_alone_unless_it_is_said() {
        for (url, mode) in [
            ("postgresql://ann@localhost/app", SslMode::Disable),
            ("postgres://ann:x@127.0.0.1:5433/app", SslMode::Disable),
            ("postgresql://ann@%2Frun%2Fpostgresql/app", SslMode::Disable),
            ("postgresql://ann@db.example.com/app", SslMode::Require),
            (
                "postgresql://ann@localhost,db.example.com/app",
                SslMode::Require,
            ),
            (
                "postgresql://ann@localhost/app?sslmode=verify-full",
                SslMode::Require,
            ),
            (
                "postgresql://ann@db.example.com/app?sslmode=disable",
                SslMode::Disable,
            ),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!(place.config.get_ssl_mode(), mode, "{url}");
        }
    }

    #[test]
    fn wrong_urls_are_refused_and_not_shown() {
        for (url, said) in [
            (
                "postgresql://ann:hunter2@/app?port=x",
                "expected postgresql://",
            ),
            (
                "postgresql://ann:hunter2@host:port/app",
                "expected postgresql://",
            ),
            ("postgresql:///app", "expected a host"),
            ("postgresql://host/app", "expected a user"),
            (
                "postgresql://ann:hunter2@h/app?sslmode=prefer",
                "expected sslmode=verify-full",
            ),
            (
                "postgresql://ann:hunter2@h/app?sslmode=allow",
                "expected sslmode=verify-full",
            ),
            (
                "postgresql://ann:hunter2@h/app?ssl_mode=x",
                "unknown option",
            ),
            ("postgresql://ann:hunter2#@h/app", "without #"),
            (
                "postgresql://ann@h/app?sslrootcert=/nowhere.pem",
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
        let place = Place::parse("postgresql://ann:hunter2@localhost:5433/app").unwrap();
        assert_eq!(format!("{place:?}"), "Postgres(localhost:5433)");
    }
}
