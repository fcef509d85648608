//! Statements, and where their placeholders are.
//!
//! 1. `?` and `:name` are placeholders, one kind in a statement; `?1`, `:1`, `@name` and `$name` are none,
//!    and are refused: SQLite would take them for some, and where nothing is given for NULL.
//! 2. Nothing in strings, quoted names and comments is a placeholder, and `::` is none.
//! 3. A statement is one: what stands behind its `;` is refused.
//! 4. A list stands for as many values as it has, and for a list of no members where it has none.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::error::{DatabaseError, DatabaseErrorKind};
use super::value::{Parameter, Parameters, Value};

/// The text of a statement: a literal, or what [`sql`](super::sql) composed.
///
/// # Security
/// There is no way from a `String` to it, so a statement cannot be built out of what a request sent.
#[derive(Debug, Clone)]
pub struct Sql(pub(super) Cow<'static, str>);

impl Sql {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// A statement that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The pieces between the placeholders, one more than there are of these.
    pieces: Vec<Box<str>>,
    /// Which of `names` each placeholder is; nothing for `?`.
    places: Vec<Option<usize>>,
    names: Vec<Box<str>>,
    /// The text with `?` for each.
    plain: Box<str>,
    /// True for what begins like a query: it never waits for whoever writes.
    only_reads: bool,
}

/// A statement as a connection takes it.
#[derive(Debug, PartialEq)]
pub(super) struct Bound<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) values: Vec<&'a Value>,
}

/// What a list of no members is compared with.
const NONE: &str = "SELECT NULL WHERE 0 = 1";

impl Statement {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, DatabaseError> {
        if text.contains('\0') {
            return Err(DatabaseError::statement("the statement holds a NUL"));
        }
        let mut reader = Reader {
            text,
            at: 0,
            begin: 0,
            pieces: Vec::new(),
            places: Vec::new(),
            names: Vec::new(),
            has_words: false,
            only_reads: false,
            ended: false,
        };
        reader.read()?;
        if !reader.has_words {
            return Err(DatabaseError::statement("the statement is empty"));
        }
        let has_positional = reader.places.contains(&None);
        if has_positional && !reader.names.is_empty() {
            return Err(DatabaseError::statement(
                "the statement has both ? and :name; use one kind",
            ));
        }
        reader
            .pieces
            .push(text.get(reader.begin..).unwrap_or_default().into());
        Ok(Self {
            only_reads: reader.only_reads,
            plain: reader.pieces.join("?").into(),
            pieces: reader.pieces,
            places: reader.places,
            names: reader.names,
        })
    }

    /// True for what begins like a query: it never waits for whoever writes.
    pub(super) fn only_reads(&self) -> bool {
        self.only_reads
    }

    /// Puts `given` in the places of the placeholders.
    ///
    /// # Errors
    /// Names the parameter that is missing, too many, or that no database holds.
    pub(super) fn bind<'a>(&'a self, given: &'a Parameters) -> Result<Bound<'a>, DatabaseError> {
        let parameters = self.parameters(given)?;
        let mut values = Vec::with_capacity(parameters.len());
        let mut has_lists = false;
        for (place, parameter) in parameters.iter().enumerate() {
            match parameter {
                Parameter::One(value) => values.push(self.checked(value, place)?),
                Parameter::List(list) => {
                    has_lists = true;
                    for value in list {
                        values.push(self.checked(value, place)?);
                    }
                }
            }
        }
        let text = if has_lists {
            Cow::Owned(self.spread(&parameters))
        } else {
            Cow::Borrowed(&*self.plain)
        };
        Ok(Bound { text, values })
    }

