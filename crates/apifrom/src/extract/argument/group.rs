//! Several parameters as one type: a query, or an urlencoded form.
//!
//! 1. Each field is read by the rules of a single parameter, as the kind that the type's schema
//!    gives it; a list takes a name that is sent more than once.
//! 2. What was read is judged like a JSON body, the type's `Validate` included.
//! 3. Unknown names are ignored in a query. In a form they are what the type says of them.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::query::unreadable;
use super::via::{BuiltIn, Checked};
use super::{Content, Declared, Faults, Held, Kind, Known, Place, Rest, Source};
use crate::extract::convert::{Scalar, ScalarKind};
use crate::extract::model::{Check, FromJson, Model};
use crate::extract::schema::Found;
use crate::request::Request;
use crate::urlencoded::{Field, UrlencodedLimits, fields};
use crate::violation::{LocItem, Location};

/// The query parameters as the fields of one type.
///
/// # Examples
/// ```
/// # use apifrom::{api, endpoints, Api, Query};
/// use apifrom::{Deserialize, JsonSchema};
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Page {
///     number: u32,
///     #[serde(default)]
///     tags: Vec<String>,
/// }
///
/// #[api(route = "/books", method = "GET")]
/// fn books(page: Query<Page>) -> String {
///     format!("page {} of books about {:?}", page.number, page.tags)
/// }
/// # Api::new().endpoints(endpoints![books]).build()?;
/// # Ok::<(), apifrom::ConfigErrors>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// An `application/x-www-form-urlencoded` body as the fields of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form<T>(pub T);

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Deref for Form<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> BuiltIn for Query<T> {
    type Declared = Group<T, Self>;

    const KIND: Kind = Kind::Head;

    fn declared(name: &'static str) -> Self::Declared {
        Group::new(name, None)
    }
}

impl<T> Checked for Query<T> {
    type Inner = T;

    fn checked(name: &'static str, check: Check<T>) -> Self::Declared {
        Group::new(name, Some(check))
    }
}

impl<T> BuiltIn for Form<T> {
    type Declared = Group<T, Self>;

    const KIND: Kind = Kind::Form;

    fn declared(name: &'static str) -> Self::Declared {
        Group::new(name, None)
    }
}

impl<T> Checked for Form<T> {
    type Inner = T;

    fn checked(name: &'static str, check: Check<T>) -> Self::Declared {
        Group::new(name, Some(check))
    }
}

/// A group of fields: a `T` is read and handed on as a `W`.
pub struct Group<T, W> {
    name: &'static str,
    check: Option<Check<T>>,
    value: PhantomData<fn() -> W>,
}

impl<T, W> Group<T, W> {
    fn new(name: &'static str, check: Option<Check<T>>) -> Self {
        Self {
            name,
            check,
            value: PhantomData,
        }
    }

    fn compile(self, place: &mut dyn Place) -> Option<Arc<dyn Reads<T>>>
    where
        T: FromJson,
    {
        let compiled = Model::compile(self.check).and_then(|model| {
            if model.is_object() {
                Ok(Arc::new(Fields { model }) as _)
            } else {
                Err(format!(
                    "`{}` is a group of fields, so its type must have fields",
                    self.name
                ))
            }
        });
        compiled.map_err(|why| place.error(why)).ok()
    }
}

impl<T: FromJson> Declared for Group<T, Query<T>> {
    type Source = QuerySource<T>;

    fn bind(self, place: &mut dyn Place) -> Option<Self::Source> {
        self.compile(place).map(QuerySource)
    }
}

impl<T: FromJson> Declared for Group<T, Form<T>> {
    type Source = FormSource<T>;

    fn bind(self, place: &mut dyn Place) -> Option<Self::Source> {
        self.compile(place).map(FormSource)
    }
}

/// A query as one type, bound.
pub struct QuerySource<T>(Arc<dyn Reads<T>>);

impl<T: Send + 'static> Source for QuerySource<T> {
    type Held = Known<Query<T>>;

    fn take(&self, request: &Request, faults: &mut Faults) -> Self::Held {
        let query = request.head().uri.query().unwrap_or_default();
        Known(
            self.0
                .read(query.as_bytes(), Location::Query, faults)
                .map(Query),
        )
    }
}

/// A form as one type, bound.
pub struct FormSource<T>(Arc<dyn Reads<T>>);

impl<T: Send + 'static> Source for FormSource<T> {
    type Held = Self;

    fn take(&self, _: &Request, _: &mut Faults) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Held for FormSource<T> {
    type Value = Form<T>;

    fn give(self, rest: &mut Rest, faults: &mut Faults) -> Option<Form<T>> {
        let form = match rest.take_body() {
            Content::Form(bytes) => bytes,
            _ => Bytes::new(),
        };
        self.0.read(&form, Location::Form, faults).map(Form)
    }
}

/// Reads fields as a `T`, of which what is bound asks nothing: see `json`.
trait Reads<T>: Send + Sync {
    fn read(&self, text: &[u8], location: Location, faults: &mut Faults) -> Option<T>;
}

