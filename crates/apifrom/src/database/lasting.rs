//! What a statement leaves on its connection, which goes to another caller next.
//!
//! 1. What can never be right on a connection that others have as well is refused: `SET` but for a transaction
//!    (PostgreSQL) or for the server (MySQL), `USE`, `LOCK`, `LISTEN`, `ATTACH`, and a `PRAGMA` that sets
//!    anything but what the file or the transaction keeps.
//! 2. What may leave something and has its uses is marked: temporary tables, locks of the session,
//!    `set_config` that outlives its transaction, procedures. Nobody else is given the connection as it is then.
//! 3. What a function of the server's does inside is not seen.

use super::error::DatabaseError;
use super::statement::Dialect;

/// How long what a statement did to its connection lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    /// There is nothing, or it ends with the statement or the transaction.
    Nothing,
    /// Until the transaction ends, in which it must stand.
    Transaction,
    /// Until the connection ends.
    Connection,
}

/// Follows a statement, part by part: words, names and texts with their quotes, signs.
pub(super) struct Watch<'a> {
    dialect: Dialect,
    pub(super) lasting: Lasting,
    first: &'a str,
    last: &'a str,
    /// What stands before `last`.
    before: &'a str,
    count: usize,
    depth: usize,
    /// At which depths a `set_config(` is open.
    settings: Vec<usize>,
    has_create: bool,
    has_update: bool,
    has_settings: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            lasting: Lasting::Nothing,
            first: "",
            last: "",
            before: "",
            count: 0,
            depth: 0,
            settings: Vec::new(),
            has_create: false,
            has_update: false,
            has_settings: false,
        }
    }

    /// Sees the next part.
    ///
    /// # Errors
    /// When the statement changes a connection that others have as well.
    pub(super) fn see(&mut self, part: &'a str) -> Result<(), DatabaseError> {
        // SQLite reads over the mark that a file may begin with.
        let part = part.trim_start_matches('\u{feff}');
        if part.is_empty() {
            return Ok(());
        }
        if self.count == 0 {
            self.first = part;
        }
        self.has_create |= is(part, &["create"]);
        let name = part.trim_matches(['"', '`', '[', ']', '\'']);
        if self.has_create && is(name, &["temp", "temporary"]) {
            self.lasting = Lasting::Connection;
        }
        match self.dialect {
            Dialect::Sqlite => self.see_sqlite(part)?,
            Dialect::Postgres => self.see_postgres(part, name)?,
            Dialect::MySql => self.see_mysql(part)?,
        }
        self.count += 1;
        (self.before, self.last) = (self.last, part);
        Ok(())
    }

    fn see_sqlite(&mut self, part: &str) -> Result<(), DatabaseError> {
        if self.count == 0 && is(part, &["attach", "detach"]) {
            return Err(DatabaseError::statement(
                "ATTACH and DETACH change the connection, which others have as well; open another Database",
            ));
        }
        // `EXPLAIN QUERY PLAN PRAGMA …` does what it explains.
        if is(self.first, &["explain"]) && matches!(self.count, 1 | 3) && is(part, &["pragma"]) {
            return Err(DatabaseError::statement("a PRAGMA is not explained"));
        }
        if is(self.first, &["pragma"]) && matches!(part, "=" | "(") {
            if is(self.last, &["defer_foreign_keys"]) {
                self.lasting = Lasting::Transaction;
            } else if !is(self.last, &HARMLESS) {
                return Err(DatabaseError::statement(
                    "this PRAGMA changes the connection or the file, which others have as well; those that \
                     read do not, nor do user_version, application_id and, in a transaction, \
                     defer_foreign_keys",
                ));
            }
        }
        Ok(())
    }

    fn see_postgres(&mut self, part: &str, name: &str) -> Result<(), DatabaseError> {
        if is(self.first, &["set"]) {
            let is_local = is(self.last, &["local", "transaction", "constraints"]);
            match self.count {
                1 if !is(part, &["local", "transaction", "constraints"]) => return Err(set()),
                // `local.a` is a name.
                2 if is_local && part == "." => return Err(set()),
                _ => {}
            }
        }
        if self.count == 0 {
            if is(part, &["listen", "deallocate"]) {
                return Err(DatabaseError::statement(
                    "LISTEN and DEALLOCATE change the connection, which others have as well, and are not \
                     supported",
                ));
            }
            if is(part, &["call", "discard", "do", "load"]) {
                self.lasting = Lasting::Connection;
            }
        }
        let is_temporary =
            is(name, &["temp", "temporary", "local", "global"]) || begins(name, "pg_temp");
        // A table may be called so.
        let is_inserted = is(self.before, &["insert", "merge"]);
        if self.has_create && begins(name, "pg_temp")
            || is_temporary && is(self.last, &["into"]) && !is_inserted
            || is(self.first, &["declare"]) && is(part, &["hold"])
        {
            self.lasting = Lasting::Connection;
        }
        self.has_update |= is(part, &["update"]);
        self.has_settings |= is(name, &["pg_settings"]);
        if self.has_update && self.has_settings {
            self.lasting = Lasting::Connection;
        }
        match part {
            "(" => {
                let called = self.last.trim_matches('"');
                if is(called, &["set_config"]) {
                    self.settings.push(self.depth);
                } else if LEAVING.iter().any(|known| begins(called, known)) {
                    self.lasting = Lasting::Connection;
                }
                self.depth += 1;
            }
            ")" => {
                self.depth = self.depth.saturating_sub(1);
                if self.settings.last() == Some(&self.depth) {
                    self.settings.pop();
                    // `true` alone says that it ends with the transaction.
                    if self.before != "," || !is(self.last, &["true"]) {
                        self.lasting = Lasting::Connection;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn see_mysql(&mut self, part: &'a str) -> Result<(), DatabaseError> {
        let is_set = is(self.first, &["set"]);
        match self.count {
            0 if is(part, &["use", "lock"]) => return Err(changes()),
            1 if is_set && !is(part, &["global", "statement"]) => return Err(changes()),
            // Behind a comma it may set something of the session.
            1 if is_set && is(part, &["global"]) => self.lasting = Lasting::Connection,
            0 if is(part, &["execute", "deallocate"]) => {
                return Err(DatabaseError::statement(
                    "EXECUTE and DEALLOCATE are not supported; send the statement itself",
                ));
            }
            0 if is(part, &["backup", "call", "flush", "handler"]) => {
                self.lasting = Lasting::Connection;
            }
            _ => {}
        }
        // Another statement stands behind `SET STATEMENT … FOR`.
        if is_set && self.count > 1 && self.depth == 0 && is(self.last, &["for"]) {
            self.first = part;
            self.count = 0;
            return self.see_mysql(part);
        }
        match part {
            "(" => {
                let called = self.last.trim_matches('`');
                if is(called, &["get_lock"]) {
                    self.lasting = Lasting::Connection;
                }
                self.depth += 1;
            }
            ")" => self.depth = self.depth.saturating_sub(1),
            // A variable of the session, where it is no account's host.
            "@" => self.lasting = Lasting::Connection,
            _ => {}
        }
        Ok(())
    }
}

/// What of SQLite takes a value and keeps it in the file, or not at all.
const HARMLESS: [&str; 15] = [
    "application_id",
    "foreign_key_check",
    "foreign_key_list",
    "incremental_vacuum",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "optimize",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
    "wal_checkpoint",
];

/// How functions of PostgreSQL's begin that leave something.
const LEAVING: [&str; 5] = [
    "dblink_connect",
    "pg_advisory_lock",
    "pg_try_advisory_lock",
    "set_limit",
    "setseed",
];

fn set() -> DatabaseError {
    DatabaseError::statement(
        "SET changes the connection, which others have as well; SET LOCAL in a transaction does not, and what \
         all connections need belongs into the URL (options=-c%20name%3Dvalue) or to the role",
    )
}

fn changes() -> DatabaseError {
    DatabaseError::statement(
        "SET, USE and LOCK change the connection, which others have as well; SET GLOBAL and SET STATEMENT do \
         not",
    )
}

fn is(part: &str, words: &[&str]) -> bool {
    words.iter().any(|word| part.eq_ignore_ascii_case(word))
}

fn begins(part: &str, word: &str) -> bool {
    part.get(..word.len())
        .is_some_and(|part| part.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::statement::Statement;
    use super::*;

    fn lasting(dialect: Dialect, sql: &str) -> Lasting {
        Statement::parse(sql, dialect).unwrap().lasting()
    }

    fn refused(dialect: Dialect, sql: &str) -> String {
        let read = Statement::parse(sql, dialect);
        assert!(read.is_err(), "{sql}");
        read.unwrap_err().to_string()
    }

    #[test]
    fn a_pragma_reads_or_keeps_what_it_sets_in_the_file() {
        for sql in [
            "PRAGMA foreign_keys",
            "PRAGMA journal_mode",
            "pragma main.user_version = 5",
            "PRAGMA user_version",
            "PRAGMA table_info(x)",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "PRAGMA /* ? */ index_list ('x')",
            "SELECT * FROM pragma_table_info('x')",
            "SELECT pragma FROM t WHERE a = 1",
            "CREATE TABLE tempo (temp_id)",
        ] {
            assert_eq!(lasting(Dialect::Sqlite, sql), Lasting::Nothing, "{sql}");
        }
        for sql in [
            "PRAGMA foreign_keys = OFF",
            "PRAGMA foreign_keys(0)",
            "PRAGMA main.\"foreign_keys\"=0",
            "PRAGMA \"user_version\" = 1",
            "pragma journal_mode=DELETE",
            "PRAGMA user_version.foreign_keys = 0",
            "\u{feff}PRAGMA foreign_keys = 0",
            "/* x */ PRAGMA -- y\n foreign_keys /**/ = 0",
        ] {
            assert!(
                refused(Dialect::Sqlite, sql).contains("PRAGMA changes"),
                "{sql}"
            );
        }
        for sql in [
            "EXPLAIN PRAGMA foreign_keys=0",
            "explain query plan pragma a=0",
        ] {
            assert!(
                refused(Dialect::Sqlite, sql).contains("not explained"),
                "{sql}"
            );
        }
        for sql in ["ATTACH 'x' AS y", "detach y"] {
            assert!(
                refused(Dialect::Sqlite, sql).contains("another Database"),
                "{sql}"
            );
        }
        let deferred = "PRAGMA defer_foreign_keys = ON";
        assert_eq!(lasting(Dialect::Sqlite, deferred), Lasting::Transaction);
        for sql in [
            "CREATE TEMP TABLE t (a)",
            "create temporary view v as select 1",
            "CREATE TABLE temp.t (a)",
            "CREATE TABLE [temp].t (a)",
            "CREATE VIEW 'temp'.v AS SELECT 1",
        ] {
            assert_eq!(lasting(Dialect::Sqlite, sql), Lasting::Connection, "{sql}");
        }
    }

    #[test]
    fn postgres_may_set_what_ends_with_the_transaction() {
        for sql in [
            "SET LOCAL search_path = a",
            "set /* x */ local role b",
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            "SET CONSTRAINTS ALL DEFERRED",
            "RESET ALL",
            "SHOW search_path",
            "SELECT set_config('app.user', ?, true)",
            "SELECT pg_catalog.set_config('a.b', coalesce(?, 'x'), TRUE), f(1)",
            "SELECT pg_advisory_xact_lock(5)",
            "INSERT INTO temp VALUES (1)",
            "SELECT temp, local FROM readings",
            "SELECT name FROM pg_settings",
            "SELECT 'set_config(1)', $$ CREATE TEMP TABLE $$ -- pg_advisory_lock(5)",
            "CREATE FUNCTION f() RETURNS void AS $$ BEGIN SET x = 1; END $$ LANGUAGE plpgsql",
        ] {
            assert_eq!(lasting(Dialect::Postgres, sql), Lasting::Nothing, "{sql}");
        }
        for sql in [
            "SET search_path = a",
            "SET/**/ROLE a",
            "SET SESSION x = 1",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SET local.a = 'b'",
            "SET transaction . a = 'b'",
            "SET \"local\" = 1",
        ] {
            assert!(
                refused(Dialect::Postgres, sql).contains("SET LOCAL"),
                "{sql}"
            );
        }
        for sql in ["LISTEN a", "deallocate all"] {
            assert!(
                refused(Dialect::Postgres, sql).contains("not supported"),
                "{sql}"
            );
        }
        for sql in [
            "SELECT set_config('search_path', 'a', false)",
            "SELECT set_config('a', 'b', ?)",
            "SELECT \"set_config\"('a', f('b', true), 1 = 1)",
            "SELECT set_config('a', 'b', (SELECT false, true))",
            "SELECT set_config('a', 'b', NOT true)",
            "SELECT set_config /* x */ ('a', 'b', 'true')",
            "SELECT pg_advisory_lock(5)",
            "SELECT pg_try_advisory_lock_shared(5)",
            "SELECT setseed(0.5)",
            "CREATE TEMP TABLE t (a int)",
            "CREATE OR REPLACE LOCAL TEMPORARY VIEW v AS SELECT 1",
            "CREATE TABLE pg_temp.t (a int)",
            "SELECT 1 AS a INTO TEMP t",
            "SELECT * INTO LOCAL TEMPORARY TABLE t FROM a",
            "SELECT * INTO \"pg_temp\".t FROM a",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            "UPDATE pg_settings SET setting = 'off' WHERE name = 'x'",
            "DISCARD ALL",
            "DO $$ BEGIN SET x = 1; END $$",
            "CALL p()",
            "LOAD 'auto_explain'",
        ] {
            assert_eq!(
                lasting(Dialect::Postgres, sql),
                Lasting::Connection,
                "{sql}"
            );
        }
    }

    #[test]
    fn mysql_may_set_what_is_the_servers_or_the_statements() {
        for sql in [
            "SET STATEMENT max_statement_time=1 FOR SELECT * FROM t FOR UPDATE",
            "SET STATEMENT a = 1 FOR UPDATE t SET b = 2",
            "SELECT @@version",
            "SELECT '@', get_lock FROM t",
            "DO RELEASE_LOCK('a')",
            "CREATE TABLE temporarily (a INT)",
        ] {
            assert_eq!(lasting(Dialect::MySql, sql), Lasting::Nothing, "{sql}");
        }
        for sql in [
            "SET STATEMENT a = 1 FOR SET sql_mode = ''",
            "SET /* x */ SESSION a = 1",
            "SET `global` = 1",
        ] {
            assert!(
                refused(Dialect::MySql, sql).contains("change the connection"),
                "{sql}"
            );
        }
        for sql in [
            "EXECUTE IMMEDIATE 'SET a = 1'",
            "SET STATEMENT a = 1 FOR execute b",
        ] {
            assert!(
                refused(Dialect::MySql, sql).contains("statement itself"),
                "{sql}"
            );
        }
        for sql in [
            "SELECT GET_LOCK('a', 1)",
            "DO `get_lock` ('a', 1)",
            "CREATE OR REPLACE TEMPORARY TABLE t (a INT)",
            "CALL p()",
            "SET STATEMENT a = 1 FOR CALL p()",
            "FLUSH TABLES WITH READ LOCK",
            "HANDLER t OPEN",
            "SET GLOBAL a = 1, SESSION b = 2",
            "SELECT @'a' := 1",
        ] {
            assert_eq!(lasting(Dialect::MySql, sql), Lasting::Connection, "{sql}");
        }
    }
}
