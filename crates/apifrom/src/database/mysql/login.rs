//! The login: what a server is asked for, and how a password is proven.
//!
//! `mysql_native_password` and `caching_sha2_password` never send it; the latter may ask for it once, and
//! is given it by TLS or a socket of this machine as it is, else under the server's RSA key. Whoever stands
//! between could put a key of his own there: a connection without TLS has been said aloud by then, or stays
//! on this machine. A server that asks for the password in clear text is refused.

use std::io;

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;

use super::Fault;
use super::wire::{Content, Line, Refusal, broken, put_measured, receive, send};

/// `utf8mb4_general_ci`, which every server knows.
const UTF8: u8 = 45;

/// The longest packet that is taken.
const LONGEST: u32 = 1 << 30;

mod capability {
    pub(super) const LONG_PASSWORD: u32 = 1;
    /// Counts the rows that were found, as the other databases do, and not those that are others now.
    pub(super) const FOUND_ROWS: u32 = 1 << 1;
    pub(super) const LONG_FLAG: u32 = 1 << 2;
    pub(super) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(super) const PROTOCOL_41: u32 = 1 << 9;
    pub(super) const TLS: u32 = 1 << 11;
    pub(super) const TRANSACTIONS: u32 = 1 << 13;
    pub(super) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(super) const MULTI_RESULTS: u32 = 1 << 17;
    pub(super) const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub(super) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(super) const LENENC_AUTH: u32 = 1 << 21;
}

/// What is asked for always. `LOCAL INFILE`, with which a server may ask for files, is not.
const WANTED: u32 = capability::LONG_PASSWORD
    | capability::FOUND_ROWS
    | capability::LONG_FLAG
    | capability::CONNECT_WITH_DB
    | capability::PROTOCOL_41
    | capability::TRANSACTIONS
    | capability::SECURE_CONNECTION
    | capability::MULTI_RESULTS
    | capability::PS_MULTI_RESULTS
    | capability::PLUGIN_AUTH
    | capability::LENENC_AUTH;

/// Who asks.
pub(super) struct Account<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) database: &'a str,
}

/// What a server says first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) id: u32,
    capabilities: u32,
    nonce: Vec<u8>,
    plugin: String,
}

impl Greeting {
    pub(super) async fn receive<L: Line + ?Sized>(
        line: &mut L,
        count: &mut u8,
    ) -> Result<Self, Fault> {
        let content = receive(line, count).await?;
        if content.first() == Some(&0xff) {
            return Err(Refusal::read(&content)?.into());
        }
        let greeting = Self::read(&content)?;
        let missing =
            WANTED & !greeting.capabilities & !(capability::LONG_PASSWORD | capability::LONG_FLAG);
        if missing != 0 {
            return Err(Fault::Lost(
                "expected MySQL 5.7 or MariaDB 10.2, or newer".into(),
            ));
        }
        Ok(greeting)
    }

    fn read(content: &[u8]) -> io::Result<Self> {
        let mut content = Content(content);
        if content.byte()? != 10 {
            return Err(broken("this is no server of MySQL's protocol"));
        }
        content.terminated();
        let id = content.long()?;
        let mut nonce = content.bytes(8)?.to_owned();
        content.byte()?;
        let low = content.short()?;
        // The character set and the status.
        content.bytes(3)?;
        let high = content.short()?;
        let length = content.byte()?;
        content.bytes(10)?;
        let rest = usize::from(length).saturating_sub(8).max(13);
        let rest = content.bytes(rest.min(content.0.len()))?;
        nonce.extend_from_slice(rest.strip_suffix(&[0]).unwrap_or(rest));
        let plugin = content.terminated();
        Ok(Self {
            id,
            capabilities: u32::from(high) << 16 | u32::from(low),
            nonce,
            plugin: String::from_utf8_lossy(plugin).into_owned(),
        })
    }

    pub(super) fn offers_tls(&self) -> bool {
        self.capabilities & capability::TLS != 0
    }
}

/// Asks for TLS, which begins behind it.
pub(super) async fn ask_for_tls<L: Line + ?Sized>(line: &mut L, count: &mut u8) -> io::Result<()> {
    send(line, count, &head(true)).await
}

fn head(has_tls: bool) -> Vec<u8> {
    let tls = if has_tls { capability::TLS } else { 0 };
    let mut out = Vec::with_capacity(128);
    out.extend_from_slice(&(WANTED | tls).to_le_bytes());
    out.extend_from_slice(&LONGEST.to_le_bytes());
    out.push(UTF8);
    out.extend_from_slice(&[0; 23]);
    out
}

