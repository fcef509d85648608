//! Values on their way to a database, and back.

use std::borrow::Cow;

/// A value of a column, or of a parameter.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `NULL`.
    Null,
    /// Yes or no. SQLite and MySQL have no such columns and keep 1 or 0.
    Bool(bool),
    /// A whole number of 64 bits.
    Integer(i64),
    /// A floating-point number; never one that is not a number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// What errors call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "a truth value",
            Self::Integer(_) => "a whole number",
            Self::Real(_) => "a number",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
        }
    }
}

/// What stands for one placeholder: a value, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    /// One value.
    One(Value),
    /// As many as there are, separated by commas; of none nothing is a member.
    List(Vec<Value>),
}

/// A list for one placeholder, as in `WHERE id IN (?)`.
pub fn list(values: impl IntoIterator<Item = impl Into<Value>>) -> Parameter {
    Parameter::List(values.into_iter().map(Into::into).collect())
}

impl<T: Into<Value>> From<T> for Parameter {
    fn from(value: T) -> Self {
        Self::One(value.into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Blob(value.to_owned())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

/// What stands for the placeholders of a statement. See [`params!`](crate::params).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Parameters {
    /// For `?`, in their order.
    Positional(Vec<Parameter>),
    /// For `:name`.
    Named(Vec<(Cow<'static, str>, Parameter)>),
}

impl From<()> for Parameters {
    fn from((): ()) -> Self {
        Self::Positional(Vec::new())
    }
}

impl<P: Into<Parameter>, const N: usize> From<[P; N]> for Parameters {
    fn from(values: [P; N]) -> Self {
        Self::Positional(values.into_iter().map(Into::into).collect())
    }
}

/// What stands for the placeholders of a statement: `params![id, "text"]` for each `?`,
/// `params! { "id" => id }` for each `:id`.
///
/// # Examples
/// ```
/// use apifrom::database::Database;
/// use apifrom::params;
///
/// let db = Database::open("sqlite://:memory:")?;
/// db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)", ())?;
/// db.execute("INSERT INTO notes (text) VALUES (?)", params!["milk"])?;
/// let found = db.query_one("SELECT text FROM notes WHERE id = :id", params! { "id" => 1 })?;
/// assert_eq!(found.ok_or("nothing")?.text("text"), Some("milk"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! params {
    ($($name:literal => $value:expr),+ $(,)?) => {
        $crate::database::Parameters::Named(vec![
            $((::std::borrow::Cow::Borrowed($name), $crate::database::Parameter::from($value))),+
        ])
    };
    ($($value:expr),* $(,)?) => {
        $crate::database::Parameters::Positional(vec![
            $($crate::database::Parameter::from($value)),*
        ])
    };
}
