//! Migrations: a schema that grows in steps, each of them run once.
//!
//! The table `apifrom_migrations` keeps the place, the name and the digest of each step that was run. A
//! step that was run may not change, move or vanish; new ones stand behind all others.

use aws_lc_rs::digest::{SHA256, digest};

use super::Database;
use super::error::DatabaseError;
use super::statement::Sql;
use super::value::{Parameter, Parameters, Value};
use crate::params;

/// One step: its name, and one statement or several.
#[derive(Debug, Clone)]
pub struct Migration {
    name: String,
    sql: Sql,
}

impl Migration {
    /// The step called `name`.
    pub fn new(name: impl Into<String>, sql: impl Into<Sql>) -> Self {
        Self {
            name: name.into(),
            sql: sql.into(),
        }
    }

    fn digest(&self) -> Vec<u8> {
        digest(&SHA256, self.sql.0.as_bytes()).as_ref().to_owned()
    }
}

impl From<(&'static str, &'static str)> for Migration {
    fn from((name, sql): (&'static str, &'static str)) -> Self {
        Self::new(name, sql)
    }
}

pub(super) fn run(database: &Database, migrations: &[Migration]) -> Result<usize, DatabaseError> {
    for (index, migration) in migrations.iter().enumerate() {
        let earlier = migrations.iter().take(index);
        if earlier.clone().any(|other| other.name == migration.name) {
            return Err(DatabaseError::statement(format!(
                "two migrations are called {:?}",
                migration.name
            )));
        }
    }
    let mut count = 0;
    // One after the other, each looking again: another process may be doing the same.
    while step(database, migrations)? {
        count += 1;
    }
    Ok(count)
}

/// Runs the next step; false where there is none.
fn step(database: &Database, migrations: &[Migration]) -> Result<bool, DatabaseError> {
    database.transaction(|transaction| {
        transaction.prepare_migrations()?;
        let done = transaction.query(
            "SELECT name, digest FROM apifrom_migrations ORDER BY place",
            (),
        )?;
        for (index, row) in done.iter().enumerate() {
            let name = row.text("name").unwrap_or_default();
            let Some(migration) = migrations.get(index) else {
                return Err(DatabaseError::statement(format!(
                    "the migration {name:?} was run and is missing now"
                )));
            };
            if migration.name != name {
                return Err(DatabaseError::statement(format!(
                    "the migration {name:?} was run where {:?} stands now",
                    migration.name
                )));
            }
            if row.get("digest") != Some(&Value::Blob(migration.digest())) {
                return Err(DatabaseError::statement(format!(
                    "the migration {name:?} was run and is another one now; add a new one instead"
                )));
            }
        }
        let Some(migration) = migrations.get(done.len()) else {
            return Ok(false);
        };
        transaction.run_all(&migration.sql.0).map_err(|error| {
            DatabaseError::new(
                error.kind(),
                format!("the migration {:?}: {error}", migration.name),
            )
        })?;
        let place = i64::try_from(done.len()).unwrap_or(i64::MAX);
        let row: Parameters = params![place, &migration.name, Parameter::from(migration.digest())];
        transaction.execute("INSERT INTO apifrom_migrations VALUES (?, ?, ?)", row)?;
        Ok(true)
    })
}
