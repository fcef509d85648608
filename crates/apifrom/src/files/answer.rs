//! A file as what a handler returns.

use std::path::PathBuf;

use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};

use super::disposition::{Disposition, content_disposition};
use super::media_type::media_type;
use super::source::FileSource;
use crate::rejection::Rejection;
use crate::response::{IntoResponse, Response, ResponseBody};

/// An answer that is a file, with conditions and ranges as RFC 9110 has them.
///
/// It is opened when the answer is sent, off the threads that serve, and never held in memory as a whole.
/// What it is announced as follows from its name. With another status or more headers it is returned in
/// a tuple; conditions and ranges are for 200.
///
/// # Security
/// The path is the program's own: one that a client named belongs to [`static_file`]. A file that is not
/// there is a failure of the program, 500.
///
/// # Examples
/// ```
/// use apifrom::testing::TestClient;
/// use apifrom::{Api, FileResponse, api, endpoints};
///
/// #[api(route = "/manifest", method = "GET")]
/// fn manifest() -> FileResponse {
///     FileResponse::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).filename("manifest.toml")
/// }
///
/// let client = TestClient::new(Api::new().endpoints(endpoints![manifest]).build()?);
/// let part = client.get("/manifest").header("Range", "bytes=0-8").send()?;
/// assert_eq!((part.status().as_u16(), part.text().as_str()), (206, "[package]"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FileResponse {
    source: FileSource,
    content_type: Option<HeaderValue>,
    filename: Option<String>,
    disposition: Disposition,
}

impl FileResponse {
    /// The file at `path`, which is the program's own.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::from(FileSource::Path(path.into()))
    }

    /// Announces another type than its name says.
    #[must_use]
    pub fn content_type(mut self, content_type: HeaderValue) -> Self {
        self.content_type = Some(content_type);
        self
    }

    /// The name under which a browser saves it, which also says its type. One with control characters is
    /// a failure of the handler.
    #[must_use]
    pub fn filename(mut self, filename: impl Into<String>) -> Self {
        self.filename = Some(filename.into());
        self
    }

    /// What a browser does with a file that has a [`filename`](Self::filename). Defaults to saving it.
    #[must_use]
    pub fn disposition(mut self, disposition: Disposition) -> Self {
        self.disposition = disposition;
        self
    }
}

impl From<FileSource> for FileResponse {
    fn from(source: FileSource) -> Self {
        Self {
            source,
            content_type: None,
            filename: None,
            disposition: Disposition::default(),
        }
    }
}

/// The file at `path` below `directory`; 404 for whatever is not a regular file there.
///
/// # Security
/// `path` may be what a client asked for, such as the capture of `/assets/{*path}`: no path and no link
/// leads out of `directory`, and names that begin with a dot are refused.
///
/// # Examples
/// ```
/// use apifrom::testing::TestClient;
/// use apifrom::{Api, FileResponse, api, endpoints, static_file};
///
/// #[api(route = "/assets/{*path}", method = "GET")]
/// fn assets(path: String) -> FileResponse {
///     static_file(concat!(env!("CARGO_MANIFEST_DIR"), "/src"), path)
/// }
///
/// let client = TestClient::new(Api::new().endpoints(endpoints![assets]).build()?);
/// assert_eq!(client.get("/assets/lib.rs").send()?.status(), 200);
/// assert_eq!(client.get("/assets/..%2FCargo.toml").send()?.status(), 404);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn static_file(directory: impl Into<PathBuf>, path: impl Into<String>) -> FileResponse {
    FileResponse::from(FileSource::Beneath {
        directory: directory.into(),
        path: path.into(),
    })
}

impl IntoResponse for FileResponse {
    fn into_response(self) -> Result<Response, Rejection> {
        let content_type = self.content_type.unwrap_or_else(|| {
            let name = self.filename.as_deref();
            HeaderValue::from_static(match (name, &self.source) {
                (Some(name), _) => media_type(name),
                (None, FileSource::Path(path)) => media_type(&path.to_string_lossy()),
                (None, FileSource::Beneath { path, .. }) => media_type(path),
            })
        });
        let disposition = self.filename.as_deref();
        let disposition = disposition.map(|name| content_disposition(self.disposition, name));
        let disposition = disposition
            .transpose()
            .map_err(|why| Rejection::internal().caused_by(why))?;
        let mut response = Response::new(ResponseBody::file(self.source));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        if let Some(disposition) = disposition {
            headers.insert(CONTENT_DISPOSITION, disposition);
        }
        Ok(response)
    }
}
