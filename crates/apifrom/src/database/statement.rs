//! Statements, and where their placeholders are.
//!
//! 1. `?` and `:name` are placeholders, one kind in a statement; `?1`, `:1`, `@name` and `$name` are none,
//!    and are refused: SQLite would take them for some, and where nothing is given for NULL.
//! 2. Nothing in strings, quoted names and comments is a placeholder, and `::` is none. PostgreSQL also has
//!    `$tag$` quotes, `E''` strings, comments within comments, `[` for arrays, and operators with a `?`,
//!    which is written `??` there.
//! 3. A statement is one: what stands behind its `;` is refused.
//! 4. A list stands for as many values as it has, and for a list of no members where it has none.
//! 5. PostgreSQL is given `$1`, `$2`…, one for each name however often it stands there. A statement there
//!    neither begins nor ends a transaction: its connection would go back to the pool with it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use super::error::{DatabaseError, DatabaseErrorKind};
use super::rows::Columns;
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

/// Whose statements these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

/// A statement that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    dialect: Dialect,
    /// The pieces between the placeholders, one more than there are of these.
    pieces: Vec<Box<str>>,
    /// Which of `names` each placeholder is; nothing for `?`.
    places: Vec<Option<usize>>,
    names: Vec<Box<str>>,
    /// The text with `?` or `$1` for each.
    plain: Box<str>,
    /// True for what begins like a query: it never waits for whoever writes.
    only_reads: bool,
    /// The columns that it gave first. It gives others where the schema has changed since.
    columns: OnceLock<Arc<Columns>>,
}

/// A statement as a connection takes it.
#[derive(Debug, PartialEq)]
pub(super) struct Bound<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) values: Vec<&'a Value>,
    /// Which placeholder each value is for.
    pub(super) places: Vec<usize>,
}

/// What a list of no members is compared with.
const NONE: &str = "SELECT NULL WHERE 0 = 1";

impl Statement {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Self, DatabaseError> {
        if text.contains('\0') {
            return Err(DatabaseError::statement("the statement holds a NUL"));
        }
        let mut reader = Reader {
            dialect,
            text,
            carried: String::new(),
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
        reader.end_piece(text.len());
        let mut statement = Self {
            dialect,
            only_reads: reader.only_reads,
            plain: "".into(),
            pieces: reader.pieces,
            places: reader.places,
            names: reader.names,
            columns: OnceLock::new(),
        };
        statement.plain = match dialect {
            Dialect::Sqlite => statement.pieces.join("?").into(),
            Dialect::Postgres => {
                let one = Parameter::One(Value::Null);
                let all = vec![&one; statement.places.len()];
                statement.numbered(&all)?.0.into()
            }
        };
        Ok(statement)
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
        let has_lists = parameters
            .iter()
            .any(|parameter| matches!(parameter, Parameter::List(_)));
        let mut values = Vec::with_capacity(parameters.len());
        let mut places = Vec::with_capacity(parameters.len());
        for (place, parameter) in parameters.iter().enumerate() {
            if self.is_repeated(place) {
                continue;
            }
            let members = match parameter {
                Parameter::One(value) => std::slice::from_ref(value),
                Parameter::List(list) => list.as_slice(),
            };
            for value in members {
                values.push(self.checked(value, place)?);
                places.push(place);
            }
        }
        let text = match self.dialect {
            _ if !has_lists => Cow::Borrowed(&*self.plain),
            Dialect::Sqlite => Cow::Owned(self.spread(&parameters)),
            Dialect::Postgres => Cow::Owned(self.numbered(&parameters)?.0),
        };
        Ok(Bound {
            text,
            values,
            places,
        })
    }

    /// The columns of these names: those known from before, where they are the same.
    ///
    /// # Errors
    /// When two columns have one name.
    pub(super) fn columns<'a>(
        &self,
        names: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Arc<Columns>, DatabaseError> {
        if let Some(known) = self.columns.get()
            && known.names().eq(names.clone())
        {
            return Ok(Arc::clone(known));
        }
        let columns = Columns::new(names.map(Into::into).collect())?;
        // Only one can be first; what others read of it meanwhile is as good.
        let _ = self.columns.set(Arc::clone(&columns));
        Ok(columns)
    }

    /// True where PostgreSQL has the value already, by the same name.
    fn is_repeated(&self, place: usize) -> bool {
        let name = self.places.get(place).copied().flatten();
        self.dialect == Dialect::Postgres
            && name.is_some()
            && self.places.iter().take(place).any(|other| *other == name)
    }

