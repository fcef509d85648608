//! Rows: what a query gave.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::value::{Error as ReadError, MapDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::error::DatabaseError;
use super::value::Value;
use crate::rejection::Rejection;
use crate::response::{IntoResponse, Response};

/// The names of a query's columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns(Box<[Box<str>]>);

impl Columns {
    /// # Errors
    /// When two columns have one name: an object could not hold both.
    pub(super) fn new(names: Vec<Box<str>>) -> Result<Arc<Self>, DatabaseError> {
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|other| other == name) {
                return Err(DatabaseError::statement(format!(
                    "two columns are called {name:?}; name them apart with AS"
                )));
            }
        }
        Ok(Arc::new(Self(names.into())))
    }

    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names().position(|known| known == name)
    }
}

/// What a query gave, in its order.
#[derive(Clone)]
pub struct Rows {
    columns: Arc<Columns>,
    /// Those of all rows, one after the other.
    values: Arc<[Value]>,
    count: usize,
}

impl Rows {
    pub(super) fn new(columns: Arc<Columns>, values: Vec<Value>, count: usize) -> Self {
        Self {
            columns,
            values: values.into(),
            count,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The row at `index`.
    pub fn get(&self, index: usize) -> Option<Row> {
        (index < self.count).then(|| Row {
            rows: self.clone(),
            index,
        })
    }

    /// The rows, one after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row> + '_ {
        (0..self.count).map(|index| Row {
            rows: self.clone(),
            index,
        })
    }

    /// The names of the columns.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.columns.names()
    }

    /// The rows as a type of the program's own.
    ///
    /// # Errors
    /// When a row has another shape. The message names the column and the types, and no value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, DatabaseError> {
        self.iter().map(|row| row.read()).collect()
    }

    /// The rows as a list of objects in JSON.
    ///
    /// # Errors
    /// When a column holds bytes that are no text. The message shows no value.
    pub fn to_json(&self) -> Result<Bytes, DatabaseError> {
        written(self)
    }

    fn values_of(&self, index: usize) -> &[Value] {
        let width = self.columns.names().len();
        let begin = index * width;
        self.values.get(begin..begin + width).unwrap_or_default()
    }
}

/// Shows how many there are, and no value.
impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows({})", self.count)
    }
}

/// One row.
#[derive(Clone)]
pub struct Row {
    rows: Rows,
    index: usize,
}

impl Row {
    /// The names of the columns.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rows.columns()
    }

    /// The values, in the order of the columns.
    pub fn values(&self) -> &[Value] {
        self.rows.values_of(self.index)
    }

    /// The value of the column `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values().get(self.rows.columns.position(name)?)
    }

    /// The text of the column `name`; `None` for anything else.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number of the column `name`; `None` for anything else.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The row as an object in JSON.
    ///
    /// # Errors
    /// When a column holds bytes that are no text. The message shows no value.
    pub fn to_json(&self) -> Result<Bytes, DatabaseError> {
        written(self)
    }

    /// The row as a type of the program's own.
    ///
    /// # Errors
    /// When it has another shape. The message names the column and the types, and no value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, DatabaseError> {
        let fields = self.columns().zip(self.values());
        let fields = fields.map(|(name, value)| (name, Field { name, value }));
        T::deserialize(MapDeserializer::new(fields)).map_err(|error: ReadError| {
            DatabaseError::statement(format!("the row does not fit: {error}"))
        })
    }
}

/// Shows the columns, and no value.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.columns().collect();
        write!(f, "Row({})", names.join(", "))
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.rows.columns == other.rows.columns && self.values() == other.values()
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.columns == other.columns && self.values == other.values
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Real(number) if number.is_finite() => serializer.serialize_f64(*number),
            Self::Real(_) => Err(S::Error::custom("a number that is not finite has no form")),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Blob(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => Err(S::Error::custom("bytes that are no text have no form")),
            },
        }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.values();
        let mut map = serializer.serialize_map(Some(values.len()))?;
        for (name, value) in self.columns().zip(values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.count))?;
        for row in self.iter() {
            list.serialize_element(&row)?;
        }
        list.end()
    }
}

impl IntoResponse for Row {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        crate::response::json(&self)
    }
}

impl IntoResponse for Rows {
    const MAY_BE_FILE: bool = false;

    fn into_response(self) -> Result<Response, Rejection> {
        crate::response::json(&self)
    }
}

fn written(rows: &impl Serialize) -> Result<Bytes, DatabaseError> {
    let mut text = Vec::with_capacity(128);
    serde_json::to_writer(&mut text, rows)
        .map_err(|error| DatabaseError::statement(format!("a column of a row: {error}")))?;
    Ok(text.into())
}

/// One value on its way into a field.
struct Field<'a> {
    name: &'a str,
    value: &'a Value,
}

impl<'a> IntoDeserializer<'a, ReadError> for Field<'a> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Field<'_> {
    /// serde's own text would quote the value.
    fn misfit(&self, expected: &dyn de::Expected) -> ReadError {
        de::Error::custom(format!(
            "the column {} holds {}, expected {expected}",
            self.name,
            self.value.kind()
        ))
    }

    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        // Kept, for the visitor is used up where it refuses.
        let expected = format!("{}", ExpectedBy(&visitor));
        let name = self.name;
        let kind = self.value.kind();
        let visited: Result<V::Value, ReadError> = match self.value {
            Value::Null => visitor.visit_none(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Real(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::Blob(bytes) => visitor.visit_bytes(bytes),
        };
        visited.map_err(|_| {
            de::Error::custom(format!(
                "the column {name} holds {kind}, expected {expected}"
            ))
        })
    }
}

struct ExpectedBy<'a, V>(&'a V);

impl<'de, V: Visitor<'de>> fmt::Display for ExpectedBy<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.visit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// SQLite has no type of its own for truth.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.value {
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Integer(0) => visitor.visit_bool(false),
            Value::Integer(1) => visitor.visit_bool(true),
            _ => Err(self.misfit(&"0 or 1")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.visit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.value {
            Value::Text(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(self.misfit(&visitor)),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
