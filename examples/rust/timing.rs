//! Whether the time of a refusal tells anything about the secret: what `make bench RUN=timing` prints.
//!
//! Each class of credential is sent many times, in random order, to the engine in this process, and
//! each refusal is timed from the call to the answer. Two classes differ by where the first wrong
//! byte stands; Welch's t of their times, with the slowest twentieth cut, says whether they can be
//! told apart (under 4.5: they cannot). The same program measures a comparison that stops at the
//! first wrong byte, and must see that one.

#![expect(
    clippy::disallowed_methods,
    reason = "a program that measures time reads the clock, and reads its environment where it begins"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table"
)]

use std::error::Error;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use apifrom::security::{
    ApiKeyRequired, BasicAuthRequired, CreateToken, JwtRequired, hash_password,
};
use apifrom::{Api, Body, Engine, Peer, Problem, Request, Response, Router, api, endpoints};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, HOST},
};

const KEY: &str = "f3b1a9c07d5e42688c1b0e9d7a6f5432f3b1a9c07d5e42688c1b0e9d7a6f5432";
const PASSWORD: &str = "correct horse battery staple and";
const SECRET: &str = "the bench's secret of more than thirty-two bytes";
const SCRYPT: &str =
    "$scrypt$ln=10,r=8,p=1$zAF2zZL2rCgrkzO+ufOmkw$m5vbbSjKdRa4YYD+VpX8WpbWzsQU8ko3xwy8nZ/3KNU";
const BCRYPT: &str = "$2b$05$I3pLuiB4z1SCClMbjDeDuOn6mcIh09o7rQuRXxrxu/IloLD7Os01y";
/// What the promise of the product is.
const T_AT_MOST: f64 = 4.5;
const T_OF_EARLY_EXIT: f64 = 10.0;
const MEDIANS_WITHIN: f64 = 0.05;

#[api(route = "/", method = "GET")]
fn open() -> &'static str {
    "in"
}

/// What a careless program does, which this one has to notice.
#[api(route = "/early-exit", method = "GET")]
fn early_exit(request: Request) -> Result<&'static str, Problem> {
    let sent = request.head().headers.get("x-api-key");
    let sent = sent.map_or(&[][..], HeaderValue::as_bytes);
    let mut pairs = sent.iter().zip(KEY.as_bytes());
    if sent.len() == KEY.len() && pairs.all(|(sent, known)| black_box(sent) == black_box(known)) {
        Ok("in")
    } else {
        Err(Problem::new(401))
    }
}

/// One comparison: credentials that are all refused, the first two of which are told apart or not.
struct Case {
    name: &'static str,
    engine: Engine,
    target: &'static str,
    header: http::HeaderName,
    /// Wrong in the first byte, wrong in the last, and an unknown user where there are users.
    credentials: Vec<String>,
    samples: usize,
    /// True for the one that must be noticed.
    is_leaky: bool,
}

/// Numbers that are random enough to draw an order from.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for the answer on this thread, without a runtime whose turns would be measured too.
fn answered(call: impl Future<Output = Response>, waker: &Waker) -> Response {
    let mut call = pin!(call);
    let mut context = Context::from_waker(waker);
    loop {
        match call.as_mut().poll(&mut context) {
            Poll::Ready(response) => return response,
            Poll::Pending => thread::park(),
        }
    }
}

/// The times of each class, in nanoseconds.
fn measure(case: &Case, draw: &mut Draw) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut times = vec![Vec::new(); case.credentials.len()];
    for done in 0..case.samples {
        if done % (case.samples / 10).max(1) == 0 {
            eprint!("\r{}: {} %   ", case.name, done * 100 / case.samples);
        }
        let class = usize::try_from(draw.next() % case.credentials.len() as u64)?;
        let (Some(text), Some(times)) = (case.credentials.get(class), times.get_mut(class)) else {
            continue;
        };
        // Every request is made anew, so that both classes lie in the same memory; and from another
        // address, so that nobody is held back.
        let [.., a, b, c] = draw.next().to_be_bytes();
        let address = SocketAddr::from((Ipv4Addr::new(10, a, b, c), 50_000));
        let peer = Arc::new(Peer::ip(address, false));
        let request = http::Request::get(case.target).header(HOST, "localhost");
        let mut head = request.body(())?.into_parts().0;
        head.headers
            .insert(case.header.clone(), HeaderValue::from_str(text)?);
        let body = Body::full(Bytes::new());
        let begin = Instant::now();
        let response = answered(case.engine.call(head, body, peer), &waker);
        let taken = begin.elapsed();
        if response.status() != StatusCode::UNAUTHORIZED {
            return Err(format!("{}: expected 401, got {}", case.name, response.status()).into());
        }
        times.push(taken.as_secs_f64() * 1e9);
    }
    eprint!("\r{:40}\r", "");
    Ok(times)
}