    /// The text with `$1`, `$2`…, and how many there are.
    fn numbered(&self, parameters: &[&Parameter]) -> Result<(String, usize), DatabaseError> {
        let mut text = String::with_capacity(self.plain.len() + 16);
        let mut count = 0;
        let mut firsts = vec![0; self.names.len()];
        for (index, piece) in self.pieces.iter().enumerate() {
            text.push_str(piece);
            let Some(parameter) = parameters.get(index) else {
                break;
            };
            let name = self.places.get(index).copied().flatten();
            let known = name.filter(|_| self.is_repeated(index));
            let first = known.and_then(|name| firsts.get(name).copied());
            let length = match parameter {
                Parameter::One(_) => 1,
                Parameter::List(list) => list.len(),
            };
            let first = first.unwrap_or_else(|| {
                let first = count + 1;
                count += length;
                if let Some(known) = name.and_then(|name| firsts.get_mut(name)) {
                    *known = first;
                }
                first
            });
            let next = self.pieces.get(index + 1).map(|next| next.as_bytes());
            let is_bracketed = piece.trim_end().ends_with('(')
                && next.is_some_and(|next| next.trim_ascii_start().starts_with(b")"));
            if matches!(parameter, Parameter::List(list) if list.is_empty()) {
                self.put_none(&mut text, is_bracketed, index)?;
                continue;
            }
            let is_list = matches!(parameter, Parameter::List(_)) && !is_bracketed;
            // `b$1` would be a name.
            if text
                .bytes()
                .next_back()
                .is_some_and(|byte| in_name(byte) || byte == b'$')
            {
                text.push(' ');
            }
            text.push_str(if is_list { "(" } else { "" });
            for number in first..first + length {
                // Writing into a `String` cannot fail.
                let comma = if number > first { "," } else { "" };
                let _ = write!(text, "{comma}${number}");
            }
            text.push_str(if is_list { ")" } else { "" });
            if next
                .and_then(|next| next.first())
                .is_some_and(|byte| in_name(*byte))
            {
                text.push(' ');
            }
        }
        Ok((text, count))
    }