/// How a password is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plugin {
    Native,
    CachingSha2,
}

impl Plugin {
    fn named(name: &str) -> Option<Self> {
        match name {
            "mysql_native_password" => Some(Self::Native),
            "caching_sha2_password" => Some(Self::CachingSha2),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
        }
    }

    /// Proves the password without saying it; an empty one is proven by nothing.
    fn proof(self, password: &str, nonce: &[u8]) -> Vec<u8> {
        if password.is_empty() {
            return Vec::new();
        }
        let of = |algorithm: &'static Algorithm, parts: &[&[u8]]| -> Vec<u8> {
            digest(algorithm, &parts.concat()).as_ref().to_owned()
        };
        let (once, other) = match self {
            Self::Native => {
                let algorithm = &SHA1_FOR_LEGACY_USE_ONLY;
                let once = of(algorithm, &[password.as_bytes()]);
                let twice = of(algorithm, &[&once]);
                (once, of(algorithm, &[nonce, &twice]))
            }
            Self::CachingSha2 => {
                let once = of(&SHA256, &[password.as_bytes()]);
                let twice = of(&SHA256, &[&once]);
                (once, of(&SHA256, &[&twice, nonce]))
            }
        };
        once.iter().zip(other).map(|(a, b)| a ^ b).collect()
    }
}

/// Logs in. `is_private` where nobody between can read along: by TLS, or a socket of this machine.
pub(super) async fn log_in<L: Line + ?Sized>(
    line: &mut L,
    count: &mut u8,
    greeting: Greeting,
    account: &Account<'_>,
    is_private: bool,
    has_tls: bool,
) -> Result<(), Fault> {
    let mut nonce = greeting.nonce;
    // Of what the server likes best it tells, where the account wants something else.
    let mut plugin = Plugin::named(&greeting.plugin).unwrap_or(Plugin::Native);
    let mut out = head(has_tls);
    out.extend_from_slice(account.user.as_bytes());
    out.push(0);
    put_measured(&mut out, &plugin.proof(account.password, &nonce));
    out.extend_from_slice(account.database.as_bytes());
    out.push(0);
    out.extend_from_slice(plugin.name().as_bytes());
    out.push(0);
    send(line, count, &out).await?;
    let mut has_switched = false;
    loop {
        let content = receive(line, count).await?;
        match content.split_first() {
            Some((0x00, _)) => return Ok(()),
            Some((0xff, _)) => return Err(Refusal::read(&content)?.into()),
            Some((0xfe, rest)) if !has_switched => {
                has_switched = true;
                let mut rest = Content(rest);
                let name = String::from_utf8_lossy(rest.terminated()).into_owned();
                plugin = Plugin::named(&name).ok_or_else(|| {
                    let known: String = name
                        .chars()
                        .filter(char::is_ascii_graphic)
                        .take(40)
                        .collect();
                    Fault::Lost(format!(
                        "the account logs in by {known:?}; expected mysql_native_password or \
                         caching_sha2_password"
                    ))
                })?;
                nonce = rest.0.strip_suffix(&[0]).unwrap_or(rest.0).to_owned();
                send(line, count, &plugin.proof(account.password, &nonce)).await?;
            }
            // Known from a login before.
            Some((0x01, [3])) if plugin == Plugin::CachingSha2 => {}
            Some((0x01, [4])) if plugin == Plugin::CachingSha2 => {
                let mut said = account.password.as_bytes().to_owned();
                said.push(0);
                if !is_private {
                    send(line, count, &[2]).await?;
                    let key = receive(line, count).await?;
                    let key = key
                        .strip_prefix(&[1])
                        .ok_or_else(|| broken("expected a key"))?;
                    said =
                        sealed(&said, &nonce, key).ok_or_else(|| broken("expected an RSA key"))?;
                }
                send(line, count, &said).await?;
            }
            _ => return Err(broken("the login goes on in an unknown way").into()),
        }
    }
}

/// The password under the server's key, mixed with what the server made up for this login.
fn sealed(said: &[u8], nonce: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let key = SubjectPublicKeyInfoDer::from_pem_slice(key).ok()?;
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&key).ok()?).ok()?;
    let mixed: Vec<u8> = said
        .iter()
        .zip(nonce.iter().cycle())
        .map(|(a, b)| a ^ b)
        .collect();
    if mixed.len() != said.len() {
        return None;
    }
    let mut out = vec![0; key.ciphertext_size()];
    let sealed = key
        .encrypt(&OAEP_SHA1_MGF1SHA1, &mixed, &mut out, None)
        .ok()?;
    Some(sealed.to_owned())
}

#[cfg(test)]
mod tests;
