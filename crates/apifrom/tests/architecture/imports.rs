//! Which part of the engine may see which.
//!
//! 1. Every path from the crate's root counts, whether it stands in a `use`, in a signature or in a
//!    macro call; what stands under `#[cfg(test)]` may look anywhere.
//! 2. A path to what `lib.rs` re-exports (`crate::ConfigError`) counts as a path to the module that
//!    it is taken from.
//! 3. [`may_import`] alone decides.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::paths::{Mention, mentions};

/// What every stage may use; these files use each other and no stage.
const GROUND_FLOOR: &[&str] = &[
    "request",
    "rejection",
    "violation",
    "error",
    "facts",
    "stage",
    "clock",
    "json",
    "key",
    "cookie",
    "urlencoded",
    "secret",
    "response",
    "files",
    "origin",
];

/// What several stages share: state that outlives a request, the way out to other hosts, and where
/// events go.
const SHARED: &[&str] = &["store", "client", "logging"];

/// The only files that see several stages.
const COMPOSERS: &[&str] = &[
    "lib", "api", "caller", "endpoint", "engine", "config", "check",
];

/// The transports: they hold a finished engine, and the options it was started with, and call it.
const TRANSPORTS: &[&str] = &["server", "service", "testing"];

/// The folders whose every entry is a stage of its own.
const FOLDERS_OF_STAGES: &[&str] = &["middleware", "security"];

/// What every method of authentication stands on; these files use each other and no method.
const SECURITY_FLOOR: &[&str] = &[
    "security/authenticator",
    "security/back_off",
    "security/challenge",
    "security/credential",
    "security/identity",
    "security/issued_key",
    "security/jose",
    "security/key_digest",
    "security/known",
    "security/lookup",
    "security/password",
    "security/protection",
    "security/remote_keys",
    "security/revocation",
    "security/scope",
];

/// The values that the ground floor takes from a stage by name, and nothing else of that stage.
const CARRIED: &[(&str, &str)] = &[
    // A request's head carries what its path captured.
    ("request", "crate::routing::Captures"),
    // And a request who sent it.
    ("request", "crate::security::Identities"),
    // One `Json` is read from a request and written into an answer.
    ("response", "crate::extract::Json"),
];

/// Whether the files of `importer` may name `target`. Units are named by their path: `routing`,
/// `middleware/cors`.
fn may_import(importer: &str, target: &str) -> bool {
    let own = importer == target
        || target
            .strip_prefix(importer)
            .is_some_and(|rest| rest.starts_with('/'));
    own || COMPOSERS.contains(&importer)
        || GROUND_FLOOR.contains(&target)
        || (SECURITY_FLOOR.contains(&target) && importer.starts_with("security/"))
        || (SHARED.contains(&target) && !GROUND_FLOOR.contains(&importer))
        || (TRANSPORTS.contains(&importer) && ["engine", "config"].contains(&target))
}

/// One source file, by its path under `src`.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The names from the crate's root down to the file's module.
    fn module(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .path
            .with_extension("")
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        if names.last().is_some_and(|name| name == "mod") {
            names.pop();
        }
        names
    }

    fn is_test(&self) -> bool {
        self.module().iter().any(|name| name == "tests")
    }
}

/// A path from one unit to another that the design does not allow.
#[derive(Debug)]
struct Breach {
    file: PathBuf,
    line: usize,
    importer: String,
    target: String,
    path: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            importer,
            target,
            path,
        } = self;
        write!(
            formatter,
            "crates/apifrom/src/{}:{line}: `{importer}` uses `{target}` (`{path}`)\n    ",
            file.display()
        )?;
        if GROUND_FLOOR.contains(&importer.as_str()) {
            write!(
                formatter,
                "the ground floor knows no stage: move the type here, or take it as a trait"
            )
        } else {
            write!(
                formatter,
                "a stage sees only the ground floor ({}), {}: \
                 move what both need there, or let engine.rs hand it over",
                GROUND_FLOOR.join(", "),
                SHARED.join(", ")
            )
        }
    }
}

fn breaches(sources: &[Source]) -> Result<Vec<Breach>, Box<dyn Error>> {
    let modules: BTreeSet<String> = sources
        .iter()
        .filter_map(|source| source.module().first().cloned())
        .collect();
    let mut root_names = BTreeMap::new();
    for source in sources
        .iter()
        .filter(|source| source.path == Path::new("lib.rs"))
    {
        for mention in mentions(&source.text, &[])? {
            if let [module, .., name] = mention.names.as_slice() {
                root_names.insert(name.clone(), module.clone());
            }
        }
    }

    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let importer = unit(&source.module());
        for Mention { line, names } in mentions(&source.text, &source.module())? {
            let Some(first) = names.first() else { continue };
            let target = match root_names.get(first) {
                _ if modules.contains(first) => unit(&names),
                Some(module) => module.clone(),
                // A macro or an item of lib.rs itself, which is nobody's stage.
                None => continue,
            };
            // A group names one module several times over; once a line is enough.
            let known = |breach: &Breach| {
                breach.file == source.path && breach.line == line && breach.target == target
            };
            let path = format!("crate::{}", names.join("::"));
            let carried = CARRIED.contains(&(importer.as_str(), path.as_str()));
            if !may_import(&importer, &target) && !carried && !found.iter().any(known) {
                found.push(Breach {
                    file: source.path.clone(),
                    line,
                    importer: importer.clone(),
                    target,
                    path,
                });
            }
        }
    }
    Ok(found)
}