    /// Makes `IN` of a list without members what it means: PostgreSQL wants one of the right type there,
    /// and `'{}'` is an array of any.
    fn put_none(
        &self,
        text: &mut String,
        is_bracketed: bool,
        place: usize,
    ) -> Result<(), DatabaseError> {
        let before = text.trim_end();
        let before = if is_bracketed {
            before.strip_suffix('(')
        } else {
            Some(before)
        };
        let before = before.unwrap_or_default().trim_end();
        let without = |text: &str, word: &str| {
            let begin = text.len().checked_sub(word.len())?;
            let last = text.get(begin..)?;
            let is_word = last.eq_ignore_ascii_case(word)
                && !text.get(..begin)?.bytes().next_back().is_some_and(in_name);
            is_word.then(|| text.get(..begin).unwrap_or_default().trim_end().len())
        };
        let Some(length) = without(before, "in") else {
            return Err(DatabaseError::statement(format!(
                "{} is a list without members, which may stand behind IN alone",
                self.called(place)
            )));
        };
        let before = before.get(..length).unwrap_or_default();
        let (length, compared) = match without(before, "not") {
            Some(length) => (length, " <> ALL "),
            None => (length, " = ANY "),
        };
        text.truncate(length);
        text.push_str(compared);
        text.push_str(if is_bracketed { "('{}'" } else { "('{}')" });
        Ok(())
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
    dialect: Dialect,
    text: &'a str,
    /// What the piece holds already that is not in the text as it is.
    carried: String,
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
                        self.check_first_word()?;
                    }
                    self.word(byte)?;
                }
            }
        }
        Ok(())
    }

    fn word(&mut self, byte: u8) -> Result<(), DatabaseError> {
        match byte {
            b'\'' | b'"' => self.skip_quoted(byte)?,
            b'`' if self.dialect == Dialect::Sqlite => self.skip_quoted(byte)?,
            b'[' if self.dialect == Dialect::Sqlite => self.skip_bracketed()?,
            b'?' if self.byte(1) == Some(b'?') && self.dialect == Dialect::Postgres => {
                let piece = self.text.get(self.begin..=self.at).unwrap_or_default();
                self.carried.push_str(piece);
                self.at += 2;
                self.begin = self.at;
            }
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
            b'$' if self.dialect == Dialect::Postgres && self.skip_dollar_quoted()? => {}
            // Operators and parts of arrays there.
            b'@' | b'#' | b':' if self.dialect == Dialect::Postgres => self.at += 1,
            b'@' | b'$' | b'#' | b':' if self.byte(1).is_some_and(in_name) => {
                return Err(DatabaseError::statement(
                    ":1, @name and $name are no placeholders; use ? or :name",
                ));
            }
            byte if starts_name(byte) || byte.is_ascii_digit() => {
                // A name may hold a `$`, which then begins nothing.
                let begin = self.at;
                self.at += 1;
                while self
                    .byte(0)
                    .is_some_and(|byte| in_name(byte) || byte == b'$')
                {
                    self.at += 1;
                }
                if self.dialect == Dialect::Postgres {
                    self.check_word(begin)?;
                }
            }
            _ => self.at += 1,
        }
        Ok(())
    }

    /// Looks at the word from `begin` to here as PostgreSQL reads it.
    fn check_word(&mut self, begin: usize) -> Result<(), DatabaseError> {
        let word = self.text.get(begin..self.at).unwrap_or_default();
        let is_quoted = self.byte(0) == Some(b'\'');
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            // Older servers read a number and then something else, newer ones refuse it.
            if is_quoted || word.contains('$') {
                return Err(DatabaseError::statement(
                    "a number in the statement runs into what stands behind it",
                ));
            }
        } else if is_quoted && word.eq_ignore_ascii_case("e") {
            self.skip_escaped()?;
        }
        Ok(())
    }

    /// What begins or ends a transaction would leave the connection in another state than is known, and
    /// `COPY` talks another way.
    fn check_first_word(&self) -> Result<(), DatabaseError> {
        if self.dialect == Dialect::Sqlite {
            return Ok(());
        }
        let length = self.name_length(0);
        let word = self.text.get(self.at..self.at + length).unwrap_or_default();
        let rest = self.text.get(self.at + length..).unwrap_or_default();
        let is = |known: &&str| word.eq_ignore_ascii_case(known);
        if ["begin", "start", "commit", "end", "abort", "prepare"]
            .iter()
            .any(is)
        {
            return Err(DatabaseError::statement(
                "a transaction is begun by transaction() or begin() and ended by commit() or rollback(), \
                 not by a statement",
            ));
        }
        if is(&"rollback") && !goes_to(rest) {
            return Err(DatabaseError::statement(
                "a transaction is undone by rollback(), not by a statement",
            ));
        }
        if is(&"copy") {
            return Err(DatabaseError::statement(
                "COPY is not supported; use INSERT",
            ));
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
        self.end_piece(self.at);
        self.places.push(name);
        self.at += length;
        self.begin = self.at;
    }

    fn end_piece(&mut self, end: usize) {
        let mut piece = std::mem::take(&mut self.carried);
        piece.push_str(self.text.get(self.begin..end).unwrap_or_default());
        self.pieces.push(piece.into());
    }

    fn skip_line(&mut self) {
        let is_end = |byte| byte == b'\n' || byte == b'\r' && self.dialect == Dialect::Postgres;
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| !is_end(**byte)).count();
    }

    fn skip_comment(&mut self) -> Result<(), DatabaseError> {
        if self.dialect == Dialect::Postgres {
            return self.skip_nested();
        }
        let rest = self.text.get(self.at + 2..).unwrap_or_default();
        let end = rest.find("*/").ok_or_else(|| unclosed("comment"))?;
        self.at += 2 + end + 2;
        Ok(())
    }

    /// A comment that may hold others.
    fn skip_nested(&mut self) -> Result<(), DatabaseError> {
        let mut depth = 0_usize;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(unclosed("comment")),
            }
        }
    }

    /// A string whose backslashes hide quotes.
    fn skip_escaped(&mut self) -> Result<(), DatabaseError> {
        self.at += 1;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'\\'), Some(_)) | (Some(b'\''), Some(b'\'')) => self.at += 2,
                (Some(b'\''), _) => break,
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(unclosed("quote")),
            }
        }
        self.at += 1;
        // On another line the string would go on, and its backslashes with it.
        let mut ahead = Self {
            dialect: self.dialect,
            text: self.text,
            carried: String::new(),
            at: self.at,
            begin: self.at,
            pieces: Vec::new(),
            places: Vec::new(),
            names: Vec::new(),
            has_words: false,
            only_reads: false,
            ended: false,
        };
        while let Some(byte) = ahead.byte(0) {
            match byte {
                b'-' if ahead.byte(1) == Some(b'-') => ahead.skip_line(),
                byte if byte.is_ascii_whitespace() || byte == 0x0b => ahead.at += 1,
                b'\'' => {
                    return Err(DatabaseError::statement(
                        "a string stands behind an E'' string; join them with ||",
                    ));
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Skips `$tag$…$tag$`; false where none begins here.
    fn skip_dollar_quoted(&mut self) -> Result<bool, DatabaseError> {
        let length = match self.byte(1) {
            Some(b'$') => 0,
            Some(first) if starts_name(first) => self.name_length(1),
            _ => return Ok(false),
        };
        let quote = self
            .text
            .get(self.at..self.at + length + 2)
            .unwrap_or_default();
        if quote.len() < 2 || !quote.ends_with('$') {
            return Ok(false);
        }
        let begin = self.at + quote.len();
        let rest = self.text.get(begin..).unwrap_or_default();
        let end = rest.find(quote).ok_or_else(|| unclosed("quote"))?;
        self.at = begin + end + quote.len();
        Ok(true)
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

/// Whether what stands behind `ROLLBACK` is `[WORK | TRANSACTION] TO`.
fn goes_to(rest: &str) -> bool {
    let mut words = rest.split_ascii_whitespace();
    let mut word = words.next().unwrap_or_default();
    if word.eq_ignore_ascii_case("work") || word.eq_ignore_ascii_case("transaction") {
        word = words.next().unwrap_or_default();
    }
    word.eq_ignore_ascii_case("to")
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
            for dialect in [Dialect::Postgres, Dialect::Sqlite] {
                if let Ok(statement) = Statement::parse(&text, dialect) {
                    prop_assert_eq!(statement.pieces.len(), statement.places.len() + 1);
                }
            }
        }
    }
}
