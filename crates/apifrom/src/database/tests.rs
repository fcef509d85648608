use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use super::*;
use crate::clock::instant;
use crate::params;

/// A folder that is gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("apifrom-database-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn url(&self) -> String {
        format!("sqlite:///{}", self.0.join("app.db").display())
    }

    fn open(&self) -> Database {
        Database::open(&self.url()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn memory() -> Database {
    let db = Database::open("sqlite://:memory:").unwrap();
    db.execute(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INTEGER)",
        (),
    )
    .unwrap();
    db
}

#[test]
fn what_a_statement_is_given_is_data_whatever_it_says() {
    let db = memory();
    let payloads = [
        "'; DROP TABLE users; --",
        "\" OR 1=1 --",
        "' OR '1'='1",
        "?, :name, @x, $y",
        "\u{1f389} \\' %_",
        "",
    ];
    for payload in payloads {
        db.execute("INSERT INTO users (name) VALUES (?)", params![payload])
            .unwrap();
        let sql = "SELECT name FROM users WHERE name = :name";
        let found = db.query(sql, params! { "name" => payload }).unwrap();
        assert_eq!(found.len(), 1, "{payload}");
        assert_eq!(found.get(0).unwrap().text("name"), Some(payload));
    }
    let count = db.query_one("SELECT count(*) AS n FROM users", ()).unwrap();
    assert_eq!(count.unwrap().integer("n"), Some(6));
}

#[test]
fn values_come_back_as_they_went() {
    let db = memory();
    let values = [
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Real(0.1),
        Value::Real(f64::MAX),
        Value::Text(String::new()),
        Value::Text("\u{e4}\n'\0.".into()),
        Value::Blob(vec![0, 255]),
        Value::Blob(Vec::new()),
    ];
    for value in values {
        let row = db.query_one("SELECT ? AS v", params![value.clone()]);
        assert_eq!(row.unwrap().unwrap().get("v"), Some(&value));
    }
}

#[test]
fn a_row_is_one_or_none_and_several_are_an_error() {
    let db = memory();
    let all = ["ann", "bob"].map(|name| params![name]);
    let changed = db.execute_many("INSERT INTO users (name) VALUES (?)", all);
    assert_eq!(changed.unwrap(), 2);
    let one = db.query_one("SELECT * FROM users WHERE id = ?", params![2]);
    assert_eq!(one.unwrap().unwrap().text("name"), Some("bob"));
    let none = db.query_one("SELECT * FROM users WHERE id = ?", params![3]);
    assert_eq!(none.unwrap(), None);
    let several = db.query_one("SELECT * FROM users", ()).unwrap_err();
    assert_eq!(several.to_string(), "expected one row, found 2");
    let listed = "SELECT * FROM users WHERE id IN (?) ORDER BY id";
    assert_eq!(db.query(listed, params![list([1, 2, 9])]).unwrap().len(), 2);
    let nobody = params![list(Vec::<i64>::new())];
    assert_eq!(db.query(listed, nobody.clone()).unwrap().len(), 0);
    let all = db.query("SELECT * FROM users WHERE id NOT IN ?", nobody);
    assert_eq!(all.unwrap().len(), 2);
}

#[test]
fn rows_become_types_of_the_program_and_misfits_show_no_value() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Id(i64);

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Level {
        Admin,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct User {
        id: Id,
        name: String,
        age: Option<u8>,
        is_known: bool,
        level: Level,
    }
    let db = memory();
    let sql = "SELECT 7 AS id, 'ann' AS name, NULL AS age, 1 AS is_known, 'admin' AS level";
    let read: Vec<User> = db.query(sql, ()).unwrap().read().unwrap();
    let ann = User {
        id: Id(7),
        name: "ann".into(),
        age: None,
        is_known: true,
        level: Level::Admin,
    };
    assert_eq!(read, [ann]);
    for (sql, said) in [
        ("SELECT 300 AS age", "the column age holds a whole number"),
        ("SELECT 'hunter2' AS age", "the column age holds text"),
        (
            "SELECT 2 AS is_known",
            "the column is_known holds a whole number",
        ),
        ("SELECT 1 AS other", "missing field"),
    ] {
        #[derive(Debug, Deserialize)]
        struct Part {
            #[expect(dead_code, reason = "it is not read")]
            #[serde(default)]
            age: u8,
            #[expect(dead_code, reason = "it is not read")]
            #[serde(default)]
            is_known: bool,
        }
        #[derive(Debug, Deserialize)]
        struct Whole {
            #[expect(dead_code, reason = "it is not read")]
            id: i64,
        }
        let rows = db.query(sql, ()).unwrap();
        let error = rows
            .read::<Part>()
            .err()
            .or_else(|| rows.read::<Whole>().err());
        let error = error.unwrap().to_string();
        assert!(error.contains(said), "{error}");
        assert!(
            !error.contains("hunter2") && !error.contains("300"),
            "{error}"
        );
    }
}

#[test]
fn rows_are_written_as_json_objects() {
    let db = memory();
    let rows = db
        .query(
            "SELECT 1 AS a, 'x\"' AS b, NULL AS c, 0.5 AS d, x'6869' AS e",
            (),
        )
        .unwrap();
    let text = serde_json::to_string(&rows).unwrap();
    assert_eq!(text, r#"[{"a":1,"b":"x\"","c":null,"d":0.5,"e":"hi"}]"#);
    let bytes = db.query("SELECT x'ff' AS a", ()).unwrap();
    assert!(serde_json::to_string(&bytes).is_err());
    assert_eq!(
        format!("{rows:?} {:?}", rows.get(0)),
        "Rows(1) Some(Row(a, b, c, d, e))"
    );
}

#[test]
fn errors_say_what_kind_they_are_and_show_no_value() {
    let db = memory();
    db.execute("INSERT INTO users (name) VALUES ('hunter2')", ())
        .unwrap();
    let kind = |result: Result<Executed, DatabaseError>| {
        let error = result.unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        error.kind()
    };
    let insert = "INSERT INTO users (name) VALUES (?)";
    assert_eq!(
        kind(db.execute(insert, params!["hunter2"])),
        DatabaseErrorKind::Integrity
    );
    assert_eq!(
        kind(db.execute(insert, params![Value::Null])),
        DatabaseErrorKind::Integrity
    );
    for sql in [
        "SELECT FROM WHERE",
        "INSERT INTO nowhere VALUES ('hunter2')",
        "SELECT load_extension('hunter2')",
        "BEGIN",
        "SELECT 1; DROP TABLE users",
    ] {
        assert_eq!(
            kind(db.execute(sql, ())),
            DatabaseErrorKind::Statement,
            "{sql}"
        );
    }
    let two = db.query("SELECT 1 AS a, 2 AS a", ()).unwrap_err();
    assert!(two.to_string().contains("two columns are called \"a\""));
    let none = db.query("UPDATE users SET age = 1", ()).unwrap_err();
    assert!(none.to_string().contains("use execute"));
    // It is as usable as before.
    db.ping().unwrap();
    assert_eq!(db.stats().in_use, 0);
}

#[test]
fn what_stops_a_statement_while_it_runs_quotes_nothing_that_was_given() {
    let db = memory();
    db.execute("CREATE VIRTUAL TABLE words USING fts5(word)", ())
        .unwrap();
    db.execute("CREATE TABLE log (entry TEXT CHECK (entry <> ''))", ())
        .unwrap();
    db.migrate([(
        "guard",
        "CREATE TRIGGER guard BEFORE INSERT ON log WHEN NEW.entry = 'hunter2'
         BEGIN SELECT RAISE(ABORT, 'hunter2 is refused'); END",
    )])
    .unwrap();
    for (sql, given, kind) in [
        (
            "SELECT json_extract('{}', ?) AS a",
            "hunter2",
            DatabaseErrorKind::Statement,
        ),
        (
            "SELECT * FROM words WHERE words MATCH ?",
            "hunter2 AND (",
            DatabaseErrorKind::Statement,
        ),
        (
            "INSERT INTO log VALUES (?)",
            "hunter2",
            DatabaseErrorKind::Integrity,
        ),
        (
            "INSERT INTO log VALUES (?)",
            "",
            DatabaseErrorKind::Integrity,
        ),
    ] {
        let error = match db.query(sql, params![given]) {
            Err(error) if !error.to_string().contains("use execute") => error,
            _ => db.execute(sql, params![given]).unwrap_err(),
        };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_transaction_keeps_all_or_nothing() {
    let folder = Folder::new();
    let db = folder.open();
    db.execute("CREATE TABLE t (a INTEGER)", ()).unwrap();
    let count = || {
        let row = db.query_one("SELECT count(*) AS n FROM t", ()).unwrap();
        row.unwrap().integer("n").unwrap()
    };
    let kept: Result<(), DatabaseError> = db.transaction(|transaction| {
        transaction.execute("INSERT INTO t VALUES (1)", ())?;
        // Others see it once it is kept.
        assert_eq!(count(), 0);
        transaction.execute("INSERT INTO t VALUES (2)", ())?;
        Ok(())
    });
    kept.unwrap();
    assert_eq!(count(), 2);
    let failed: Result<(), DatabaseError> = db.transaction(|transaction| {
        transaction.execute("INSERT INTO t VALUES (3)", ())?;
        transaction.execute("INSERT INTO nowhere VALUES (3)", ())?;
        Ok(())
    });
    assert!(failed.is_err());
    let panicked = std::panic::catch_unwind(|| {
        db.transaction(|transaction| {
            transaction.execute("INSERT INTO t VALUES (4)", ()).unwrap();
            assert!(count() >= 9, "halfway");
            Ok::<_, DatabaseError>(())
        })
    });
    assert!(panicked.is_err());
    drop(db.begin().unwrap());
    let over = db.begin().unwrap();
    over.rollback().unwrap();
    assert!(over.execute("INSERT INTO t VALUES (5)", ()).is_err());
    let ended = db.begin().unwrap();
    assert!(ended.execute("COMMIT", ()).is_err());
    drop(ended);
    assert_eq!(count(), 2);
    assert_eq!(db.stats().in_use, 0);
}

#[test]
fn ten_thousand_increments_of_eight_threads_lose_nothing() {
    let folder = Folder::new();
    let db = folder.open();
    db.execute("CREATE TABLE t (n INTEGER)", ()).unwrap();
    db.execute("INSERT INTO t VALUES (0)", ()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..1_250 {
                    let done: Result<(), DatabaseError> = db.transaction(|transaction| {
                        let row = transaction.query_one("SELECT n FROM t", ())?;
                        let number = row.unwrap().integer("n").unwrap();
                        transaction.execute("UPDATE t SET n = ?", params![number + 1])?;
                        Ok(())
                    });
                    done.unwrap();
                }
            });
        }
    });
    let row = db.query_one("SELECT n FROM t", ()).unwrap().unwrap();
    assert_eq!(row.integer("n"), Some(10_000));
    assert!(db.stats().open <= 16);
}