    fn parameters<'a>(&self, given: &'a Parameters) -> Result<Vec<&'a Parameter>, DatabaseError> {
        match given {
            Parameters::Positional(given) if self.names.is_empty() => {
                if given.len() != self.places.len() {
                    return Err(DatabaseError::statement(format!(
                        "the statement has {} placeholders and was given {} parameters",
                        self.places.len(),
                        given.len()
                    )));
                }
                Ok(given.iter().collect())
            }
            Parameters::Positional(_) => Err(DatabaseError::statement(
                "the statement has placeholders like :name, and was given parameters without names",
            )),
            Parameters::Named(given) => {
                for (index, (name, _)) in given.iter().enumerate() {
                    if !self.names.iter().any(|known| **known == **name) {
                        return Err(DatabaseError::statement(format!(
                            "the statement has no placeholder :{name}"
                        )));
                    }
                    if given.iter().take(index).any(|(other, _)| other == name) {
                        return Err(DatabaseError::statement(format!(
                            "the parameter {name} is given twice"
                        )));
                    }
                }
                let find = |name: &str| {
                    let found = given.iter().find(|(known, _)| known == name);
                    found.map(|(_, parameter)| parameter).ok_or_else(|| {
                        DatabaseError::statement(format!("the parameter {name} is not given"))
                    })
                };
                self.places
                    .iter()
                    .map(|place| {
                        let name = place.and_then(|place| self.names.get(place));
                        match name {
                            Some(name) => find(name),
                            None => Err(DatabaseError::statement(
                                "the statement has placeholders like ?, and was given names",
                            )),
                        }
                    })
                    .collect()
            }
        }
    }

    /// What no database keeps as it is, is refused.
    fn checked<'a>(&self, value: &'a Value, place: usize) -> Result<&'a Value, DatabaseError> {
        let Value::Real(number) = value else {
            return Ok(value);
        };
        if number.is_finite() {
            return Ok(value);
        }
        Err(DatabaseError::new(
            DatabaseErrorKind::UnstorableValue,
            format!("{} is not a finite number", self.called(place)),
        ))
    }

    /// What errors call the parameter of a placeholder.
    pub(super) fn called(&self, place: usize) -> String {
        let name = self.places.get(place).copied().flatten();
        match name.and_then(|name| self.names.get(name)) {
            Some(name) => format!("the parameter {name}"),
            None => format!("the parameter {}", place + 1),
        }
    }

    /// The text with as many `?` as the lists have members.
    fn spread(&self, parameters: &[&Parameter]) -> String {
        let mut text = String::with_capacity(self.plain.len() + 16);
        for (index, piece) in self.pieces.iter().enumerate() {
            text.push_str(piece);
            let Some(parameter) = parameters.get(index) else {
                break;
            };
            let next = self.pieces.get(index + 1);
            let is_bracketed = piece.trim_end().ends_with('(')
                && next.is_some_and(|next| next.trim_start().starts_with(')'));
            match parameter {
                Parameter::One(_) => text.push('?'),
                Parameter::List(list) => {
                    let inner = if list.is_empty() {
                        Cow::Borrowed(NONE)
                    } else {
                        Cow::Owned(vec!["?"; list.len()].join(","))
                    };
                    // Writing into a `String` cannot fail.
                    let _ = if is_bracketed {
                        write!(text, "{inner}")
                    } else {
                        write!(text, "({inner})")
                    };
                }
            }
        }
        text
    }
}

