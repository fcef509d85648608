//! MySQL and MariaDB: a server, over TCP with TLS or a socket of this machine.
//!
//! 1. Values travel beside a statement that the server prepared; it never asks for a file of this machine.
//! 2. Without `sslmode`, a server elsewhere must prove who it is by TLS; `sslmode=disable` is said aloud.
//! 3. A session is strict: text that is too long, a number out of range and what is no date is refused. What
//!    a column's type rounds (digits behind a scale, parts of a second) is the server's to round. `"` quotes names and `||`
//!    joins, as on the other databases; text is `utf8mb4`, and the time zone UTC.
//! 4. A statement that runs too long is ended at the server, and its connection is closed: nobody else
//!    gets one whose state is not known. So is one that was lost. After a refusal the server is asked what
//!    is open, and a transaction that a refused statement began is undone.
//!    A session that a statement may have changed is made a new one before the next caller has it.
//! 5. MySQL ends a transaction where a schema is changed. Such a statement is refused within one, and a
//!    migration is marked as begun before it is run.
//! 6. What MySQL says while a statement runs may quote what it was given, so only its code and names are
//!    kept.

mod connection;
mod login;
mod place;
mod session;
mod values;
mod wire;

pub(super) use self::place::Place;
pub(super) use self::session::Session;

use std::io;

use self::wire::Refusal;
use super::error::{DatabaseError, DatabaseErrorKind};

/// Why there is no answer.
#[derive(Debug)]
enum Fault {
    /// The server refused; the connection is as good as before.
    Refused(Refusal),
    /// Found here, before or behind what was asked; the connection is as good as before.
    Own(DatabaseError),
    /// The connection is of no use any longer.
    Lost(String),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Self::Own(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Lost(match error.kind() {
            io::ErrorKind::UnexpectedEof => "the server hung up".to_owned(),
            _ => error.to_string(),
        })
    }
}

/// When an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before any value was sent: MySQL's text is about the program's statement alone.
    Preparing,
    Running {
        has_values: bool,
    },
}

fn converted(fault: Fault, phase: Phase) -> DatabaseError {
    match fault {
        Fault::Own(error) => error,
        Fault::Lost(why) => {
            DatabaseError::unavailable(format!("the connection to MySQL is lost: {why}"))
        }
        Fault::Refused(refusal) => said(&refusal, phase),
    }
}

/// The server's own numbers of what is no fault of the statement: it is full, busy, locked, going down, or
/// does not let this account in.
fn is_unavailable(refusal: &Refusal) -> bool {
    matches!(refusal.state.get(..2), Some("08" | "28"))
        || matches!(
            refusal.code,
            1020 | 1021
                | 1037
                | 1038
                | 1040..=1045
                | 1049
                | 1053
                | 1114
                | 1129
                | 1130
                | 1152
                | 1154..=1161
                | 1184
                | 1194
                | 1195
                | 1203
                | 1205
                | 1213
                | 1226
                | 1290
                | 1317
                | 1412
                | 1461
                | 1792
                | 1836
                | 1927
                | 1969
                | 3024
                | 3169
                | 4031
        )
}

fn said(refusal: &Refusal, phase: Phase) -> DatabaseError {
    let code = refusal.code;
    let kind = match code {
        _ if is_unavailable(refusal) => DatabaseErrorKind::Unavailable,
        1364 | 1644 | 3819 => DatabaseErrorKind::Integrity,
        _ if refusal.state.starts_with("23") => DatabaseErrorKind::Integrity,
        1153 | 1264 | 1265 | 1292 | 1300 | 1366 | 1367 | 1406 | 1411 | 1690 | 3140
            if phase == (Phase::Running { has_values: true }) =>
        {
            DatabaseErrorKind::UnstorableValue
        }
        _ => DatabaseErrorKind::Statement,
    };
    let message = match (kind, code) {
        (_, 1020 | 1213) => {
            "another transaction was in the way, so this one was undone; it may be tried again"
                .into()
        }
        (_, 1205) => "another transaction keeps what this statement needs locked".into(),
        (_, 1317 | 1927 | 1969 | 3024) => "the statement was cancelled".into(),
        (_, 1064) => wrong_syntax(&refusal.message),
        (DatabaseErrorKind::Integrity, _) => broken_rule(refusal),
        _ if phase == Phase::Preparing => refusal.message.clone(),
        (DatabaseErrorKind::UnstorableValue, _) => {
            format!("a value does not fit its type: MySQL's code {code}")
        }
        _ => format!("the statement failed while it ran: MySQL's code {code}"),
    };
    DatabaseError::new(kind, message)
}

