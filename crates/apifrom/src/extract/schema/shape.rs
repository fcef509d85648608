//! Tells whether a JSON text is what a schema allows, without building a tree of it.
//!
//! The keywords that derived schemas consist of become a small program; what it does not know is
//! left to a validator of its own, which is given that part of the text as a tree. Its verdict is
//! therefore always that of the whole schema, which a property test holds it to.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::place::is_null;

mod number;
mod reader;

use self::number::Range;

/// Keywords that judge nothing.
const ANNOTATIONS: &[&str] = &[
    "$comment",
    "$defs",
    "$schema",
    "default",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];

/// The formats of strings that are judged; others are notes to the reader.
const FORMATS: &[&str] = &[
    "date",
    "date-time",
    "duration",
    "hostname",
    "idn-email",
    "idn-hostname",
    "ip",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// How many fields of an object the program keeps count of.
const MAX_FIELDS: usize = 64;

/// The place of a node in the program.
type Id = usize;

/// A schema as a program.
pub(super) struct Shape {
    nodes: Vec<Node>,
    root: Id,
}

/// What one value may be.
enum Node {
    /// Whatever it is.
    Any,
    /// What another node says, or null.
    Nullable(Id),
    /// What another node says.
    Same(Id),
    /// One of some kinds, within bounds.
    Typed(Box<Typed>),
    /// Whatever the validator says.
    Other(Box<Validator>),
}

#[derive(Default)]
struct Typed {
    kinds: Kinds,
    text: Text,
    range: Option<Range>,
    list: List,
    object: Object,
}

/// The kinds of JSON values that are allowed.
#[derive(Default, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are a set, and each is asked for by its name"
)]
struct Kinds {
    null: bool,
    boolean: bool,
    integer: bool,
    number: bool,
    string: bool,
    array: bool,
    object: bool,
}

#[derive(Default)]
struct Text {
    min: usize,
    max: Option<usize>,
    one_of: Option<Box<[Box<str>]>>,
    is_email: bool,
    /// For patterns and the formats that are not judged here.
    other: Option<Validator>,
}

#[derive(Default)]
struct List {
    min: usize,
    max: Option<usize>,
    first: Box<[Id]>,
    rest: Option<Id>,
}

#[derive(Default)]
struct Object {
    fields: Box<[(Box<str>, Id)]>,
    /// One bit for each field that must be there.
    required: u64,
    others: Others,
    min: usize,
    max: Option<usize>,
}

/// What an object may hold beside its fields.
#[derive(Default, Clone, Copy)]
enum Others {
    #[default]
    Any,
    Nothing,
    Like(Id),
}

impl Shape {
    /// # Errors
    /// When a part of the schema cannot be compiled, in words.
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        let mut compiler = Compiler {
            root: schema,
            nodes: Vec::new(),
            known: HashMap::new(),
        };
        let root = compiler.node(schema)?;
        Ok(Self {
            nodes: compiler.nodes,
            root,
        })
    }

    pub(super) fn accepts(&self, bytes: &[u8]) -> bool {
        reader::accepts(self, bytes)
    }

    fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::Any)
    }
}

struct Compiler<'s> {
    root: &'s Value,
    nodes: Vec<Node>,
    /// The nodes of the schemas that were referred to.
    known: HashMap<&'s str, Id>,
}

