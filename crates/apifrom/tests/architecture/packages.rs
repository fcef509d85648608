//! What the engine depends on, by the lock file, which holds every feature and target at once.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

/// What each package of a lock file depends on, by name.
fn dependencies(lock: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut package = "";
    for line in lock.lines() {
        if let Some(name) = line.strip_prefix("name = \"") {
            package = name.trim_end_matches('"');
            graph.entry(package).or_default();
        } else if let Some(entry) = line.strip_prefix(" \"") {
            let name = entry.split([' ', '"']).next().unwrap_or_default();
            graph.entry(package).or_default().insert(name);
        }
    }
    graph
}

fn reachable<'lock>(
    graph: &BTreeMap<&'lock str, BTreeSet<&'lock str>>,
    from: &'lock str,
) -> BTreeSet<&'lock str> {
    let mut seen = BTreeSet::from([from]);
    let mut waiting = vec![from];
    while let Some(package) = waiting.pop() {
        for &next in graph.get(package).into_iter().flatten() {
            if seen.insert(next) {
                waiting.push(next);
            }
        }
    }
    seen
}

#[test]
fn no_pyo3_is_under_the_engine() -> Result<(), Box<dyn Error>> {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock"))?;
    let graph = dependencies(&lock);

    let below_engine = reachable(&graph, "apifrom");
    assert!(
        below_engine.contains("hyper"),
        "the lock file was not understood"
    );
    let python: Vec<_> = below_engine
        .iter()
        .filter(|name| name.starts_with("pyo3"))
        .collect();
    assert!(
        python.is_empty(),
        "the engine depends on {python:?}; Python belongs to crates/apifrom-python"
    );

    // The same walk finds it where it belongs, so the line above can fail.
    assert!(reachable(&graph, "apifrom-python").contains("pyo3"));
    Ok(())
}