/// Cuts the slowest twentieth of all classes together.
fn cut(times: &mut [Vec<f64>]) {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let bound = all.get(all.len() * 19 / 20).copied().unwrap_or(f64::MAX);
    for class in times {
        class.retain(|time| *time < bound);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn mean_and_spread(times: &[f64]) -> (f64, f64) {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
    (mean, squares / (count - 1.0) / count)
}

/// Welch's t of two samples.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let ((mean, spread), (other_mean, other_spread)) =
        (mean_and_spread(one), mean_and_spread(other));
    (mean - other_mean) / (spread + other_spread).sqrt()
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// `text` with its first or its last byte changed to another letter of the same kind.
fn wrong(text: &str, at_the_end: bool) -> String {
    let place = if at_the_end { text.len() - 1 } else { 0 };
    let change = |(at, letter): (usize, char)| match letter {
        _ if at != place => letter,
        'b' => 'c',
        _ => 'b',
    };
    text.char_indices().map(change).collect()
}

fn pair(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{password}"))
    )
}

fn users(name: &'static str, stored: &str, samples: usize) -> Result<Case, Box<dyn Error>> {
    let users = BasicAuthRequired::new().user("user1", stored);
    Ok(Case {
        name,
        engine: quiet().auth(users).endpoints(endpoints![open]).build()?,
        target: "/",
        header: AUTHORIZATION,
        credentials: vec![
            pair("user1", &wrong(PASSWORD, false)),
            pair("user1", &wrong(PASSWORD, true)),
            pair("user2", &wrong(PASSWORD, true)),
        ],
        samples,
        is_leaky: false,
    })
}

/// An API whose log costs the same for everyone, since nobody reads it.
fn quiet() -> Api {
    Api::new().configure(|config| config.access_log = false)
}

fn cases(samples: usize, slow: usize) -> Result<Vec<Case>, Box<dyn Error>> {
    let keys = || vec![wrong(KEY, false), wrong(KEY, true)];
    let key_header = http::HeaderName::from_static("x-api-key");
    let api_keys = ApiKeyRequired::new().key(KEY, ["read"]);
    let token = CreateToken::new(SECRET, "HS256").sign(r#"{"sub": "user1"}"#)?;
    let (signed, signature) = token.rsplit_once('.').ok_or("a token without signature")?;
    // The last letter of 43 carries four bits; the one before it is whole.
    let (all_but_last, last) = signature.split_at(signature.len() - 1);
    Ok(vec![
        Case {
            name: "early exit (control)",
            engine: quiet().endpoints(endpoints![early_exit]).build()?,
            target: "/early-exit",
            header: key_header.clone(),
            credentials: keys(),
            samples,
            is_leaky: true,
        },
        Case {
            name: "API key",
            engine: quiet().auth(api_keys).endpoints(endpoints![open]).build()?,
            target: "/",
            header: key_header,
            credentials: keys(),
            samples,
            is_leaky: false,
        },
        Case {
            name: "JWT, HS256",
            engine: quiet()
                .router(
                    Router::new("")
                        .auth(JwtRequired::new().secret(SECRET).algorithm("HS256"))
                        .endpoints(endpoints![open]),
                )
                .build()?,
            target: "/",
            header: AUTHORIZATION,
            credentials: vec![
                format!("Bearer {signed}.{}", wrong(signature, false)),
                format!("Bearer {signed}.{}{last}", wrong(all_but_last, true)),
            ],
            samples,
            is_leaky: false,
        },
        users("Basic, plain", PASSWORD, samples)?,
        users("Basic, bcrypt", BCRYPT, slow)?,
        users("Basic, scrypt", SCRYPT, slow)?,
        users("Basic, Argon2id", &hash_password(PASSWORD)?, slow)?,
    ])
}

fn row(case: &Case, times: &[Vec<f64>]) -> (String, bool) {
    let [first, last, rest @ ..] = times else {
        return (String::new(), false);
    };
    let t = welch(first, last);
    let apart = rest
        .first()
        .map(|unknown| median(unknown) / median(last) - 1.0);
    let holds = if case.is_leaky {
        t.abs() > T_OF_EARLY_EXIT
    } else {
        t.abs() < T_AT_MOST && apart.is_none_or(|apart| apart.abs() < MEDIANS_WITHIN)
    };
    let text = format!(
        "{:22}{:>10}{:>14.0}{:>9.2}{:>18}  {}",
        case.name,
        case.samples,
        median(first),
        t,
        apart.map_or_else(
            || "-".to_owned(),
            |apart| format!("{:+.1} %", apart * 100.0)
        ),
        if holds { "held" } else { "MISSED" },
    );
    (text, holds)
}

fn number(name: &str, otherwise: usize) -> Result<usize, Box<dyn Error>> {
    match std::env::var(name) {
        Ok(text) => Ok(text.parse().map_err(|error| format!("{name}: {error}"))?),
        Err(_) => Ok(otherwise),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let samples = number("SAMPLES", 1_000_000)?;
    let slow = number("SLOW_SAMPLES", 1_000)?;
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    println!(
        "{:22}{:>10}{:>14}{:>9}{:>18}",
        "refused", "samples", "median ns", "t", "unknown user"
    );
    let mut all_hold = true;
    for case in cases(samples, slow)? {
        let mut times = measure(&case, &mut draw)?;
        cut(&mut times);
        let (text, holds) = row(&case, &times);
        println!("{text}");
        all_hold &= holds;
    }
    if all_hold {
        Ok(())
    } else {
        Err(format!("expected |t| under {T_AT_MOST}, over {T_OF_EARLY_EXIT} for the control, and medians within 5 %").into())
    }
}