#[test]
fn whoever_waits_for_a_connection_is_told_why_in_time() {
    let folder = Folder::new();
    let options = DatabaseOptions {
        pool_size: 1,
        patience: Duration::from_millis(50),
        ..DatabaseOptions::default()
    };
    let db = Database::open_with(&folder.url(), &options).unwrap();
    let kept = db.begin().unwrap();
    let error = db.ping().unwrap_err();
    assert_eq!(error.kind(), DatabaseErrorKind::Unavailable);
    assert!(error.to_string().contains("all 1 connections are in use"));
    drop(kept);
    db.ping().unwrap();
    // Another process writes.
    let other = folder.open();
    let writing = other.begin().unwrap();
    let error = db.begin().unwrap_err();
    assert_eq!(error.kind(), DatabaseErrorKind::Unavailable);
    drop(writing);
    db.begin().unwrap();
    db.close();
    assert!(db.ping().unwrap_err().to_string().contains("closed"));
    assert_eq!(db.stats().open, 0);
}

#[test]
fn a_new_file_that_another_writes_is_waited_for_so_long_as_patience_says() {
    let folder = Folder::new();
    let other = rusqlite::Connection::open(folder.0.join("app.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let patience = Duration::from_millis(300);
    let options = DatabaseOptions {
        patience,
        ..DatabaseOptions::default()
    };
    let hasty = Database::open_with(&folder.url(), &options).unwrap();
    let begun = instant();
    let error = hasty.ping().unwrap_err();
    assert_eq!(error.kind(), DatabaseErrorKind::Unavailable);
    assert!(begun.elapsed() >= patience, "{:?}", begun.elapsed());
    assert_eq!(hasty.stats().open, 0);
    let db = folder.open();
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| db.ping());
        std::thread::sleep(patience);
        assert!(!opening.is_finished());
        other.execute_batch("COMMIT").unwrap();
        opening.join().unwrap().unwrap();
    });
    let mode = db.query_one("PRAGMA journal_mode", ()).unwrap().unwrap();
    assert_eq!(mode.text("journal_mode"), Some("wal"));
}

