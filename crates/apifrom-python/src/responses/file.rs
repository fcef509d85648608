//! `FileResponse` and `static_file`.

use std::path::PathBuf;

use apifrom::files::FileSource;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::kinds::{empty, push_encoded};
use super::{BYTES, Common, Content, Response, State, content_type};

/// An answer that is a file.
#[pyclass(extends = Response, subclass, frozen, module = "apifrom.responses")]
pub(crate) struct FileResponse;

#[pymethods]
impl FileResponse {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(
        _arguments: &Bound<'_, PyTuple>,
        _keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        empty(Self)
    }

    /// Builds an answer from a file, which is opened when the answer is sent.
    #[pyo3(signature = (path, status = 200, headers = None, media_type = None, background = None, *, filename = None, disposition = "attachment"))]
    #[expect(clippy::too_many_arguments, reason = "the keywords of the constructor")]
    fn __init__(
        slf: &Bound<'_, Self>,
        path: PathBuf,
        status: u16,
        headers: Option<&Bound<'_, PyAny>>,
        media_type: Option<&str>,
        background: Option<&Bound<'_, PyAny>>,
        filename: Option<&str>,
        disposition: &str,
    ) -> PyResult<()> {
        let py = slf.py();
        let disposition = match filename {
            Some(filename) => Some(content_disposition(disposition, filename)?),
            None => None,
        };
        let named = filename.map_or_else(|| path.to_string_lossy().into_owned(), str::to_owned);
        let fallback = guess(py, &named)?;
        let common = Common {
            status,
            headers,
            media_type,
            background,
        };
        let content = Content::File(Box::new(FileSource::Path(path)));
        Response::fill(slf.as_super(), content, Some(&fallback), &common)?;
        if let Some(disposition) = disposition {
            let mut state = slf.as_super().get().lock();
            state
                .headers
                .entry(CONTENT_DISPOSITION)
                .or_insert(disposition);
        }
        Ok(())
    }
}

/// The file at `path` below `directory`; 404 for whatever is not a regular file there.
#[pyfunction]
pub(crate) fn static_file(
    py: Python<'_>,
    directory: PathBuf,
    path: String,
) -> PyResult<Bound<'_, Response>> {
    let mut state = State::default();
    let media_type = content_type(&guess(py, &path)?)?;
    state.headers.insert(CONTENT_TYPE, media_type);
    state.content = Content::File(Box::new(FileSource::Beneath { directory, path }));
    Bound::new(py, Response::new(state))
}

/// The media type that goes with a file's name.
fn guess(py: Python<'_>, name: &str) -> PyResult<String> {
    let (media_type, encoding) = py
        .import(intern!(py, "mimetypes"))?
        .call_method1(intern!(py, "guess_type"), (name,))?
        .extract::<(Option<String>, Option<String>)>()?;
    Ok(match (media_type, encoding.as_deref()) {
        (Some(media_type), None) => media_type,
        // What is in the compressed file is not what is sent.
        (_, Some("gzip")) => "application/gzip".to_owned(),
        _ => BYTES.to_owned(),
    })
}

/// RFC 6266: a name in ASCII for everyone, and the name itself in RFC 8187's encoding where the
/// two differ.
fn content_disposition(kind: &str, filename: &str) -> PyResult<HeaderValue> {
    if !matches!(kind, "attachment" | "inline") {
        return Err(PyValueError::new_err(
            "expected disposition to be 'attachment' or 'inline'",
        ));
    }
    if filename.chars().any(char::is_control) {
        return Err(PyValueError::new_err(
            "a file's name may not hold control characters",
        ));
    }
    // Quotes, backslashes and `%` are read in different ways by different browsers.
    let is_plain = |character: &char| {
        character.is_ascii_graphic() && !matches!(character, '"' | '\\' | '%') || *character == ' '
    };
    let plain: String = filename
        .chars()
        .map(|character| if is_plain(&character) { character } else { '_' })
        .collect();
    let mut value = format!("{kind}; filename=\"{plain}\"");
    if plain != filename {
        value.push_str("; filename*=UTF-8''");
        push_encoded(filename, b"!#$&+-.^_`|~", &mut value);
    }
    HeaderValue::from_str(&value)
        .map_err(|_| PyValueError::new_err("the file's name cannot be sent"))
}
