//! What the demo takes and answers.

use apifrom::{Deserialize, JsonSchema, Serialize, Validate};

/// What there is.
#[derive(Serialize)]
pub(crate) struct Index {
    pub(crate) notes: &'static str,
    #[serde(rename = "one note")]
    pub(crate) one_note: &'static str,
}

/// Which notes to list.
#[derive(Deserialize, JsonSchema, Validate)]
pub(crate) struct Listing {
    #[serde(default)]
    #[validate(length(max = 100))]
    pub(crate) q: String,
    #[serde(default = "twenty")]
    #[validate(range(min = 1, max = 100))]
    pub(crate) limit: i64,
}

fn twenty() -> i64 {
    20
}

/// A note to keep.
#[derive(Deserialize, JsonSchema, Validate)]
pub(crate) struct NewNote {
    #[validate(length(min = 1, max = 100))]
    pub(crate) title: String,
    #[serde(default)]
    #[validate(length(max = 10_000))]
    pub(crate) text: String,
}

/// A note that is kept.
#[derive(Serialize)]
pub(crate) struct Note {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) is_done: bool,
}
