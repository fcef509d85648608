"""MySQL and MariaDB: what is their own, on a MariaDB that the tests start."""

from __future__ import annotations

import datetime
import re
import socket
import threading
import time
import uuid

import pytest

from apifrom.database import (
    Database,
    DatabaseUnavailable,
    IntegrityError,
    StatementError,
    UnstorableValue,
    ident,
    insecure_raw,
    sql,
)
from tests.certificates import signed
from tests.database_server import PASSWORD


@pytest.fixture
def db(mariadb_url):
    db = Database(mariadb_url)
    db.execute(
        "CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, "
        "name VARCHAR(100) NOT NULL UNIQUE, age INT)"
    )
    db.execute_many("INSERT INTO users (name, age) VALUES (?, ?)", [("ann", 40), ("bob", None)])
    yield db
    db.close()


@pytest.fixture(scope="module")
def shared(mariadb):
    """A database whose users nobody changes."""
    db = Database(mariadb.empty("shared"))
    db.execute(
        "CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, "
        "name VARCHAR(100) NOT NULL UNIQUE, age INT)"
    )
    db.execute_many("INSERT INTO users (name, age) VALUES (?, ?)", [("ann", 40), ("bob", None)])
    yield db
    db.close()


UUID = uuid.UUID(int=7)
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("kind", "given", "back"),
    [
        ("TINYINT", -128, -128),
        ("TINYINT UNSIGNED", 255, 255),
        ("SMALLINT", 2**15 - 1, 2**15 - 1),
        ("SMALLINT UNSIGNED", 2**16 - 1, 2**16 - 1),
        ("MEDIUMINT", -(2**23), -(2**23)),
        ("INT", -(2**31), -(2**31)),
        ("INT UNSIGNED", 2**32 - 1, 2**32 - 1),
        ("BIGINT", 2**63 - 1, 2**63 - 1),
        ("BIGINT", -(2**63), -(2**63)),
        ("BIGINT UNSIGNED", 2**63 - 1, 2**63 - 1),
        ("BOOLEAN", True, 1),
        ("BIT(12)", 0xABC, 0xABC),
        ("YEAR", 2026, 2026),
        ("DECIMAL(30,8)", 5, "5.00000000"),
        ("DECIMAL(40,8)", "-12345678901234567890.00012300", "-12345678901234567890.00012300"),
        ("DECIMAL(65,0)", "9" * 65, "9" * 65),
        ("FLOAT", 0.5, 0.5),
        ("DOUBLE", 0.1, 0.1),
        ("DOUBLE", 1.7976931348623157e308, 1.7976931348623157e308),
        ("DOUBLE", 3, 3.0),
        ("TEXT", "\u00e4\n\\'\"$1?\0\N{GRINNING FACE}", "\u00e4\n\\'\"$1?\0\N{GRINNING FACE}"),
        ("TEXT", "", ""),
        ("VARCHAR(3)", "abc", "abc"),
        ("CHAR(3)", "abc", "abc"),
        ("ENUM('a','b')", "b", "b"),
        ("SET('a','b')", "a,b", "a,b"),
        ("BLOB", b"\x00\xff", b"\x00\xff"),
        ("VARBINARY(9)", b"", b""),
        ("LONGBLOB", bytes(range(256)) * 300, bytes(range(256)) * 300),
        ("DATE", datetime.date(2024, 2, 29), "2024-02-29"),
        ("DATE", datetime.date(9999, 12, 31), "9999-12-31"),
        ("TIME(6)", datetime.time(3, 4, 5, 6), "03:04:05.000006"),
        ("TIME", "-838:59:59", "-838:59:59"),
        ("DATETIME", MOMENT.replace(tzinfo=None, microsecond=0), "2026-01-02T03:04:05"),
        ("DATETIME(6)", MOMENT.replace(tzinfo=None), "2026-01-02T03:04:05.000006"),
        ("TIMESTAMP(6) NULL", "2026-01-02 03:04:05.000006", MOMENT.isoformat()),
        ("UUID", UUID, str(UUID)),
        ("JSON", '{"a": [1]}', '{"a": [1]}'),
        ("INT", None, None),
        ("TEXT", None, None),
    ],
)
def test_values_go_to_columns_of_each_type_and_come_back(shared, kind, given, back):
    shared.execute(insecure_raw(f"CREATE OR REPLACE TABLE kept (v {kind})"))
    assert shared.execute("INSERT INTO kept VALUES (:v)", {"v": given}).rows == 1
    found = shared.query_one("SELECT v FROM kept")
    assert found == {"v": back}
    assert type(found["v"]) is type(back)


