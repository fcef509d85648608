use proptest::prelude::*;

use super::*;
use crate::params;

fn text(sql: &str, given: &Parameters) -> String {
    let statement = Statement::parse(sql, Dialect::Sqlite).unwrap();
    statement.bind(given).unwrap().text.into_owned()
}

fn message(sql: &str, given: &Parameters) -> String {
    match Statement::parse(sql, Dialect::Sqlite) {
        Ok(statement) => statement.bind(given).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn placeholders_are_found_where_they_are_and_nowhere_else() {
    let sql = "SELECT '?', \"a?b\", `:x`, [?], 'it''s :y' -- ? :z\n FROM t /* ? ' */ WHERE a=? AND b::int";
    assert_eq!(text(sql, &params![1]), sql);
    assert!(message(sql, &params![]).contains("1 placeholders and was given 0"));
    let named = "SELECT :a, ':a', :b_1, :a";
    let given = params! { "a" => 1, "b_1" => 2 };
    assert_eq!(text(named, &given), "SELECT ?, ':a', ?, ?");
    let statement = Statement::parse(named, Dialect::Sqlite).unwrap();
    let values = statement.bind(&given).unwrap().values;
    assert_eq!(
        values,
        [&Value::Integer(1), &Value::Integer(2), &Value::Integer(1)]
    );
    assert_eq!(
        text("SELECT a$b, \u{fc}:\u{fc}", &params! { "\u{fc}" => 1 }),
        "SELECT a$b, \u{fc}?"
    );
}

#[test]
fn a_query_is_told_by_its_first_word() {
    let only_reads = |sql: &str| Statement::parse(sql, Dialect::Sqlite).unwrap().only_reads();
    for query in ["SELECT 1", " -- x\n select 1", "/* x */ VALUES (1)"] {
        assert!(only_reads(query), "{query}");
    }
    for other in [
        "WITH a AS (SELECT 1) INSERT INTO b SELECT 1",
        "DELETE FROM a",
        "selected",
        "(SELECT 1)",
    ] {
        assert!(!only_reads(other), "{other}");
    }
}

#[test]
fn a_statement_is_one() {
    assert_eq!(
        text("SELECT 1; -- done\n ;", &params![]),
        "SELECT 1; -- done\n ;"
    );
    for sql in [
        "SELECT 1; SELECT 2",
        "SELECT 1;;x",
        "; SELECT 1",
        "SELECT 1; /* */ DROP TABLE t",
    ] {
        assert!(
            message(sql, &params![]).contains("one statement a call"),
            "{sql}"
        );
    }
    for sql in ["", " ", "-- nothing", "/* nothing */ ;"] {
        assert!(message(sql, &params![]).contains("empty"), "{sql}");
    }
}

#[test]
fn what_is_wrong_is_named_and_no_value_shown() {
    let given = params!["hunter2"];
    for (sql, given, said) in [
        ("SELECT ?, :a", params![1], "both ? and :name"),
        ("SELECT ?1", given.clone(), "?1"),
        ("SELECT @a", given.clone(), "@name"),
        ("SELECT $a", given.clone(), "$name"),
        ("SELECT $1", params![], "$name"),
        ("SELECT $1, ?", given.clone(), "$name"),
        ("SELECT @1", params![], "@name"),
        ("SELECT :1", params![], ":1"),
        ("SELECT #1", params![], "no placeholders"),
        ("SELECT 'x", given.clone(), "quote"),
        ("SELECT [x", given.clone(), "bracket"),
        ("SELECT /* x", given.clone(), "comment"),
        ("SELECT 1\0", given.clone(), "NUL"),
        (
            "SELECT ?, ?",
            given.clone(),
            "2 placeholders and was given 1",
        ),
        ("SELECT :a", given.clone(), "without names"),
        ("SELECT ?", params! { "a" => 1 }, "no placeholder :a"),
        ("SELECT :a", params! { "b" => 1 }, "no placeholder :b"),
        (
            "SELECT :a, :b",
            params! { "a" => 1 },
            "the parameter b is not given",
        ),
        (
            "SELECT :a",
            params! { "a" => 1, "a" => 2 },
            "a is given twice",
        ),
        (
            "SELECT ?",
            params![f64::NAN],
            "the parameter 1 is not a finite number",
        ),
        (
            "SELECT :a",
            params! { "a" => f64::INFINITY },
            "the parameter a is not a finite",
        ),
    ] {
        let found = message(sql, &given);
        assert!(found.contains(said), "{sql}: {found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn a_list_stands_for_as_many_as_it_has() {
    let three = params![list([1, 2, 3])];
    assert_eq!(
        text("SELECT 1 WHERE a IN (?)", &three),
        "SELECT 1 WHERE a IN (?,?,?)"
    );
    assert_eq!(
        text("SELECT 1 WHERE a IN ?", &three),
        "SELECT 1 WHERE a IN (?,?,?)"
    );
    assert_eq!(
        text("SELECT 1 WHERE a IN (0, ?)", &three),
        "SELECT 1 WHERE a IN (0, (?,?,?))"
    );
    let none = params![list(Vec::<i64>::new()), 5];
    assert_eq!(
        text("SELECT 1 WHERE a IN (?) AND b = ?", &none),
        format!("SELECT 1 WHERE a IN ({NONE}) AND b = ?")
    );
}

use crate::database::list;

proptest! {
    #[test]
    fn no_text_breaks_the_reader(sql in "[ -~\\n\u{e4}]{0,40}|[?:a-c'\"`\\[\\]/*;$@ -]{0,30}") {
        if let Ok(statement) = Statement::parse(&sql, Dialect::Sqlite) {
            // What is between the placeholders is the text itself.
            let length: usize = statement.pieces.iter().map(|piece| piece.len()).sum();
            prop_assert!(length <= sql.len());
            prop_assert_eq!(statement.pieces.len(), statement.places.len() + 1);
        }
    }
}

fn postgres(sql: &str, given: &Parameters) -> Result<String, String> {
    let statement = Statement::parse(sql, Dialect::Postgres).map_err(|why| why.to_string())?;
    let bound = statement.bind(given).map_err(|why| why.to_string())?;
    assert_eq!(bound.values.len(), bound.places.len());
    Ok(bound.text.into_owned())
}

#[test]
fn postgres_is_given_numbers_and_its_own_quotes_are_left_alone() {
    for (sql, given, text) in [
        ("SELECT ?, ?", params![1, 2], "SELECT $1, $2"),
        (
            "SELECT :a, :b, :a::text",
            params! { "a" => 1, "b" => 2 },
            "SELECT $1, $2, $1::text",
        ),
        ("WHERE a=b?AND", params![1], "WHERE a=b $1 AND"),
        ("SELECT a ?? ?", params![1], "SELECT a ? $1"),
        ("SELECT a ??| ?", params![1], "SELECT a ?| $1"),
        (
            "SELECT $$?$$, $a$ $$ :x $a$, a$b$c",
            params![],
            "SELECT $$?$$, $a$ $$ :x $a$, a$b$c",
        ),
        (
            r"SELECT E'\'?', '\', ?",
            params![1],
            r"SELECT E'\'?', '\', $1",
        ),
        (
            "SELECT /* /* */ ? */ ?",
            params![1],
            "SELECT /* /* */ ? */ $1",
        ),
        (
            "SELECT a[?], a[1:2], @a, a #> b",
            params![1],
            "SELECT a[$1], a[1:2], @a, a #> b",
        ),
        (
            "a IN (?) AND b = ?",
            params![list([1, 2]), 3],
            "a IN ($1,$2) AND b = $3",
        ),
        (
            "a IN :l OR b IN(:l)",
            params! { "l" => list([1, 2]) },
            "a IN ($1,$2) OR b IN($1,$2)",
        ),
        ("a NOT IN ?", params![list([0_i64; 0])], "a <> ALL ('{}')"),
        ("a in(?)", params![list([0_i64; 0])], "a = ANY ('{}')"),
        ("ROLLBACK TO here", params![], "ROLLBACK TO here"),
    ] {
        assert_eq!(postgres(sql, &given).as_deref(), Ok(text), "{sql}");
    }
    for (sql, said) in [
        ("SELECT $1", "are no placeholders"),
        ("SELECT ?1", "are no placeholders"),
        ("SELECT $a$ ?", "not closed"),
        ("SELECT E'a\\'", "not closed"),
        ("SELECT /* /* */", "not closed"),
        ("SELECT E'a'\n'?'", "behind an E''"),
        ("SELECT 1e'?'", "a number"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("Begin", "begin()"),
        ("END", "begin()"),
        ("ROLLBACK", "rollback()"),
        ("ROLLBACK WORK", "rollback()"),
        ("copy a from stdin", "COPY"),
    ] {
        let error = postgres(sql, &params![]).unwrap_err();
        assert!(error.contains(said), "{sql}: {error}");
    }
    let nobody = params![list([0_i64; 0])];
    let error = postgres("SELECT f(?), xin (1)", &nobody).unwrap_err();
    assert!(error.contains("behind IN alone"), "{error}");
    assert!(postgres("SELECT 1 WHERE a_in (?)", &nobody).is_err());
}

proptest! {
    #[test]
    fn whatever_a_text_is_reading_it_ends_and_its_placeholders_are_counted(text in "\\PC*") {
        for dialect in [Dialect::MySql, Dialect::Postgres, Dialect::Sqlite] {
            if let Ok(statement) = Statement::parse(&text, dialect) {
                prop_assert_eq!(statement.pieces.len(), statement.places.len() + 1);
            }
        }
    }
}

fn mysql(sql: &str, given: &Parameters) -> Result<String, String> {
    let statement = Statement::parse(sql, Dialect::MySql).map_err(|why| why.to_string())?;
    let bound = statement.bind(given).map_err(|why| why.to_string())?;
    assert_eq!(bound.values.len(), bound.places.len());
    Ok(bound.text.into_owned())
}

#[test]
fn mysql_has_backslashes_and_comments_of_its_own() {
    for (sql, given, text) in [
        ("SELECT ?, ?", params![1, 2], "SELECT ?, ?"),
        ("SELECT :a, :a", params! { "a" => 1 }, "SELECT ?, ?"),
        (
            r"SELECT '\'?', '\\', ?",
            params![1],
            r"SELECT '\'?', '\\', ?",
        ),
        ("SELECT 'a''?', ?", params![1], "SELECT 'a''?', ?"),
        (
            "SELECT `a?``?`, \"?\"\"?\", ?",
            params![1],
            "SELECT `a?``?`, \"?\"\"?\", ?",
        ),
        ("SELECT # ? '\n?", params![1], "SELECT # ? '\n?"),
        ("SELECT -- ? '\n?", params![1], "SELECT -- ? '\n?"),
        ("SELECT --\n?", params![1], "SELECT --\n?"),
        ("SELECT 5--?", params![1], "SELECT 5--?"),
        ("SELECT 1 -- ", params![], "SELECT 1 -- "),
        ("SELECT 1 --", params![], "SELECT 1 --"),
        ("SELECT /*+ ? */ ?", params![1], "SELECT /*+ ? */ ?"),
        ("WHERE a=?AND b=?", params![1, 2], "WHERE a=? AND b=?"),
        ("SELECT @@version", params![], "SELECT @@version"),
        ("a IN (?)", params![list([1, 2])], "a IN (?,?)"),
        (
            "a IN ?",
            params![list([0_i64; 0])],
            "a IN (SELECT NULL FROM DUAL WHERE 0 = 1)",
        ),
        (
            "SET STATEMENT max_statement_time=1 FOR SELECT 1",
            params![],
            "SET STATEMENT max_statement_time=1 FOR SELECT 1",
        ),
        ("ROLLBACK TO here", params![], "ROLLBACK TO here"),
    ] {
        assert_eq!(mysql(sql, &given).as_deref(), Ok(text), "{sql}");
    }
    for (sql, said) in [
        ("SELECT /*! 1 */", "/*! */ is no comment"),
        ("SELECT /*M!100000 1 */", "/*! */ is no comment"),
        ("/*!50000 DROP */ TABLE t", "/*! */ is no comment"),
        (r"SELECT 'a\'", "not closed"),
        (r"SELECT 'a\", "not closed"),
        ("SELECT `a", "not closed"),
        ("SELECT @a", "are no placeholders"),
        ("SELECT $1", "are no placeholders"),
        ("SELECT ??", "are no placeholders"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT 1;-- x\nSELECT 2", "one statement"),
        ("xa start 'a'", "begin()"),
        ("START TRANSACTION", "begin()"),
        ("rollback", "rollback()"),
        ("SET sql_mode = ''", "change the connection"),
        ("SET @@session.sql_mode = ''", "change the connection"),
        ("use other", "change the connection"),
        ("LOCK TABLES a READ", "change the connection"),
        ("# nothing", "empty"),
    ] {
        let error = mysql(sql, &params![]).unwrap_err();
        assert!(error.contains(said), "{sql}: {error}");
    }
}

#[cfg(feature = "database-mysql")]
#[test]
fn what_changes_a_schema_is_told_by_its_first_word() {
    let ends = |sql: &str| {
        let statement = Statement::parse(sql, Dialect::MySql).unwrap();
        statement.ends_transaction()
    };
    for sql in [
        "CREATE TABLE t (a INT)",
        "/* x */ drop table t",
        "TRUNCATE t",
    ] {
        assert!(ends(sql), "{sql}");
    }
    for sql in [
        "CREATE TEMPORARY TABLE t (a INT)",
        "INSERT INTO t VALUES (1)",
        "SELECT 'create'",
    ] {
        assert!(!ends(sql), "{sql}");
    }
}