impl<'s> Compiler<'s> {
    fn add(&mut self, node: Node) -> Id {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn node(&mut self, schema: &'s Value) -> Result<Id, String> {
        let Value::Object(object) = schema else {
            return match schema {
                Value::Bool(true) => Ok(self.add(Node::Any)),
                _ => self.other(schema),
            };
        };
        let telling: Vec<(&str, &Value)> = object
            .iter()
            .map(|(keyword, value)| (keyword.as_str(), value))
            .filter(|(keyword, _)| !ANNOTATIONS.contains(keyword))
            .collect();
        match telling.as_slice() {
            [] => return Ok(self.add(Node::Any)),
            [("$ref", Value::String(target))] => return self.reference(target, schema),
            [("anyOf", Value::Array(branches))] => {
                if let [one, other] = branches.as_slice() {
                    if is_null(other) {
                        let id = self.node(one)?;
                        return Ok(self.add(Node::Nullable(id)));
                    }
                    if is_null(one) {
                        let id = self.node(other)?;
                        return Ok(self.add(Node::Nullable(id)));
                    }
                }
            }
            _ => {}
        }
        // The place is taken before the way down, which may lead back here.
        match self.typed(&telling, object)? {
            Some(typed) => Ok(self.add(Node::Typed(Box::new(typed)))),
            None => self.other(schema),
        }
    }

    fn reference(&mut self, target: &'s str, schema: &'s Value) -> Result<Id, String> {
        if let Some(&id) = self.known.get(target) {
            return Ok(id);
        }
        let Some(found) = target
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer))
        else {
            return self.other(schema);
        };
        // Known before it is compiled: a type may hold itself.
        let id = self.add(Node::Any);
        self.known.insert(target, id);
        let compiled = self.node(found)?;
        if let Some(place) = self.nodes.get_mut(id) {
            *place = Node::Same(compiled);
        }
        Ok(id)
    }

    /// What the keywords of a schema say, unless one of them is not known here.
    fn typed(
        &mut self,
        keywords: &[(&'s str, &'s Value)],
        schema: &'s Map<String, Value>,
    ) -> Result<Option<Typed>, String> {
        let Some(kinds) = Kinds::of(schema.get("type")) else {
            return Ok(None);
        };
        let mut typed = Typed {
            kinds,
            ..Typed::default()
        };
        let mut range = Range::default();
        let mut required: Vec<&str> = Vec::new();
        let mut for_text = Map::new();
        for &(keyword, value) in keywords {
            let known = match keyword {
                "type" => true,
                "minLength" => size(value, &mut typed.text.min),
                "maxLength" => bound(value, &mut typed.text.max),
                "minItems" => size(value, &mut typed.list.min),
                "maxItems" => bound(value, &mut typed.list.max),
                "minProperties" => size(value, &mut typed.object.min),
                "maxProperties" => bound(value, &mut typed.object.max),
                "format" if value == "email" => {
                    typed.text.is_email = true;
                    true
                }
                "format" => {
                    if FORMATS.iter().any(|format| value == format) {
                        for_text.insert(keyword.to_owned(), value.clone());
                    }
                    true
                }
                "pattern" => {
                    for_text.insert(keyword.to_owned(), value.clone());
                    true
                }
                "const" => typed.text.only([value]),
                "enum" => value
                    .as_array()
                    .is_some_and(|values| typed.text.only(values)),
                "required" => value.as_array().is_some_and(|names| {
                    required = names.iter().filter_map(Value::as_str).collect();
                    required.len() == names.len()
                }),
                "properties" => {
                    let fields = value.as_object().into_iter().flatten();
                    typed.object.fields = fields
                        .map(|(name, schema)| Ok((name.as_str().into(), self.node(schema)?)))
                        .collect::<Result<_, String>>()?;
                    typed.object.fields.len() <= MAX_FIELDS
                }
                "additionalProperties" => {
                    typed.object.others = match value {
                        Value::Bool(true) => Others::Any,
                        Value::Bool(false) => Others::Nothing,
                        schema => Others::Like(self.node(schema)?),
                    };
                    true
                }
                "items" => {
                    typed.list.rest = Some(self.node(value)?);
                    true
                }
                "prefixItems" => {
                    let items = value.as_array().into_iter().flatten();
                    typed.list.first = items
                        .map(|schema| self.node(schema))
                        .collect::<Result<_, _>>()?;
                    true
                }
                number => range.take(number, value),
            };
            if !known {
                return Ok(None);
            }
        }
        // A set of texts says nothing about other kinds only where there are none.
        if typed.text.one_of.is_some() && !kinds.is_text() {
            return Ok(None);
        }
        for name in required {
            let position = typed
                .object
                .fields
                .iter()
                .position(|(known, _)| **known == *name);
            let Some(position) = position else {
                return Ok(None);
            };
            typed.object.required |= 1 << position;
        }
        if !for_text.is_empty() {
            typed.text.other = Some(super::compiled(&Value::Object(for_text))?);
        }
        typed.range = (!range.is_empty()).then_some(range);
        Ok(Some(typed))
    }

    fn other(&mut self, schema: &Value) -> Result<Id, String> {
        let mut schema = schema.clone();
        if let (Value::Object(object), Some(definitions)) = (&mut schema, self.root.get("$defs")) {
            object.insert("$defs".to_owned(), definitions.clone());
        }
        let validator = super::compiled(&schema)?;
        Ok(self.add(Node::Other(Box::new(validator))))
    }
}

impl Kinds {
    fn of(kind: Option<&Value>) -> Option<Self> {
        let mut kinds = Self::default();
        match kind {
            None => {
                return Some(Self {
                    null: true,
                    boolean: true,
                    integer: true,
                    number: true,
                    string: true,
                    array: true,
                    object: true,
                });
            }
            Some(Value::Array(names)) => {
                for name in names {
                    kinds.allow(name)?;
                }
            }
            Some(name) => kinds.allow(name)?,
        }
        Some(kinds)
    }

    fn allow(&mut self, name: &Value) -> Option<()> {
        match name.as_str()? {
            "null" => self.null = true,
            "boolean" => self.boolean = true,
            "integer" => self.integer = true,
            "number" => self.number = true,
            "string" => self.string = true,
            "array" => self.array = true,
            "object" => self.object = true,
            _ => return None,
        }
        Some(())
    }

    /// True when nothing but a text is allowed.
    fn is_text(self) -> bool {
        let Self {
            null,
            boolean,
            integer,
            number,
            string,
            array,
            object,
        } = self;
        string && !(null || boolean || integer || number || array || object)
    }
}

impl Text {
    /// Allows these texts alone; false when one of them is no text.
    fn only<'v>(&mut self, values: impl IntoIterator<Item = &'v Value>) -> bool {
        let texts: Option<Box<[Box<str>]>> = values
            .into_iter()
            .map(|value| value.as_str().map(Into::into))
            .collect();
        let first = self.one_of.is_none();
        self.one_of = texts;
        first && self.one_of.is_some()
    }
}

fn size(value: &Value, place: &mut usize) -> bool {
    let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
    size.map(|size| *place = size).is_some()
}

fn bound(value: &Value, place: &mut Option<usize>) -> bool {
    *place = value.as_u64().and_then(|size| usize::try_from(size).ok());
    place.is_some()
}