/// The unit that a module path lies in: its first name, and the second too in a folder of stages.
fn unit(names: &[String]) -> String {
    match names {
        [folder, stage, ..]
            if FOLDERS_OF_STAGES.contains(&folder.as_str()) && is_module_name(stage) =>
        {
            format!("{folder}/{stage}")
        }
        [first, ..] => first.clone(),
        [] => "lib".to_owned(),
    }
}

fn is_module_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
}

fn engine_sources() -> Result<Vec<Source>, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(Source {
                    text: fs::read_to_string(&path)?,
                    path: path.strip_prefix(&root)?.to_owned(),
                });
            }
        }
    }
    Ok(sources)
}

fn made_up(files: &[(&str, &str)]) -> Vec<Source> {
    files
        .iter()
        .map(|(path, text)| Source {
            path: PathBuf::from(path),
            text: (*text).to_owned(),
        })
        .collect()
}

#[test]
fn a_stage_imports_the_ground_floor_and_no_other_stage() -> Result<(), Box<dyn Error>> {
    let sources = engine_sources()?;
    assert!(
        sources.len() > 10,
        "only {} sources found: this test looks in the wrong place",
        sources.len()
    );

    let found: Vec<String> = breaches(&sources)?
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    Ok(())
}

#[test]
fn every_value_that_the_ground_floor_carries_is_still_carried() -> Result<(), Box<dyn Error>> {
    let sources = engine_sources()?;
    for (importer, path) in CARRIED {
        let mut used = false;
        for source in sources
            .iter()
            .filter(|source| unit(&source.module()) == *importer)
        {
            let mentions = mentions(&source.text, &source.module())?;
            used |= mentions
                .iter()
                .any(|mention| format!("crate::{}", mention.names.join("::")) == *path);
        }
        assert!(
            used,
            "`{importer}` no longer uses `{path}`: take it off `CARRIED`"
        );
    }
    Ok(())
}

#[test]
fn a_path_to_another_stage_is_reported_however_it_is_written() -> Result<(), Box<dyn Error>> {
    let lib = (
        "lib.rs",
        "mod routing;\nmod middleware;\npub use self::routing::Router;",
    );
    let routing = ("routing/mod.rs", "pub struct Router;");
    let writings = [
        "use crate::routing::Router;",
        "use crate::{error::ConfigError, routing::{self as way, Router}};",
        "use super::super::routing::Router;",
        "use crate::Router;",
        "fn route() -> crate::routing::Router { loop {} }",
        "macro_rules! route { () => { $crate::routing::Router } }",
        "mod inner { use super::super::super::routing; }",
        "use super::csrf::Csrf;",
        "use crate::middleware::csrf::Csrf;",
    ];
    for writing in writings {
        let text = format!("//! Decides.\n\n{writing}\n");
        let files = [
            lib,
            routing,
            ("middleware/csrf.rs", ""),
            ("middleware/cors/mod.rs", text.as_str()),
        ];
        let found = breaches(&made_up(&files))?;
        assert_eq!(found.len(), 1, "{writing}: {found:?}");
        let message = found.first().map(ToString::to_string).unwrap_or_default();
        assert!(
            message
                .starts_with("crates/apifrom/src/middleware/cors/mod.rs:3: `middleware/cors` uses"),
            "{message}"
        );
        assert!(message.contains("let engine.rs hand it over"), "{message}");
    }
    Ok(())
}

#[test]
fn the_ground_floor_imports_no_stage() -> Result<(), Box<dyn Error>> {
    let files = [
        ("request.rs", "use crate::routing::Router;"),
        ("routing/mod.rs", ""),
        ("lib.rs", ""),
    ];
    let found = breaches(&made_up(&files))?;
    assert!(
        matches!(found.as_slice(), [breach] if breach.to_string().contains("knows no stage")),
        "{found:?}"
    );
    Ok(())
}

#[test]
fn what_the_design_allows_passes() -> Result<(), Box<dyn Error>> {
    let files = [
        (
            "lib.rs",
            "mod engine;\nmod error;\npub use self::error::ConfigError;\npub use self::engine::Engine;",
        ),
        (
            "engine.rs",
            "use crate::middleware::Cors;\nuse crate::routing::Router;",
        ),
        ("error.rs", ""),
        ("store/mod.rs", "use crate::clock::Clock;"),
        ("clock.rs", ""),
        (
            "middleware/mod.rs",
            "mod cors;\npub use self::cors::Cors;\npub use self::csrf::Csrf;",
        ),
        ("middleware/csrf.rs", "pub(in crate::engine) fn reach() {}"),
        (
            "middleware/cors/mod.rs",
            "use crate::ConfigError;\nuse crate::store::Store;\nuse self::origin::Origin;\nuse super::cors::wire;\n\
             // use crate::routing::Router;\nconst TEXT: &str = \"crate::routing\";\n\
             impl Cors { fn decide(&self) { self.origin() } }\n\
             #[cfg(test)]\nmod tests { use crate::routing::Router; }",
        ),
        ("middleware/cors/origin.rs", "use super::Cors;"),
        ("middleware/cors/tests.rs", "use crate::routing::Router;"),
        ("routing/mod.rs", ""),
        ("server/mod.rs", "use crate::engine::Engine;"),
    ];
    let found = breaches(&made_up(&files))?;
    assert!(found.is_empty(), "{found:?}");
    Ok(())
}