@pytest.mark.parametrize(
    ("kind", "given", "error"),
    [
        ("TINYINT", 128, UnstorableValue),
        ("INT", 2**31, UnstorableValue),
        ("INT UNSIGNED", -1, UnstorableValue),
        ("BIGINT", 2**63, UnstorableValue),
        ("FLOAT", 1e300, UnstorableValue),
        ("DOUBLE", float("nan"), UnstorableValue),
        ("DECIMAL(5,2)", "hunter2", UnstorableValue),
        ("DATE", "hunter2", UnstorableValue),
        ("DATE", "2026-02-30", UnstorableValue),
        ("DATE", "0000-00-00", UnstorableValue),
        ("INT", "hunter2", UnstorableValue),
        ("VARCHAR(3)", "hunter2", UnstorableValue),
        ("ENUM('a')", "hunter2", UnstorableValue),
        ("JSON", "{hunter2", IntegrityError),
        ("INT NOT NULL", None, IntegrityError),
    ],
)
def test_what_a_type_does_not_hold_is_refused_without_the_value(shared, kind, given, error):
    shared.execute(insecure_raw(f"CREATE OR REPLACE TABLE kept (v {kind})"))
    with pytest.raises(error) as caught:
        shared.execute("INSERT INTO kept VALUES (?)", [given])
    assert "hunter2" not in str(caught.value)
    assert not shared.query("SELECT v FROM kept")
    # The connection is as good as before.
    assert shared.stats().open == 1


def test_whole_numbers_past_64_bits_are_read_as_text_or_not_at_all(db):
    db.execute("CREATE TABLE kept (v BIGINT UNSIGNED)")
    db.execute("INSERT INTO kept VALUES (?)", [str(2**64 - 1)])
    with pytest.raises(StatementError, match=r"cast it: CAST\(v AS CHAR\)"):
        db.query("SELECT v FROM kept")
    assert db.query_one("SELECT CAST(v AS CHAR) AS v FROM kept") == {"v": str(2**64 - 1)}
    assert db.stats().open == 1