/// The fields of a type.
struct Fields<T> {
    model: Model<T>,
}

impl<T: FromJson> Reads<T> for Fields<T> {
    fn read(&self, text: &[u8], location: Location, faults: &mut Faults) -> Option<T> {
        let sent = fields(text, &UrlencodedLimits::default()).collect::<Result<Vec<_>, _>>();
        let sent = match sent {
            Ok(sent) => sent,
            Err(fault) => {
                faults.refuse(unreadable(location.as_str(), &fault));
                return None;
            }
        };
        let mut object = JsonObject::default();
        self.write(&sent, location, &mut object);
        let JsonObject { text, found, .. } = object;
        let read = self.model.read(&[&text[..], b"}"].concat());
        let judged = match read {
            Ok(value) if found.is_empty() => return Some(value),
            Ok(_) => Vec::new(),
            Err(judged) => judged,
        };
        // A field that could not be read is left out, which is no second fault.
        let is_left_out = |fault: &Found| {
            found
                .iter()
                .any(|other| other.loc.first() == fault.loc.first())
        };
        let mut all: Vec<Found> = judged
            .into_iter()
            .filter(|fault| !is_left_out(fault))
            .collect();
        all.extend(found);
        all.sort_by(|a, b| a.order.cmp(&b.order));
        for fault in all {
            faults.push(fault.at(location));
        }
        None
    }
}

impl<T: FromJson> Fields<T> {
    /// Writes what was sent as the JSON object that the type is read from.
    fn write(&self, sent: &[Field<'_>], location: Location, object: &mut JsonObject) {
        for (position, (name, kind, is_list)) in self.model.fields().enumerate() {
            let texts: Vec<&str> = sent
                .iter()
                .filter(|(known, _)| known == name)
                .map(|(_, text)| &**text)
                .collect();
            object.position = position + 1;
            match (is_list, texts.as_slice()) {
                (_, []) => {}
                (true, texts) => object.list(name, kind, texts),
                (false, [text]) => object.scalar(name, kind, text),
                (false, _) => object.fault(vec![LocItem::client(name)], "duplicate"),
            }
        }
        let wanted = self.model.is_map() || location == Location::Form && self.model.is_closed();
        if !wanted {
            return;
        }
        object.position = 0;
        let mut seen = HashSet::new();
        let is_known = |name: &str| self.model.fields().any(|(known, ..)| known == name);
        for (name, text) in sent.iter().filter(|(name, _)| !is_known(name)) {
            if seen.insert(name) {
                object.scalar(name, self.model.other_kind(), text);
            } else {
                object.fault(vec![LocItem::client(name)], "duplicate");
            }
        }
    }
}

/// A JSON object that is being written, its last brace missing.
struct JsonObject {
    text: Vec<u8>,
    found: Vec<Found>,
    position: usize,
}

impl Default for JsonObject {
    fn default() -> Self {
        Self {
            text: vec![b'{'],
            found: Vec::new(),
            position: 0,
        }
    }
}

impl JsonObject {
    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        quote(&mut self.text, name);
        self.text.push(b':');
    }

    fn scalar(&mut self, name: &str, kind: ScalarKind, text: &str) {
        match kind.read(text) {
            Ok(scalar) => {
                self.name(name);
                write(&mut self.text, &scalar, text);
            }
            Err(error) => self.fault(vec![LocItem::client(name)], error.kind()),
        }
    }

    fn list(&mut self, name: &str, kind: ScalarKind, texts: &[&str]) {
        let mut items = Vec::new();
        let mut is_right = true;
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                items.push(b',');
            }
            match kind.read(text) {
                Ok(scalar) => write(&mut items, &scalar, text),
                Err(error) => {
                    is_right = false;
                    let loc = vec![LocItem::client(name), LocItem::Index(index)];
                    self.fault(loc, error.kind());
                }
            }
        }
        if is_right {
            self.name(name);
            self.text.push(b'[');
            self.text.append(&mut items);
            self.text.push(b']');
        }
    }

    fn fault(&mut self, loc: Vec<LocItem>, kind: &'static str) {
        let mut found = Found::new(loc, kind, &[]);
        found.order = vec![self.position];
        self.found.push(found);
    }
}

/// Writes a scalar whose text was `text`; the numbers that are read are written like JSON's.
fn write(json: &mut Vec<u8>, scalar: &Scalar<'_>, text: &str) {
    match scalar {
        Scalar::Int(_) | Scalar::Float(_) => json.extend_from_slice(text.as_bytes()),
        Scalar::Bool(true) => json.extend_from_slice(b"true"),
        Scalar::Bool(false) => json.extend_from_slice(b"false"),
        Scalar::Str(text) => quote(json, text),
    }
}

fn quote(json: &mut Vec<u8>, text: &str) {
    // A text is always written, and writing into memory does not fail.
    let _ = serde_json::to_writer(json, text);
}
