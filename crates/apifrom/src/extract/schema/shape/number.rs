//! Bounds of numbers.

use serde_json::Value;

/// What a number must lie between. Integers are compared as integers.
#[derive(Default)]
pub(super) struct Range {
    least: Option<Limit>,
    most: Option<Limit>,
    above: Option<Limit>,
    below: Option<Limit>,
    multiple_of: Option<i128>,
}

#[derive(Clone, Copy)]
enum Limit {
    Integer(i128),
    Float(f64),
}

/// A number of a text.
#[derive(Clone, Copy)]
pub(super) enum Number {
    Integer(i128),
    Float(f64),
}

impl Range {
    /// Takes over a keyword; false when it is not one of a number's or cannot be judged here.
    pub(super) fn take(&mut self, keyword: &str, value: &Value) -> bool {
        if keyword == "multipleOf" {
            self.multiple_of = value.as_i64().map(i128::from).filter(|step| *step > 0);
            return self.multiple_of.is_some();
        }
        let place = match keyword {
            "minimum" => &mut self.least,
            "maximum" => &mut self.most,
            "exclusiveMinimum" => &mut self.above,
            "exclusiveMaximum" => &mut self.below,
            _ => return false,
        };
        *place = Limit::of(value);
        place.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.least.is_none()
            && self.most.is_none()
            && self.above.is_none()
            && self.below.is_none()
            && self.multiple_of.is_none()
    }

    pub(super) fn allows(&self, number: Number) -> bool {
        let is = |limit: &Option<Limit>, test: fn(std::cmp::Ordering) -> bool| {
            limit.is_none_or(|limit| number.compared(limit).is_some_and(test))
        };
        is(&self.least, std::cmp::Ordering::is_ge)
            && is(&self.most, std::cmp::Ordering::is_le)
            && is(&self.above, std::cmp::Ordering::is_gt)
            && is(&self.below, std::cmp::Ordering::is_lt)
            && self.multiple_of.is_none_or(|step| number.is_multiple(step))
    }
}

impl Limit {
    fn of(value: &Value) -> Option<Self> {
        let number = value.as_number()?;
        match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Some(Self::Integer(number.into())),
            (None, Some(number)) => Some(Self::Integer(number.into())),
            (None, None) => number.as_f64().map(Self::Float),
        }
    }
}

impl Number {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a bound with a fraction is compared as what it is, a float"
    )]
    fn compared(self, limit: Limit) -> Option<std::cmp::Ordering> {
        match (self, limit) {
            (Self::Integer(number), Limit::Integer(limit)) => Some(number.cmp(&limit)),
            (Self::Integer(number), Limit::Float(limit)) => (number as f64).partial_cmp(&limit),
            (Self::Float(number), Limit::Integer(limit)) => number.partial_cmp(&(limit as f64)),
            (Self::Float(number), Limit::Float(limit)) => number.partial_cmp(&limit),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a number with a fraction is no multiple of an integer, however it is rounded"
    )]
    fn is_multiple(self, step: i128) -> bool {
        match self {
            Self::Integer(number) => number % step == 0,
            Self::Float(number) => number % (step as f64) == 0.0,
        }
    }
}
