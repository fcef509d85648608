//! Migrations: a schema that grows in steps, each of them run once.
//!
//! The table `apifrom_migrations` keeps the place, the name and the digest of each step that was run. A
//! step that was run may not change, move or vanish; new ones stand behind all others. On SQLite and
//! PostgreSQL a step that fails leaves nothing; MySQL undoes no change of a schema, so a step there of which
//! a part was done stands as begun, and no other is run before somebody has looked at it.

use aws_lc_rs::digest::{SHA256, digest};

use super::Database;
use super::error::DatabaseError;
use super::rows::Rows;
use super::statement::Sql;
use super::value::{Parameters, Value};
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

    fn row(&self, place: usize, digest: Vec<u8>) -> Parameters {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        params![place, &self.name, digest]
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
    #[cfg(feature = "database-mysql")]
    if database.0.place.dialect() == super::statement::Dialect::MySql {
        return database.with(|session| marked::step(database, session, migrations));
    }
    database.transaction(|transaction| {
        transaction.prepare_migrations()?;
        let done = transaction.query(DONE, ())?;
        let Some(migration) = next(&done, migrations)? else {
            return Ok(false);
        };
        transaction
            .run_all(&migration.sql.0)
            .map_err(|error| named(migration, &error))?;
        transaction.execute(ADD, migration.row(done.len(), migration.digest()))?;
        Ok(true)
    })
}

const DONE: &str = "SELECT name, digest FROM apifrom_migrations ORDER BY place";
const ADD: &str = "INSERT INTO apifrom_migrations VALUES (?, ?, ?)";

/// The step that comes behind `done`, where these are the first ones.
fn next<'a>(
    done: &Rows,
    migrations: &'a [Migration],
) -> Result<Option<&'a Migration>, DatabaseError> {
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
        if row.get("digest") == Some(&Value::Blob(Vec::new())) {
            return Err(DatabaseError::statement(format!(
                "the migration {name:?} was begun and did not end: undo by hand what it did, then delete \
                 its row from apifrom_migrations"
            )));
        }
        if row.get("digest") != Some(&Value::Blob(migration.digest())) {
            return Err(DatabaseError::statement(format!(
                "the migration {name:?} was run and is another one now; add a new one instead"
            )));
        }
    }
    Ok(migrations.get(done.len()))
}

fn named(migration: &Migration, error: &DatabaseError) -> DatabaseError {
    DatabaseError::new(
        error.kind(),
        format!("the migration {:?}: {error}", migration.name),
    )
}

/// Where a change of the schema cannot be undone: a step is marked before it is run, by a digest of no
/// bytes, so that one of which a part was done is not taken for one that was not run.
#[cfg(feature = "database-mysql")]
mod marked {
    use super::super::backend::Session;
    use super::{ADD, DONE, Database, DatabaseError, Migration, named, next};
    use crate::params;

    pub(super) fn step(
        database: &Database,
        session: &Session,
        migrations: &[Migration],
    ) -> Result<bool, DatabaseError> {
        let prepared = session.prepare_migrations();
        let result = prepared.and_then(|()| locked(database, session, migrations));
        // The lock may be held though the table was refused. Where the connection is lost the lock is gone
        // with it.
        let released = session.finish_migrations();
        let is_done = result?;
        released?;
        Ok(is_done)
    }

    fn locked(
        database: &Database,
        session: &Session,
        migrations: &[Migration],
    ) -> Result<bool, DatabaseError> {
        let done = session.query(&*database.statement(DONE)?, &params![])?;
        let Some(migration) = next(&done, migrations)? else {
            return Ok(false);
        };
        let mark = migration.row(done.len(), Vec::new());
        session.execute(&*database.statement(ADD)?, &mark)?;
        let place = i64::try_from(done.len()).unwrap_or(i64::MAX);
        if let Err((is_begun, error)) = session.run_marked(&migration.sql.0) {
            if !is_begun {
                let unmark = "DELETE FROM apifrom_migrations WHERE place = ?";
                session.execute(&*database.statement(unmark)?, &params![place])?;
            }
            return Err(named(migration, &error));
        }
        let end = "UPDATE apifrom_migrations SET digest = ? WHERE place = ?";
        let values = params![migration.digest(), place];
        session.execute(&*database.statement(end)?, &values)?;
        Ok(true)
    }
}
