//! What servers elsewhere have in common: the thread that their connections live on, and how they prove
//! who they are.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::runtime::{Builder, Handle, Runtime};

use super::error::DatabaseError;

/// The runtime of the connections. A process that was forked off needs one of its own.
pub(super) fn runtime() -> Result<Handle, DatabaseError> {
    static RUNTIME: Mutex<Option<(u32, Runtime)>> = Mutex::new(None);
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some((owner, runtime)) = &*runtime
        && *owner == process
    {
        return Ok(runtime.handle().clone());
    }
    let made = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("apifrom-database")
        .enable_all()
        .build()
        .map_err(|error| DatabaseError::unavailable(format!("no thread can be made: {error}")))?;
    let handle = made.handle().clone();
    // The threads of the other one stayed behind in the process that forked.
    std::mem::forget(runtime.replace((process, made)));
    Ok(handle)
}

/// Why there is no result.
pub(super) enum NoResult {
    TooLate,
    Lost,
}

/// Waits so long for `work`, which goes on elsewhere; blocks, wherever it is called.
pub(super) fn wait<T: Send + 'static>(
    runtime: &Handle,
    limit: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, NoResult> {
    let (sender, receiver) = sync_channel(1);
    let task = runtime.spawn(async move {
        // Nobody listens where it took too long.
        let _ = sender.send(work.await);
    });
    receiver.recv_timeout(limit).map_err(|error| {
        task.abort();
        match error {
            RecvTimeoutError::Timeout => NoResult::TooLate,
            RecvTimeoutError::Disconnected => NoResult::Lost,
        }
    })
}

/// Whether a server must prove who it is: `mode` is what the URL's `sslmode` says.
pub(super) fn needs_tls(
    mode: Option<&str>,
    is_near: bool,
    has_roots: bool,
) -> Result<bool, String> {
    match mode {
        Some("disable") => Ok(false),
        Some("require" | "verify-ca" | "verify-full") => Ok(true),
        None => Ok(!is_near || has_roots),
        Some(_) => Err(
            "expected sslmode=verify-full, where the server proves who it is, or \
             sslmode=disable; other modes protect nothing"
                .into(),
        ),
    }
}

/// True where what is sent to the host stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// TLS that believes the certificates in the file `roots`, or those of this machine.
pub(super) fn tls(roots: Option<&str>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    match roots {
        Some(path) => trusting(builder, Path::new(path)),
        None => Ok(builder
            .with_platform_verifier()
            .map_err(|error| error.to_string())?
            .with_no_client_auth()),
    }
}

fn trusting(
    builder: ConfigBuilder<ClientConfig, rustls::WantsVerifier>,
    path: &Path,
) -> Result<ClientConfig, String> {
    let shown = path.display();
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path)
        .map_err(|error| format!("sslrootcert {shown}: {error}"))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| format!("sslrootcert {shown}: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("sslrootcert {shown}: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!("sslrootcert {shown}: expected certificates in PEM"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
