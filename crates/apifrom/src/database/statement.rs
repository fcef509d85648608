//! Statements, and where their placeholders are.
//!
//! 1. `?` and `:name` are placeholders, one kind in a statement; `?1`, `:1`, `@name` and `$name` are none,
//!    and are refused: SQLite would take them for some, and where nothing is given for NULL.
//! 2. Nothing in strings, quoted names and comments is a placeholder, and `::` is none. PostgreSQL also has
//!    `$tag$` quotes, `E''` strings, comments within comments, `[` for arrays, and operators with a `?`,
//!    which is written `??` there.
//! 3. A statement is one: what stands behind its `;` is refused.
//! 4. A list stands for as many values as it has, and for a list of no members where it has none.
//! 5. PostgreSQL is given `$1`, `$2`…, one for each name however often it stands there. A statement on a
//!    server neither begins nor ends a transaction: its connection would go back to the pool with it.
//! 6. MySQL has backslashes in strings, `` ` `` around names, and comments behind `#`, and behind `--` where
//!    a space follows. `/*! … */`, of which it would run what looks like a comment, is refused.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use super::error::{DatabaseError, DatabaseErrorKind};
use super::lasting::Lasting;
use super::reader::{Effect, Reader, in_name};
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
    MySql,
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
    effect: Effect,
    lasting: Lasting,
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

/// The same, where there is nothing without a `FROM`.
const NONE_OF_DUAL: &str = "SELECT NULL FROM DUAL WHERE 0 = 1";

impl Statement {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Self, DatabaseError> {
        if text.contains('\0') {
            return Err(DatabaseError::statement("the statement holds a NUL"));
        }
        let mut reader = Reader::new(text, dialect);
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
            effect: reader.effect,
            lasting: reader.lasting(),
            plain: "".into(),
            pieces: reader.pieces,
            places: reader.places,
            names: reader.names,
            columns: OnceLock::new(),
        };
        statement.plain = match dialect {
            Dialect::Sqlite => statement.pieces.join("?").into(),
            Dialect::MySql => {
                let one = Parameter::One(Value::Null);
                statement.spread(&vec![&one; statement.places.len()]).into()
            }
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
        self.effect == Effect::Reads
    }

    /// How long what it does to its connection lasts.
    pub(super) fn lasting(&self) -> Lasting {
        self.lasting
    }

    /// True where it ends the transaction that it stands in, as MySQL has it.
    #[cfg(feature = "database-mysql")]
    pub(super) fn ends_transaction(&self) -> bool {
        self.effect == Effect::EndsTransaction
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
            Dialect::MySql | Dialect::Sqlite => Cow::Owned(self.spread(&parameters)),
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
                Parameter::One(_) => {
                    text.push('?');
                    // `?AND` is no placeholder there.
                    let next = next.and_then(|next| next.bytes().next());
                    if self.dialect == Dialect::MySql && next.is_some_and(in_name) {
                        text.push(' ');
                    }
                }
                Parameter::List(list) => {
                    let inner = if list.is_empty() {
                        Cow::Borrowed(match self.dialect {
                            Dialect::MySql => NONE_OF_DUAL,
                            _ => NONE,
                        })
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

#[cfg(test)]
mod tests;