@pytest.mark.parametrize(
    ("statement", "given", "back"),
    [
        ("SELECT '?' AS v", None, "?"),
        (r"SELECT 'a\'?' AS v", None, "a'?"),
        (r"SELECT 'a\\' || ? AS v", ["x"], "a\\x"),
        ("SELECT 'it''s ?' || ? AS v", ["x"], "it's ?x"),
        ("SELECT `?` AS v FROM (SELECT 1 AS `?`) AS t", None, 1),
        ('SELECT "?" AS v FROM (SELECT 1 AS "?") AS t', None, 1),
        ("SELECT `a``?` AS v FROM (SELECT 1 AS `a``?`) AS t", None, 1),
        ("SELECT # ? '\n ? AS v", ["x"], "x"),
        ("SELECT -- ? '\n ? AS v", ["x"], "x"),
        ("SELECT 5--? AS v", [1], 6),
        ("SELECT /* ? ' */ ? AS v", ["x"], "x"),
        ("SELECT /*+ ? */ ? AS v", ["x"], "x"),
        ("SELECT :a || :a AS v", {"a": "x"}, "xx"),
        ("SELECT 5 AS v WHERE 1=?AND 2=2", [1], 5),
        ("SELECT 5 AS v WHERE 1 IN (?)", [[3, 2, 1]], 5),
        ("SELECT 5 AS v WHERE 1 IN ?", [[3, 2, 1]], 5),
        ("SELECT count(*) AS v FROM users WHERE id IN (?)", [[]], 0),
        ("SELECT count(*) AS v FROM users WHERE id NOT IN (?)", [[]], 2),
        ("SELECT count(*) AS v FROM users WHERE id IN (:i) AND id = :n", {"i": [1, 2], "n": 2}, 1),
        ("SELECT @@sql_mode LIKE '%STRICT_ALL_TABLES%' AS v", None, 1),
        ("SELECT @@character_set_client AS v", None, "utf8mb4"),
        ("SELECT @@session.time_zone AS v", None, "+00:00"),
        ("SELECT /*! 1 + */ 1 AS v", None, StatementError),
        ("SELECT /*M! 1 + */ 1 AS v", None, StatementError),
        ("SELECT /*!50000 ? */ AS v", [1], StatementError),
        ("SELECT @a AS v", None, StatementError),
        ("SELECT $1 AS v", None, StatementError),
        ("SELECT ?1 AS v", None, StatementError),
        ("SELECT ?? AS v", None, StatementError),
        (r"SELECT 'a\' AS v", None, StatementError),
        ("SELECT /* 1 AS v", None, StatementError),
        ("SELECT 1 AS v; SELECT 2", None, StatementError),
        ("SELECT ? AS v", [], StatementError),
        ("SELECT ? AS v", [1, 2], StatementError),
        ("BEGIN", None, StatementError),
        ("/* x */ commit", None, StatementError),
        ("START TRANSACTION", None, StatementError),
        ("ROLLBACK", None, StatementError),
        ("SET autocommit = 0", None, StatementError),
        ("SET sql_mode = ''", None, StatementError),
        ("USE mysql", None, StatementError),
        ("LOCK TABLES users READ", None, StatementError),
        ("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE users", None, StatementError),
        ("SELECT * FROM nowhere", None, StatementError),
        ("SELECT FROM FROM", None, StatementError),
        ("DELETE FROM users WHERE id = 9", None, StatementError),
        ("SELECT 1 AS a, 2 AS a", None, StatementError),
    ],
)
def test_placeholders_are_where_the_server_sees_them(shared, statement, given, back):
    if isinstance(back, type):
        with pytest.raises(back):
            shared.query_one(statement, given)
    else:
        assert shared.query_one(statement, given) == {"v": back}
    assert shared.query_one("SELECT count(*) AS n FROM users") == {"n": 2}
    assert shared.stats().in_use == 0


def test_injections_are_data(db):
    for text in ("'; DROP TABLE users; --", "' OR '1'='1", "\\'; --", "\\", "%00", "\u02bc OR 1"):
        assert db.query_one("SELECT ? AS v", [text]) == {"v": text}
        assert not db.query("SELECT * FROM users WHERE name = ?", [text])
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}


def test_a_name_from_a_list_is_a_name_and_no_text(db):
    for name, first in (("name", "ann"), ("age", "bob")):
        order = sql("SELECT name FROM users ORDER BY {}", ident(name, allowed=["name", "age"]))
        assert db.query(order)[0].name == first


def test_what_was_done_is_counted_and_rules_are_kept(db):
    done = db.execute("INSERT INTO users (name) VALUES ('eve')")
    assert (done.rows, done.last_id) == (1, 3)
    assert db.execute("INSERT INTO users (name) VALUES ('joe') RETURNING id").last_id == 4
    # Those that were found, as elsewhere, and not those that are others now.
    assert db.execute("UPDATE users SET age = 1").rows == 4
    assert db.execute("UPDATE users SET age = 1").rows == 4
    for statement, said in (
        ("INSERT INTO users (name) VALUES (?)", "unique is violated: name"),
        ("INSERT INTO users (name, age) VALUES (nullif(?, 'ann'), 5)", "not null is .*: name"),
    ):
        with pytest.raises(IntegrityError, match=said) as caught:
            db.execute(statement, ["ann"])
        assert "'ann'" not in str(caught.value)


def test_what_a_trigger_says_is_not_shown(db):
    db.migrate(
        [
            (
                "t",
                "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW "
                "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = NEW.name",
            )
        ]
    )
    with pytest.raises(IntegrityError, match="a trigger refused it") as caught:
        db.execute("INSERT INTO users (name) VALUES (?)", ["hunter2"])
    assert "hunter2" not in str(caught.value)


