//! CPU time of a process with all its threads and descendants, and of a core, from `/proc`.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
};

/// One process's line in `/proc/<id>/stat`.
struct Usage {
    parent: u32,
    ticks: u64,
}

/// The ticks that a process, its threads, its descendants and its reaped children have used,
/// in user and kernel mode together.
///
/// # Errors
///
/// Fails when the process is gone.
pub(crate) fn tree_ticks(root: u32) -> io::Result<u64> {
    let mut usages = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that ended since it was listed has passed its ticks to its parent.
        if let Some(usage) = usage(id) {
            usages.insert(id, usage);
        }
    }
    if !usages.contains_key(&root) {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("the server's process {root} is gone"),
        ));
    }
    let mut tree = HashSet::from([root]);
    loop {
        let before = tree.len();
        for (&id, usage) in &usages {
            if tree.contains(&usage.parent) {
                tree.insert(id);
            }
        }
        if tree.len() == before {
            break;
        }
    }
    Ok(tree
        .iter()
        .filter_map(|id| usages.get(id))
        .map(|usage| usage.ticks)
        .sum())
}

/// The ticks that a core has spent on processes, and those that the host withheld from it.
///
/// Interrupts are left out: they serve the loopback device and belong to no process.
///
/// # Errors
///
/// Fails when there is no such core.
pub(crate) fn core_ticks(core: usize) -> io::Result<u64> {
    let label = format!("cpu{core}");
    let statistics = fs::read_to_string("/proc/stat")?;
    statistics
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&label.as_str()))
        .map(|fields| {
            // proc_stat(5): user, nice and system are columns 1 to 3, steal is column 8.
            [1, 2, 3, 8]
                .into_iter()
                .filter_map(|column| fields.get(column)?.parse::<u64>().ok())
                .sum()
        })
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no core {core}")))
}

fn usage(id: u32) -> Option<Usage> {
    let line = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is a name in brackets that may itself hold spaces and brackets.
    let (_, fields) = line.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // proc_pid_stat(5): ppid is field 4, utime, stime, cutime and cstime are fields 14 to 17.
    let ticks = fields
        .get(11..15)?
        .iter()
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Some(Usage {
        parent: fields.get(1)?.parse().ok()?,
        ticks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_figure_and_a_missing_one_has_none() {
        assert!(tree_ticks(std::process::id()).is_ok());
        assert!(tree_ticks(u32::MAX).is_err());
    }

    #[test]
    fn the_first_core_has_a_figure_and_a_missing_one_has_none() {
        assert!(core_ticks(0).is_ok());
        assert!(core_ticks(100_000).is_err());
    }
}
