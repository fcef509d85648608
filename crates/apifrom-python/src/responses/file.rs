//! `FileResponse` and `static_file`.

use std::path::PathBuf;

use apifrom::Disposition;
use apifrom::files::{FileSource, content_disposition, media_type as media_type_of};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::kinds::empty;
use super::{Common, Content, Response, State};

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
        let disposition = match filename {
            Some(filename) => {
                let disposition = disposition_of(disposition)?;
                let value = content_disposition(disposition, filename);
                Some(value.map_err(|why| PyValueError::new_err(why.to_string()))?)
            }
            None => None,
        };
        let fallback = match filename {
            Some(filename) => media_type_of(filename),
            None => media_type_of(&path.to_string_lossy()),
        };
        let common = Common {
            status,
            headers,
            media_type,
            background,
        };
        let content = Content::File(Box::new(FileSource::Path(path)));
        Response::fill(slf.as_super(), content, Some(fallback), &common)?;
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
    let media_type = HeaderValue::from_static(media_type_of(&path));
    state.headers.insert(CONTENT_TYPE, media_type);
    state.content = Content::File(Box::new(FileSource::Beneath { directory, path }));
    Bound::new(py, Response::new(state))
}

/// What the engine calls it.
fn disposition_of(text: &str) -> PyResult<Disposition> {
    match text {
        "attachment" => Ok(Disposition::Attachment),
        "inline" => Ok(Disposition::Inline),
        _ => Err(PyValueError::new_err(
            "expected disposition to be 'attachment' or 'inline'",
        )),
    }
}
