//! How a rule is put into words.

use std::borrow::Cow;

use super::catalogue::CATALOGUE;

/// How much of a text from the schema is shown, in characters: an enumeration may have thousands.
const SHOWN_TEXT_LENGTH: usize = 200;

/// What a rule was given by the schema: `ge`, `min_length`, `expected`.
pub trait Context {
    /// The value under `name`; only the names that the rule's wording shows are asked for.
    fn value(&self, name: &str) -> Option<ContextValue<'_>>;
}

/// A value of a [`Context`].
#[derive(Debug, Clone, PartialEq)]
pub enum ContextValue<'a> {
    /// A whole number.
    Integer(i64),
    /// A number; `5.0` is shown as `5`, so that it reads the same as the integer.
    Number(f64),
    /// A text, or a number that fits neither of the others.
    Text(Cow<'a, str>),
}

impl ContextValue<'_> {
    fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => match text.char_indices().nth(SHOWN_TEXT_LENGTH) {
                Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
                None => Cow::Borrowed(text),
            },
        }
    }
}

/// No value at all.
impl Context for () {
    fn value(&self, _: &str) -> Option<ContextValue<'_>> {
        None
    }
}

impl Context for [(&str, ContextValue<'_>)] {
    fn value(&self, name: &str) -> Option<ContextValue<'_>> {
        let (_, value) = self.iter().find(|(known, _)| *known == name)?;
        Some(value.clone())
    }
}

impl<const N: usize> Context for [(&str, ContextValue<'_>); N] {
    fn value(&self, name: &str) -> Option<ContextValue<'_>> {
        self.as_slice().value(name)
    }
}

/// What the rule `kind` says, with the values that `context` has for it. `None` for a rule that is
/// not in the catalogue, such as one of the user's own.
pub fn message<C: Context + ?Sized>(kind: &str, context: &C) -> Option<Cow<'static, str>> {
    let index = CATALOGUE
        .binary_search_by_key(&kind, |entry| entry.0)
        .ok()?;
    let &(_, wording) = CATALOGUE.get(index)?;
    Some(match wording {
        Wording::Plain(text) => Cow::Borrowed(text),
        Wording::Filled(pattern, without) => {
            render(pattern, context).map_or(Cow::Borrowed(without), Cow::Owned)
        }
    })
}

/// The rules in the catalogue, in alphabetical order.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|(kind, _)| *kind)
}

#[derive(Clone, Copy)]
pub(super) enum Wording {
    /// A text.
    Plain(&'static str),
    /// A text with one `{name}`, or `{name#noun}` for an amount and what it counts; and the text
    /// for a context that has no such value.
    Filled(&'static str, &'static str),
}

fn render<C: Context + ?Sized>(pattern: &str, context: &C) -> Option<String> {
    let (before, rest) = pattern.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    let (name, noun) = match name.split_once('#') {
        Some((name, noun)) => (name, Some(noun)),
        None => (name, None),
    };
    let value = context.value(name)?;
    let shown = value.shown();
    // Where a function of the program tells the alternatives apart, pydantic-core gives its name.
    if name == "discriminator" && shown.ends_with("()") {
        return None;
    }
    Some(match noun {
        Some(noun) if shown == "1" => format!("{before}{shown} {noun}{after}"),
        Some(noun) => format!("{before}{shown} {noun}s{after}"),
        None => format!("{before}{shown}{after}"),
    })
}