def test_a_transaction_is_kept_or_undone_as_a_whole(db):
    with db.transaction() as transaction:
        transaction.execute("INSERT INTO users (name) VALUES ('eve')")
        with pytest.raises(IntegrityError):
            transaction.execute("INSERT INTO users (name) VALUES ('ann')")
        transaction.execute("SAVEPOINT here")
        transaction.execute("DELETE FROM users")
        transaction.execute("ROLLBACK TO here")
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 3}
    transaction = db.transaction()
    transaction.execute("DELETE FROM users")
    del transaction
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 3}
    assert (db.stats().open, db.stats().in_use) == (1, 0)


def test_a_change_of_the_schema_is_refused_within_a_transaction(db):
    transaction = db.transaction()
    transaction.execute("DELETE FROM users")
    for statement in ("CREATE TABLE t (a INT)", "alter table users add b int", "TRUNCATE users"):
        with pytest.raises(StatementError, match="outside of it"):
            transaction.execute(insecure_raw(statement))
    transaction.rollback()
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}


def test_a_procedure_that_commits_ends_the_transaction_and_nothing_comes_behind_it(db):
    db.execute("CREATE PROCEDURE p() COMMIT")
    transaction = db.transaction()
    transaction.execute("INSERT INTO users (name) VALUES ('eve')")
    with pytest.raises(StatementError, match="ended by a statement"):
        transaction.execute("CALL p()")
    with pytest.raises(StatementError, match="is over"):
        transaction.execute("DELETE FROM users")
    with pytest.raises(StatementError, match="is over"):
        transaction.commit()
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 3}
    db.execute("CREATE PROCEDURE q() SET autocommit = 0")
    with pytest.raises(StatementError, match="autocommit"):
        db.execute("CALL q()")
    assert db.query_one("SELECT @@autocommit AS v") == {"v": 1}
    assert db.stats().in_use == 0


def refused_procedure(before):
    """A migration that makes the procedure p: `before`, and then a name that there is."""
    body = f"{before}; INSERT INTO users (name) VALUES ('ann'); COMMIT"
    return [("p", f"CREATE PROCEDURE p() BEGIN {body}; END")]


def test_a_transaction_that_a_refused_procedure_began_is_undone_before_the_next_caller(
    mariadb_url, db
):
    db.migrate(refused_procedure("START TRANSACTION; INSERT INTO users (name) VALUES ('eve')"))
    other = Database(mariadb_url, patience=1)
    number = db.query_one("SELECT connection_id() AS v").v
    with pytest.raises(IntegrityError, match="unique is violated: name"):
        db.execute("CALL p()")
    # It keeps nothing locked, though nobody has used its connection since.
    assert other.execute("INSERT INTO users (name) VALUES ('eve')").rows == 1
    other.execute("DELETE FROM users WHERE name = 'eve'")
    # The next one gets the same connection, and what it does is kept.
    for statement in ("INSERT INTO users (name) VALUES ('zoe')", "UPDATE users SET age = 7"):
        with pytest.raises(IntegrityError, match="unique is violated: name"):
            db.execute("CALL p()")
        assert db.execute(insecure_raw(statement)).rows > 0
    assert db.query_one("SELECT connection_id() AS v").v == number
    found = other.query("SELECT name, age FROM users ORDER BY name")
    assert found == [{"name": name, "age": 7} for name in ("ann", "bob", "zoe")]
    assert (db.stats().open, db.stats().in_use) == (1, 0)
    other.close()


def test_a_refused_procedure_that_turns_autocommit_off_costs_its_connection_alone(db):
    db.migrate(refused_procedure("SET autocommit = 0"))
    number = db.query_one("SELECT connection_id() AS v").v
    with pytest.raises(IntegrityError, match="unique is violated: name"):
        db.execute("CALL p()")
    assert db.query_one("SELECT @@autocommit AS v") == {"v": 1}
    assert db.query_one("SELECT connection_id() AS v").v != number
    assert (db.stats().open, db.stats().in_use) == (1, 0)