/// Where the syntax is wrong. MySQL quotes the rest of the statement, which may hold literals, so one word
/// of it is kept.
fn wrong_syntax(message: &str) -> String {
    let (_, near) = message.split_once(" near '").unwrap_or_default();
    let word: String = near
        .chars()
        .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
        .take(40)
        .collect();
    let line = message
        .rsplit_once(" at line ")
        .and_then(|(_, line)| line.parse::<u32>().ok());
    let line = line
        .map(|line| format!(" in line {line}"))
        .unwrap_or_default();
    if word.is_empty() {
        format!("the syntax of the statement is wrong{line}")
    } else {
        format!("the syntax of the statement is wrong near {word}{line}")
    }
}

/// Which rule it was. MySQL quotes the value as well, so the names alone are kept.
fn broken_rule(refusal: &Refusal) -> String {
    let message = &*refusal.message;
    let (rule, name) = match refusal.code {
        1062 | 1169 | 1586 => {
            // What stands last is the server's own, whatever the value before it says.
            let name = message.rsplit_once(" for key '").map(|(_, name)| name);
            ("unique", name.and_then(|name| name.strip_suffix('\'')))
        }
        1048 | 1364 => ("not null", between(message, '\'')),
        1216 | 1217 | 1451 | 1452 => {
            let (_, name) = message.split_once("CONSTRAINT ").unwrap_or_default();
            ("a reference", between(name, '`'))
        }
        3819 => ("a check", between(message, '\'')),
        4025 => ("a check", between(message, '`')),
        1644 => return "a trigger refused it".into(),
        _ => ("a rule", None),
    };
    let name = name.map(|name| format!(": {name}")).unwrap_or_default();
    format!("{rule} is violated{name}")
}

/// What stands between the first two quotes.
fn between(text: &str, quote: char) -> Option<&str> {
    text.split(quote).nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16, state: &str, message: &str) -> Refusal {
        Refusal {
            code,
            state: state.into(),
            message: message.into(),
        }
    }

    #[test]
    fn what_a_server_says_is_told_by_its_code_without_any_value() {
        use DatabaseErrorKind::{Integrity, Statement, Unavailable, UnstorableValue};
        for (code, state, message, kind, said_so) in [
            (
                1062,
                "23000",
                "Duplicate entry 'hunter2' for key 'for key 'x' for key 'users.name'",
                Integrity,
                "unique is violated: users.name",
            ),
            (
                1062,
                "23000",
                "Duplicate entry 'hunter2",
                Integrity,
                "unique is violated",
            ),
            (
                1048,
                "23000",
                "Column 'name' cannot be null",
                Integrity,
                "not null is violated: name",
            ),
            (
                1452,
                "23000",
                "Cannot add or update a child row: a foreign key constraint fails (`a`.`b`, \
                 CONSTRAINT `c` FOREIGN KEY (`d`) REFERENCES `e` (`f`))",
                Integrity,
                "a reference is violated: c",
            ),
            (
                4025,
                "23000",
                "CONSTRAINT `age` failed for `a`.`b`",
                Integrity,
                "a check is violated: age",
            ),
            (
                3819,
                "HY000",
                "Check constraint 'age' is violated.",
                Integrity,
                "a check is violated: age",
            ),
            (
                1644,
                "45000",
                "not hunter2",
                Integrity,
                "a trigger refused it",
            ),
            (
                1366,
                "22007",
                "Incorrect integer value: 'hunter2'",
                UnstorableValue,
                "a value does not fit its type: MySQL's code 1366",
            ),
            (
                1305,
                "42000",
                "hunter2",
                Statement,
                "the statement failed while it ran: MySQL's code 1305",
            ),
            (
                1213,
                "40001",
                "Deadlock",
                Unavailable,
                "another transaction was in the way, so this one was undone; it may be tried again",
            ),
            (
                1053,
                "08S01",
                "hunter2",
                Unavailable,
                "the statement failed while it ran: MySQL's code 1053",
            ),
        ] {
            let phase = Phase::Running { has_values: true };
            let error = said(&refusal(code, state, message), phase);
            assert_eq!((error.kind(), &*error.to_string()), (kind, said_so));
        }
        let error = said(
            &refusal(1146, "42S02", "Table 'a.b' doesn't exist"),
            Phase::Preparing,
        );
        assert_eq!(error.to_string(), "Table 'a.b' doesn't exist");
    }

    #[test]
    fn of_wrong_syntax_one_word_and_the_line_are_kept() {
        for (message, said_so) in [
            (
                "… near 'FROM t WHERE a = 'hunter2'' at line 3",
                "the syntax of the statement is wrong near FROM in line 3",
            ),
            (
                "… near ''hunter2'' at line 1",
                "the syntax of the statement is wrong in line 1",
            ),
            ("hunter2", "the syntax of the statement is wrong"),
        ] {
            let error = said(&refusal(1064, "42000", message), Phase::Preparing);
            assert_eq!(error.to_string(), said_so);
        }
    }
}