#[test]
fn many_threads_may_open_a_new_file_at_once() {
    for _ in 0..100 {
        let folder = Folder::new();
        let pools = [folder.open(), folder.open()];
        let start = Barrier::new(8);
        std::thread::scope(|scope| {
            for db in pools.iter().cycle().take(8) {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    db.ping().unwrap();
                });
            }
        });
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let folder = Folder::new();
    let text = folder.0.join("app.db");
    std::fs::write(&text, "this is no database, and longer than a header of one hundred bytes ............................").unwrap();
    let error = folder.open().ping().unwrap_err();
    assert_eq!(error.kind(), DatabaseErrorKind::Unavailable);
    assert!(error.to_string().contains("app.db"), "{error}");
    let nowhere = format!("sqlite:///{}/none/app.db", folder.0.display());
    let error = Database::open(&nowhere).unwrap().ping().unwrap_err();
    assert!(error.to_string().contains("none/app.db"), "{error}");
    let directory = format!("sqlite:///{}", folder.0.display());
    assert!(Database::open(&directory).unwrap().ping().is_err());
}

#[test]
fn a_url_is_a_place_that_is_known() {
    let place = |url: &str| Database::open(url).map(|db| format!("{:?}", db.0.place));
    assert_eq!(
        place("sqlite:///app.db").unwrap(),
        r#"Sqlite(File("app.db"))"#
    );
    assert_eq!(
        place("sqlite:////var/a.db").unwrap(),
        r#"Sqlite(File("/var/a.db"))"#
    );
    for memory in ["sqlite://:memory:", "sqlite:///:memory:"] {
        assert_eq!(place(memory).unwrap(), "Sqlite(Memory)", "{memory}");
    }
    for wrong in [
        "",
        "app.db",
        "sqlite",
        "sqlite:app.db",
        "sqlite://",
        "sqlite:///",
        "sqlite://app.db",
        "sqlite:///app.db?mode=ro",
        "mongodb://user:hunter2@host/db",
        "postgresql://user:hunter2@host:x/db",
    ] {
        let error = place(wrong).unwrap_err();
        assert_eq!(error.path(), "database.url", "{wrong}");
        assert!(!error.message().contains("hunter2"));
    }
    let options = DatabaseOptions {
        pool_size: 0,
        patience: Duration::ZERO,
        deadline: Duration::ZERO,
    };
    assert_eq!(Database::open_with("x", &options).unwrap_err().len(), 4);
}