def test_a_refused_procedure_that_commits_ends_the_transaction(db):
    db.migrate(refused_procedure("COMMIT"))
    transaction = db.transaction()
    transaction.execute("INSERT INTO users (name) VALUES ('eve')")
    with pytest.raises(IntegrityError, match="unique is violated: name"):
        transaction.execute("CALL p()")
    with pytest.raises(StatementError, match="is over"):
        transaction.execute("DELETE FROM users")
    transaction.rollback()
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 3}


def test_what_a_refused_migration_leaves_open_is_undone(db):
    steps = refused_procedure("START TRANSACTION; DELETE FROM users WHERE name = 'bob'")
    db.migrate(steps)
    bad = [*steps, ("bad", "CALL p()")]
    with pytest.raises(IntegrityError, match=r'the migration "bad": unique is violated'):
        db.migrate(bad)
    assert db.query_one("SELECT count(*) AS n FROM users") == {"n": 2}
    # What a procedure did before it failed is not known.
    with pytest.raises(StatementError, match='"bad" was begun and did not end'):
        db.migrate(bad)
    assert (db.stats().open, db.stats().in_use) == (1, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "SET STATEMENT max_statement_time = 9 FOR SET sql_mode = ''",
        "SET /* x */ SESSION sql_mode = ''",
        "EXECUTE IMMEDIATE 'SET @a = 1'",
        "PREPARE p FROM 'SELECT 1'",
    ],
)
def test_what_would_change_the_connection_for_others_is_refused(shared, statement):
    with pytest.raises(StatementError, match=r"change the connection|not supported"):
        shared.execute(statement)


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("CALL changes_it()", "SELECT @@sql_mode = '' AS v"),
        ("SET GLOBAL max_connections = 200, sql_mode = ''", "SELECT @@sql_mode = '' AS v"),
        ("SELECT GET_LOCK('mine', 1) AS v", "SELECT IS_USED_LOCK('mine') IS NOT NULL AS v"),
        ("SELECT @'mine' := 5 AS v", "SELECT @'mine' IS NOT NULL AS v"),
        (
            "CREATE TEMPORARY TABLE mine (id INT)",
            "SELECT count(*) > 0 AS v FROM information_schema.tables WHERE table_name = 'mine'",
        ),
    ],
)
@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_what_a_statement_leaves_reaches_nobody_else(db, statement, left, is_in_transaction):
    db.migrate([("p", "CREATE PROCEDURE changes_it() SET sql_mode = '', time_zone = '+01:00'")])
    before = db.query_one("SELECT connection_id() AS id, @@sql_mode AS m, @@time_zone AS z")
    assert before.z == "+00:00"
    if is_in_transaction:
        with db.transaction() as transaction:
            transaction.execute(insecure_raw(statement))
    else:
        db.execute(insecure_raw(statement))
    assert db.query_one(insecure_raw(left)) == {"v": 0}
    with pytest.raises(StatementError, match="doesn't exist"):
        db.query("SELECT * FROM mine")
    # The session is a new one on the same connection.
    after = db.query_one("SELECT connection_id() AS id, @@sql_mode AS m, @@time_zone AS z")
    assert after == before
    assert (db.stats().open, db.stats().in_use) == (1, 0)


def test_what_a_migration_leaves_reaches_nobody_else(db):
    db.migrate([("first", "SET sql_mode = ''; CREATE TEMPORARY TABLE mine (id INT)")])
    assert "STRICT_ALL_TABLES" in db.query_one("SELECT @@sql_mode AS v").v
    with pytest.raises(StatementError, match="doesn't exist"):
        db.query("SELECT * FROM mine")


@pytest.mark.parametrize("given", ["id, place", "id AS a, id AS a"])
def test_what_cannot_be_answered_is_not_done(db, given):
    db.execute("CREATE TABLE placed (id INT, place POINT)")
    with pytest.raises(StatementError):
        db.query(insecure_raw(f"INSERT INTO placed VALUES (1, POINT(1, 2)) RETURNING {given}"))
    assert not db.query("SELECT id FROM placed")


