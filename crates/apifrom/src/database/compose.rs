//! Statements that are composed of literals and of names from a list.

use std::borrow::Cow;

use super::error::{DatabaseError, DatabaseErrorKind};
use super::statement::Sql;

/// A name that may stand in a statement. See [`ident`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier(Box<str>);

/// The name `name`, where it is one of `allowed`: the column to order by, say, that a request chose.
///
/// # Errors
/// When it is none of these, which answers 422. The message does not show it.
pub fn ident(name: &str, allowed: &[&str]) -> Result<Identifier, DatabaseError> {
    if !allowed.contains(&name) {
        return Err(DatabaseError::new(
            DatabaseErrorKind::UnknownName,
            format!("expected one of these names: {}", allowed.join(", ")),
        ));
    }
    if name.is_empty() || name.contains('\0') {
        return Err(DatabaseError::statement(
            "expected a name of one character or more, without a NUL",
        ));
    }
    // A quote in it is doubled, so whatever was allowed stays one name.
    Ok(Identifier(
        format!("\"{}\"", name.replace('"', "\"\"")).into(),
    ))
}

/// The statement `template`, with `names` in the places of its `{}`.
///
/// # Errors
/// When there are more names than places, or fewer.
///
/// # Examples
/// ```
/// use apifrom::database::{Database, ident, sql};
///
/// # let db = Database::open("sqlite://:memory:")?;
/// # db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)", ())?;
/// let chosen = "text";
/// let order = ident(chosen, &["id", "text"])?;
/// let rows = db.query(sql("SELECT * FROM notes ORDER BY {}", &[order])?, ())?;
/// assert!(ident("id; DROP TABLE notes", &["id", "text"]).is_err());
/// # assert!(rows.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sql(template: &'static str, names: &[Identifier]) -> Result<Sql, DatabaseError> {
    compose(template, names)
}

/// [`sql`], for text that is known to be a literal elsewhere.
#[doc(hidden)]
pub fn compose(template: &str, names: &[Identifier]) -> Result<Sql, DatabaseError> {
    let mut text = String::with_capacity(template.len() + 16);
    let mut pieces = template.split("{}");
    text.push_str(pieces.next().unwrap_or_default());
    let mut left = names.iter();
    for piece in pieces {
        let name = left.next().ok_or_else(|| miscounted(template, names))?;
        text.push_str(&name.0);
        text.push_str(piece);
    }
    if left.next().is_some() {
        return Err(miscounted(template, names));
    }
    Ok(Sql(Cow::Owned(text)))
}

fn miscounted(template: &str, names: &[Identifier]) -> DatabaseError {
    DatabaseError::statement(format!(
        "the statement has {} places for names and was given {}",
        template.matches("{}").count(),
        names.len()
    ))
}

/// The statement `text`, whatever it is.
///
/// # Security
/// Nothing that a request sent may be part of it: whoever sends that decides what the statement does.
pub fn insecure_raw(text: impl Into<String>) -> Sql {
    Sql(Cow::Owned(text.into()))
}
