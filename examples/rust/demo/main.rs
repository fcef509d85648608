//! A small application: notes, kept in an SQLite file. The twin of the Python demo.
//!
//! `cargo run --example demo` serves it on `127.0.0.1:8000`, or the port in `PORT`; the notes are
//! in `demo.db`, or the file in `DEMO_DATABASE`.

mod endpoints;
mod models;
mod store;

use std::error::Error;
use std::path::PathBuf;

use apifrom::middleware::SecurityHeaders;
use apifrom::{Api, DefaultAccess, endpoints};

use self::store::NoteStore;

#[expect(
    clippy::disallowed_methods,
    reason = "a program reads its environment where it begins"
)]
fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.into())
}

#[expect(clippy::print_stdout, reason = "it is what the program has to say")]
fn print_hint(port: &str, file: &str) {
    println!(
        "Notes, kept in {file}. Try:

  curl -i http://127.0.0.1:{port}/notes
  curl -i http://127.0.0.1:{port}/notes -H 'Content-Type: application/json' -d '{{\"title\": \"Milk\"}}'
  curl -i 'http://127.0.0.1:{port}/notes?limit=0'

Ctrl-C ends it.
"
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let port = variable("PORT", "8000");
    let file = variable("DEMO_DATABASE", "demo.db");
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let store = NoteStore::open(PathBuf::from(&file))?;
    print_hint(&port, &file);
    Api::new()
        .configure(|config| {
            config.title = "Notes".into();
            config.description = "Keeps notes in an SQLite file.".into();
            config.default = DefaultAccess::Deny;
        })
        .add_middleware(SecurityHeaders::new())
        .state(store)
        .endpoints(endpoints![
            endpoints::index,
            endpoints::list_notes,
            endpoints::add_note,
            endpoints::get_note,
            endpoints::finish_note,
            endpoints::remove_note,
        ])
        .run(&format!("127.0.0.1:{port}"))?;
    Ok(())
}
