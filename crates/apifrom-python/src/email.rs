//! Plain e-mail addresses, told without a call into Python.
//!
//! What Pydantic's `EmailStr` does with an address is email-validator's to say, whose releases
//! differ in the corners. In the middle they agree: an address of [`is_plain`] is valid and is its
//! own normal form. Every other address is handed on.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

/// RFC 5321 §4.5.3.1.1.
const LONGEST_LOCAL_PART: usize = 64;
/// RFC 5321 §4.5.3.1.3, without the angle brackets.
const LONGEST_ADDRESS: usize = 254;
/// RFC 1035 §2.3.4.
const LONGEST_LABEL: usize = 63;

/// Checks an address as ``EmailStr`` does.
///
/// Args:
///     fallback: What decides about all but plain addresses.
///     reserved: Domains in which no address is plain. While its length is not what it was, none is.
#[pyclass(module = "apifrom._apifrom", frozen)]
pub(crate) struct EmailCheck {
    fallback: Py<PyAny>,
    list: Py<PyList>,
    reserved: Vec<String>,
}

#[pymethods]
impl EmailCheck {
    #[new]
    fn new(fallback: Py<PyAny>, reserved: &Bound<'_, PyList>) -> PyResult<Self> {
        Ok(Self {
            fallback,
            reserved: reserved.extract()?,
            list: reserved.clone().unbind(),
        })
    }

    fn __call__<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let is_plain = value.cast_exact::<PyString>().is_ok_and(|text| {
            self.list.bind(py).len() == self.reserved.len()
                && text
                    .to_str()
                    .is_ok_and(|text| is_plain(text, &self.reserved))
        });
        if is_plain {
            return Ok(value);
        }
        self.fallback.bind(py).call1((value,))
    }
}

/// True for lower-case ASCII addresses of dot-atoms and ordinary host names, outside `reserved`.
fn is_plain(address: &str, reserved: &[String]) -> bool {
    let Some((local, domain)) = address.split_once('@') else {
        return false;
    };
    address.len() <= LONGEST_ADDRESS
        && local.len() <= LONGEST_LOCAL_PART
        && local.split('.').all(is_plain_atom)
        && is_plain_domain(domain)
        && !reserved.iter().any(|name| is_within(domain, name))
}

fn is_plain_atom(atom: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-+".contains(&byte);
    !atom.is_empty() && atom.bytes().all(plain)
}

fn is_plain_domain(domain: &str) -> bool {
    let Some((labels, top)) = domain.rsplit_once('.') else {
        return false;
    };
    labels.split('.').all(is_plain_label)
        && (2..=LONGEST_LABEL).contains(&top.len())
        && top.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Letters, digits and single hyphens inside, so that no label is Punycode or reserved for the like.
fn is_plain_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.contains("--")
}

fn is_within(domain: &str, name: &str) -> bool {
    domain
        .strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