#[test]
fn migrations_run_once_and_may_not_change() {
    let folder = Folder::new();
    let db = folder.open();
    let first = (
        "users",
        "CREATE TABLE users (id INTEGER PRIMARY KEY); CREATE TABLE log (a)",
    );
    let second = ("names", "ALTER TABLE users ADD COLUMN name TEXT");
    assert_eq!(db.migrate([first]).unwrap(), 1);
    assert_eq!(db.migrate([first, second]).unwrap(), 1);
    assert_eq!(db.migrate([first, second]).unwrap(), 0);
    db.query("SELECT id, name FROM users", ()).unwrap();
    let refused = |list: &[(&'static str, &'static str)], said: &str| {
        let error = db.migrate(list.iter().copied()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    };
    refused(&[first], "\"names\" was run and is missing");
    refused(&[second, first], "was run where");
    refused(&[first, ("names", "SELECT 1")], "is another one now");
    refused(&[first, first], "two migrations are called");
    let broken = ("broken", "CREATE TABLE half (a); CREATE TABLE half (a)");
    refused(&[first, second, broken], "the migration \"broken\"");
    assert!(db.query("SELECT * FROM half", ()).is_err());
    let ends = ("ends", "CREATE TABLE half (a); COMMIT");
    refused(&[first, second, ends], "the migration \"ends\"");
    assert_eq!(db.stats().in_use, 0);
}

#[test]
fn names_come_from_a_list_and_are_quoted() {
    let db = memory();
    let order = ident("age", &["name", "age"]).unwrap();
    let rows = db.query(
        sql(
            "SELECT id FROM users ORDER BY {}",
            std::slice::from_ref(&order),
        )
        .unwrap(),
        (),
    );
    assert!(rows.unwrap().is_empty());
    for name in ["id", "age; DROP TABLE users", "AGE", ""] {
        let error = ident(name, &["name", "age"]).unwrap_err();
        assert_eq!(error.to_string(), "expected one of these names: name, age");
        assert_eq!(
            crate::Rejection::from(error).status(),
            http::StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    let odd = ident("a\" b", &["a\" b"]).unwrap();
    let composed = sql("SELECT {} FROM {}", &[odd, order.clone()]).unwrap();
    assert_eq!(composed.0, "SELECT \"a\"\" b\" FROM \"age\"");
    assert!(sql("SELECT 1", std::slice::from_ref(&order)).is_err());
    assert!(sql("SELECT {}, {}", &[order]).is_err());
    let raw = insecure_raw(format!("SELECT {}", 1 + 1));
    assert_eq!(db.query(raw, ()).unwrap().len(), 1);
}

#[test]
fn nothing_of_a_caller_reaches_the_next_one() {
    let folder = Folder::new();
    for db in [folder.open(), Database::open("sqlite://:memory:").unwrap()] {
        db.execute("CREATE TABLE a (id INTEGER PRIMARY KEY)", ())
            .unwrap();
        db.execute("INSERT INTO a VALUES (1)", ()).unwrap();
        let references = db.query("PRAGMA foreign_keys", ()).unwrap();
        for sql in [
            "PRAGMA foreign_keys = OFF",
            "PRAGMA journal_mode = DELETE",
            "ATTACH ':memory:' AS b",
            "PRAGMA defer_foreign_keys = ON",
        ] {
            let error = db.execute(sql, ()).unwrap_err();
            assert_eq!(error.kind(), DatabaseErrorKind::Statement, "{sql}");
            if !sql.contains("defer") {
                let step = db.migrate([("bad", sql)]).unwrap_err();
                assert!(step.to_string().contains("others have as well"), "{step}");
            }
        }
        let same = db.query("PRAGMA foreign_keys", ()).unwrap();
        assert_eq!(same.get(0), references.get(0));
        for sql in [
            "CREATE TEMP TABLE t (n INTEGER)",
            "CREATE TEMP VIEW \"a\"\"b\" AS SELECT 1 AS n",
            "CREATE TABLE temp.a (n INTEGER)",
            "CREATE VIRTUAL TABLE temp.words USING fts5(word)",
            "CREATE TEMP TRIGGER r AFTER INSERT ON main.a BEGIN SELECT RAISE(ABORT, 'no'); END",
        ] {
            if sql.contains("TRIGGER") {
                // Its body is several statements, so it is a migration's.
                db.migrate([("trigger", sql)]).unwrap();
            } else {
                db.execute(sql, ()).unwrap();
            }
            let left = db.query_one("SELECT count(*) AS n FROM sqlite_temp_schema", ());
            assert_eq!(left.unwrap().unwrap().integer("n"), Some(0), "{sql}");
        }
        db.execute("INSERT INTO a VALUES (2)", ()).unwrap();
        // One caller has what it made as long as its transaction lasts.
        let own: Result<Executed, DatabaseError> = db.transaction(|transaction| {
            transaction.execute("PRAGMA defer_foreign_keys = ON", ())?;
            transaction.execute("CREATE TEMP TABLE t (n INTEGER)", ())?;
            transaction.execute("INSERT INTO t SELECT id FROM a", ())
        });
        assert_eq!(own.unwrap().rows, 2);
        assert!(db.query("SELECT * FROM t", ()).is_err());
        let kept = db.query("SELECT id FROM a", ()).unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(db.stats().in_use, 0);
    }
}

#[test]
fn pragmas_that_read_are_asked_as_they_are() {
    let db = memory();
    assert_eq!(db.query("PRAGMA table_info(users)", ()).unwrap().len(), 3);
    db.execute("PRAGMA user_version = 7", ()).unwrap();
    let version = db.query_one("PRAGMA user_version", ()).unwrap().unwrap();
    assert_eq!(version.integer("user_version"), Some(7));
    db.migrate([("version", "PRAGMA user_version = 8; SELECT 1")])
        .unwrap();
}

#[test]
fn many_in_a_transaction_are_done_all_or_none_and_it_goes_on() {
    let db = memory();
    let insert = "INSERT INTO users (name) VALUES (?)";
    let kept: Result<(), DatabaseError> = db.transaction(|transaction| {
        assert_eq!(transaction.execute_many(insert, [["ann"], ["bob"]])?, 2);
        let twice = transaction.execute_many(insert, [["eve"], ["ann"]]);
        assert_eq!(twice.unwrap_err().kind(), DatabaseErrorKind::Integrity);
        transaction.execute(insert, params!["joe"])?;
        Ok(())
    });
    kept.unwrap();
    let names = db.query("SELECT name FROM users ORDER BY id", ()).unwrap();
    let names: Vec<String> = names
        .iter()
        .filter_map(|row| row.text("name").map(str::to_owned))
        .collect();
    assert_eq!(names, ["ann", "bob", "joe"]);
}