def test_a_changed_table_is_planned_anew(db):
    assert db.query_one("SELECT * FROM users WHERE id = 1").age == 40
    db.execute("ALTER TABLE users MODIFY age VARCHAR(9), ADD more INT")
    assert db.query_one("SELECT * FROM users WHERE id = 1") == {
        "id": 1,
        "name": "ann",
        "age": "40",
        "more": None,
    }


def test_more_statements_than_are_kept_are_prepared_anew(db):
    for number in range(300):
        assert db.query_one(insecure_raw(f"SELECT {number} AS v")) == {"v": number}
    kept = db.query_one("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
    assert int(kept["Value"]) < 200
    assert db.stats().open == 1


def test_long_values_go_in_several_packets_and_too_long_ones_are_refused(mariadb_url, db):
    text = "x" * (2**20)
    assert db.query_one("SELECT length(?) AS v", [text]) == {"v": 2**20}
    with pytest.raises(UnstorableValue, match="max_allowed_packet"):
        db.query_one("SELECT length(?) AS v", ["x" * (16 * 2**20)])
    db.execute("SET GLOBAL max_allowed_packet = 67108864")
    other = Database(mariadb_url)
    try:
        long = "y" * (2**24 + 9)
        assert other.query_one("SELECT ? AS v", [long]) == {"v": long}
        assert other.query_one("SELECT ? AS v", ["z" * (2**24 - 1)]).v[-1] == "z"
    finally:
        other.close()
        db.execute("SET GLOBAL max_allowed_packet = 16777216")


def test_a_connection_that_the_server_closed_is_not_handed_out(mariadb_url, db):
    other = Database(mariadb_url)
    number = other.query_one("SELECT connection_id() AS v").v
    db.execute(insecure_raw(f"KILL {number}"))
    time.sleep(0.2)
    assert other.query_one("SELECT connection_id() AS v").v != number
    assert other.stats().open == 1
    transaction = other.transaction()
    transaction.execute("DELETE FROM users")
    number = transaction.query_one("SELECT connection_id() AS v").v
    db.execute(insecure_raw(f"KILL {number}"))
    with pytest.raises(DatabaseUnavailable):
        transaction.execute("DELETE FROM users")
    with pytest.raises(DatabaseUnavailable, match="is undone"):
        transaction.commit()
    assert other.query_one("SELECT count(*) AS n FROM users") == {"n": 2}
    assert (other.stats().open, other.stats().in_use) == (1, 0)
    other.close()


def test_migrations_run_once_though_many_start(mariadb_url):
    steps = [
        ("notes", "CREATE TABLE notes (id INTEGER); INSERT INTO notes VALUES (1)"),
        ("text", "ALTER TABLE notes ADD COLUMN text TEXT"),
    ]
    counts = []

    def work():
        db = Database(mariadb_url)
        counts.append(db.migrate(steps))
        db.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 2
    db = Database(mariadb_url)
    assert db.query_one("SELECT count(*) AS n FROM notes") == {"n": 1}
    with pytest.raises(StatementError, match="is another one now"):
        db.migrate([("notes", "CREATE TABLE other (id int)"), steps[1]])
    # One that did nothing may be mended and run again.
    with pytest.raises(StatementError, match=r'the migration "bad".* near FROM'):
        db.migrate([*steps, ("bad", "SELECT FROM FROM")])
    assert db.migrate(steps) == 0
    with pytest.raises(StatementError, match="begins a transaction"):
        db.migrate([*steps, ("open", "START TRANSACTION; INSERT INTO notes (id) VALUES (2)")])
    db.execute("DELETE FROM apifrom_migrations WHERE name = 'open'")
    assert db.query_one("SELECT count(*) AS n FROM notes") == {"n": 1}
    # One of which a part was done stands in the way of all others.
    half = [*steps, ("half", "CREATE TABLE half (id int); SELECT FROM FROM")]
    with pytest.raises(StatementError, match=r'the migration "half".* near FROM'):
        db.migrate(half)
    for again in (half, [*steps, ("half", "SELECT 1")]):
        with pytest.raises(StatementError, match='"half" was begun and did not end'):
            db.migrate(again)
    # Several statements are one migration's alone.
    with pytest.raises(StatementError):
        db.query(insecure_raw("SELECT 1 AS v; SELECT 2 AS v"))
    db.close()


def test_whoever_may_not_make_the_table_of_the_migrations_keeps_nobody_from_it(
    mariadb, mariadb_url, db
):
    # Who else may be made is root's to say, who needs no password on the socket.
    root = Database(re.sub(r"ann:[^@]*@", "root@", mariadb.socket_url()))
    root.execute(insecure_raw(f"CREATE OR REPLACE USER reader IDENTIFIED BY '{PASSWORD}'"))
    root.execute("GRANT SELECT ON tested.* TO reader")
    root.close()
    steps = [("notes", "CREATE TABLE notes (id INTEGER)")]
    reader = Database(mariadb_url.replace("//ann:", "//reader:"))
    with pytest.raises(StatementError, match="denied"):
        reader.migrate(steps)
    # Its connection is idle now, and as good as before.
    assert (reader.stats().open, reader.stats().in_use) == (1, 0)
    counts = []
    thread = threading.Thread(target=lambda: counts.append(db.migrate(steps)), daemon=True)
    thread.start()
    thread.join(20)
    assert counts == [1]
    assert reader.query_one("SELECT count(*) AS n FROM users") == {"n": 2}
    assert (reader.stats().open, reader.stats().in_use) == (1, 0)
    reader.close()


def test_a_socket_of_this_machine_is_a_place(mariadb):
    db = Database(mariadb.socket_url())
    assert db.query_one("SELECT ? AS v", ["x"]) == {"v": "x"}
    assert PASSWORD not in repr(db)
    db.close()


def test_a_server_must_prove_who_it_is(mariadb, tmp_path):
    ours, others = mariadb.authority, signed(tmp_path, "others")
    local = mariadb.url().replace("127.0.0.1", "localhost")
    for options in (f"?sslrootcert={ours}", f"?sslmode=verify-full&sslrootcert={ours}"):
        db = Database(local + options)
        shown = db.query_one("SHOW SESSION STATUS LIKE 'Ssl_version'")
        assert shown["Value"] == "TLSv1.3"
        # Idle connections are taken for good.
        number = db.query_one("SELECT connection_id() AS v").v
        time.sleep(0.1)
        assert db.query_one("SELECT connection_id() AS v").v == number
        db.close()
    for url, said in (
        (f"{local}?sslrootcert={others}", "UnknownIssuer|invalid peer certificate"),
        (f"{local}?sslmode=verify-full", "UnknownIssuer|invalid peer certificate"),
        # The name in the certificate is another.
        (f"{mariadb.url()}?sslrootcert={ours}", "not valid for name|NotValidForName"),
    ):
        db = Database(url, patience=2)
        with pytest.raises(DatabaseUnavailable, match=said) as caught:
            db.ping()
        assert PASSWORD not in str(caught.value)
        assert (db.stats().open, db.stats().in_use) == (0, 0)


GREETING = (
    b"\x0a8.4.0\0\x07\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\xff\xdf\x15"
    + bytes(10)
    + b"ijklmnopqrst\0mysql_native_password\0"
)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        pytest.param(GREETING, "offers no TLS", id="no tls"),
        pytest.param(b"\xff\x10\x04Too many", "Too many", id="refused"),
        pytest.param(b"\x09", "no server of MySQL", id="another protocol"),
        pytest.param(GREETING[:20], "ends too early", id="cut"),
        pytest.param(b"", "ends too early", id="empty"),
    ],
)
def test_nothing_is_said_to_a_server_that_offers_no_tls_or_is_none(first, said):
    heard = []

    def serve(listener):
        stream, _ = listener.accept()
        with stream:
            stream.sendall(len(first).to_bytes(3, "little") + b"\0" + first)
            heard.append(stream.recv(100))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        port = listener.getsockname()[1]
        db = Database(f"mysql://ann:hunter2@127.0.0.1:{port}/app?sslmode=verify-full", patience=5)
        with pytest.raises(DatabaseUnavailable, match=said) as caught:
            db.ping()
        thread.join(10)
    assert heard == [b""]
    assert "hunter2" not in str(caught.value)
