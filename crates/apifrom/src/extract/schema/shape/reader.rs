//! Runs a program over a text: serde reads, and each value is asked for by its node.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::number::Number;
use super::{Id, List, Node, Object, Others, Shape, Text, Typed};

pub(super) fn accepts(shape: &Shape, bytes: &[u8]) -> bool {
    let mut text = serde_json::Deserializer::from_slice(bytes);
    shape.seed(shape.root).deserialize(&mut text).is_ok() && text.end().is_ok()
}

impl Shape {
    fn seed(&self, id: Id) -> Seed<'_> {
        Seed {
            shape: self,
            id,
            nullable: false,
        }
    }
}

/// Reads one value by one node.
struct Seed<'p> {
    shape: &'p Shape,
    id: Id,
    nullable: bool,
}

/// What is said of a refused value: nobody reads it, the explanation is made elsewhere.
fn refused<E: Error>() -> E {
    E::custom("refused")
}

fn only<E: Error>(allowed: bool) -> Result<(), E> {
    if allowed { Ok(()) } else { Err(refused()) }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<(), D::Error> {
        let Self {
            shape,
            mut id,
            mut nullable,
        } = self;
        loop {
            match shape.node(id) {
                Node::Same(same) => id = *same,
                Node::Nullable(inner) => (id, nullable) = (*inner, true),
                Node::Any => return text.deserialize_ignored_any(IgnoredAny).map(drop),
                Node::Other(validator) => {
                    let value: Value = serde::Deserialize::deserialize(text)?;
                    return only((nullable && value.is_null()) || validator.is_valid(&value));
                }
                Node::Typed(typed) => {
                    return text.deserialize_any(TypedVisitor {
                        shape,
                        typed,
                        nullable,
                    });
                }
            }
        }
    }
}

struct TypedVisitor<'p> {
    shape: &'p Shape,
    typed: &'p Typed,
    nullable: bool,
}

impl TypedVisitor<'_> {
    fn number<E: Error>(&self, number: Number) -> Result<(), E> {
        let kinds = self.typed.kinds;
        let kind = match number {
            Number::Integer(_) => kinds.integer || kinds.number,
            // Integers beyond 64 bits arrive as floats; what is none, serde refuses for the type.
            Number::Float(number) => kinds.number || (kinds.integer && number.fract() == 0.0),
        };
        let in_range = |range: &super::Range| range.allows(number);
        only(kind && self.typed.range.as_ref().is_none_or(in_range))
    }
}

impl<'de> Visitor<'de> for TypedVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the schema allows")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        only(self.nullable || self.typed.kinds.null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        only(self.typed.kinds.boolean)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.number(Number::Integer(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.number(Number::Integer(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.number(Number::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        only(self.typed.kinds.string && self.typed.text.allows(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        only(self.typed.kinds.array)?;
        self.typed.list.read(self.shape, items)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        only(self.typed.kinds.object)?;
        self.typed.object.read(self.shape, members)
    }
}

impl Text {
    fn allows(&self, text: &str) -> bool {
        let (min, max) = (self.min, self.max);
        // A character takes one to four bytes, so most lengths need no counting.
        let is_long_enough = min <= text.len().div_ceil(4) || min <= text.chars().count();
        let is_short_enough =
            max.is_none_or(|max| text.len() <= max || text.chars().count() <= max);
        is_long_enough
            && is_short_enough
            && self
                .one_of
                .as_ref()
                .is_none_or(|known| known.iter().any(|known| **known == *text))
            && (!self.is_email || super::super::is_email(text))
            && self
                .other
                .as_ref()
                .is_none_or(|other| other.is_valid(&Value::String(text.to_owned())))
    }
}

impl List {
    fn read<'de, A: SeqAccess<'de>>(&self, shape: &Shape, mut items: A) -> Result<(), A::Error> {
        let mut count = 0;
        loop {
            let id = self.first.get(count).copied().or(self.rest);
            let read = match id {
                Some(id) => items.next_element_seed(shape.seed(id))?,
                None => items.next_element::<IgnoredAny>()?.map(drop),
            };
            if read.is_none() {
                break;
            }
            count += 1;
        }
        only(count >= self.min && self.max.is_none_or(|max| count <= max))
    }
}

impl Object {
    fn read<'de, A: MapAccess<'de>>(&self, shape: &Shape, mut members: A) -> Result<(), A::Error> {
        let mut missing = self.required;
        let mut count = 0;
        let mut expected = 0;
        while let Some(position) = members.next_key_seed(Name {
            object: self,
            expected,
        })? {
            count += 1;
            match position.and_then(|position| self.fields.get(position).map(|f| (position, f))) {
                Some((position, (_, id))) => {
                    missing &= !(1 << position);
                    expected = position + 1;
                    members.next_value_seed(shape.seed(*id))?;
                }
                None => match self.others {
                    Others::Any => members.next_value::<IgnoredAny>().map(drop)?,
                    Others::Nothing => return Err(refused()),
                    Others::Like(id) => members.next_value_seed(shape.seed(id))?,
                },
            }
        }
        only(missing == 0 && count >= self.min && self.max.is_none_or(|max| count <= max))
    }
}

/// Reads the name of a member as the position of a field.
struct Name<'p> {
    object: &'p Object,
    /// Where to look first: most clients write the fields in their order.
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<Self::Value, D::Error> {
        text.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let fields = &self.object.fields;
        if fields
            .get(self.expected)
            .is_some_and(|(known, _)| **known == *name)
        {
            return Ok(Some(self.expected));
        }
        Ok(fields.iter().position(|(known, _)| **known == *name))
    }
}