/// Walks through a statement, byte by byte: everything that it looks for is ASCII.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Where the piece begins that is being read.
    begin: usize,
    pieces: Vec<Box<str>>,
    places: Vec<Option<usize>>,
    names: Vec<Box<str>>,
    has_words: bool,
    only_reads: bool,
    /// True behind a `;`.
    ended: bool,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), DatabaseError> {
        while let Some(byte) = self.byte(0) {
            match byte {
                b'-' if self.byte(1) == Some(b'-') => self.skip_line(),
                b'/' if self.byte(1) == Some(b'*') => self.skip_comment()?,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                b';' => {
                    self.ended = true;
                    self.at += 1;
                }
                _ if self.ended => {
                    return Err(DatabaseError::statement(
                        "there is something behind the statement's ';': one statement a call",
                    ));
                }
                byte => {
                    if !self.has_words {
                        self.has_words = true;
                        self.only_reads = self.begins_query();
                    }
                    self.word(byte)?;
                }
            }
        }
        Ok(())
    }

    fn word(&mut self, byte: u8) -> Result<(), DatabaseError> {
        match byte {
            b'\'' | b'"' | b'`' => self.skip_quoted(byte)?,
            b'[' => self.skip_bracketed()?,
            b'?' => {
                if self
                    .byte(1)
                    .is_some_and(|next| next.is_ascii_digit() || next == b'?')
                {
                    return Err(DatabaseError::statement(
                        "?1 and ?? are no placeholders; use ? or :name",
                    ));
                }
                self.place(None, 1);
            }
            b':' if self.byte(1) == Some(b':') => self.at += 2,
            b':' if self.byte(1).is_some_and(starts_name) => {
                let length = self.name_length(1);
                let name = self.text.get(self.at + 1..self.at + 1 + length);
                let name = name.unwrap_or_default();
                let known = self.names.iter().position(|known| **known == *name);
                let known = known.unwrap_or_else(|| {
                    self.names.push(name.into());
                    self.names.len() - 1
                });
                self.place(Some(known), 1 + length);
            }
            b'@' | b'$' | b'#' | b':' if self.byte(1).is_some_and(in_name) => {
                return Err(DatabaseError::statement(
                    ":1, @name and $name are no placeholders; use ? or :name",
                ));
            }
            byte if starts_name(byte) || byte.is_ascii_digit() => {
                // A name may hold a `$`, which then begins nothing.
                self.at += 1;
                while self
                    .byte(0)
                    .is_some_and(|byte| in_name(byte) || byte == b'$')
                {
                    self.at += 1;
                }
            }
            _ => self.at += 1,
        }
        Ok(())
    }

    fn begins_query(&self) -> bool {
        let word = self.text.get(self.at..self.at + self.name_length(0));
        word.is_some_and(|word| {
            word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("values")
        })
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn name_length(&self, ahead: usize) -> usize {
        let rest = self.text.as_bytes().get(self.at + ahead..);
        let rest = rest.unwrap_or_default().iter();
        rest.take_while(|byte| in_name(**byte)).count()
    }

    fn place(&mut self, name: Option<usize>, length: usize) {
        let piece = self.text.get(self.begin..self.at).unwrap_or_default();
        self.pieces.push(piece.into());
        self.places.push(name);
        self.at += length;
        self.begin = self.at;
    }

    fn skip_line(&mut self) {
        while self.byte(0).is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    fn skip_comment(&mut self) -> Result<(), DatabaseError> {
        let rest = self.text.get(self.at + 2..).unwrap_or_default();
        let end = rest.find("*/").ok_or_else(|| unclosed("comment"))?;
        self.at += 2 + end + 2;
        Ok(())
    }

    /// A doubled quote stands for itself, so it ends one and begins another.
    fn skip_quoted(&mut self, quote: u8) -> Result<(), DatabaseError> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        let end = memchr::memchr(quote, rest).ok_or_else(|| unclosed("quote"))?;
        self.at += 1 + end + 1;
        Ok(())
    }

    fn skip_bracketed(&mut self) -> Result<(), DatabaseError> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        let end = memchr::memchr(b']', rest).ok_or_else(|| unclosed("bracket"))?;
        self.at += 1 + end + 1;
        Ok(())
    }
}

fn unclosed(what: &str) -> DatabaseError {
    DatabaseError::statement(format!("a {what} in the statement is not closed"))
}

/// Bytes above ASCII are letters, as SQLite has it.
fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn in_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::params;

    fn text(sql: &str, given: &Parameters) -> String {
        let statement = Statement::parse(sql).unwrap();
        statement.bind(given).unwrap().text.into_owned()
    }

    fn message(sql: &str, given: &Parameters) -> String {
        match Statement::parse(sql) {
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
        let statement = Statement::parse(named).unwrap();
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
        let only_reads = |sql: &str| Statement::parse(sql).unwrap().only_reads();
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
            if let Ok(statement) = Statement::parse(&sql) {
                // What is between the placeholders is the text itself.
                let length: usize = statement.pieces.iter().map(|piece| piece.len()).sum();
                prop_assert!(length <= sql.len());
                prop_assert_eq!(statement.pieces.len(), statement.places.len() + 1);
            }
        }
    }
}
