//! The Python face of apifrom: converts and calls, decides nothing.
//!
//! 1. [`freeze`] reads what Python declared into the engine's own configuration and endpoints.
//! 2. [`handler`] is the bridge of one endpoint: bound values in, a call, an answer out.
//! 3. [`dispatch`] says where and when a function is called, [`reactor`] owns thread, loop and
//!    interpreter.
//! 4. [`request`], [`responses`], [`reply`], [`json`] and [`stream`] are the values in between.

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the crate has no public item; its docs are for those who read the source"
)]

mod asgi;
mod awaitable;
mod constraints;
mod database;
mod dispatch;
mod email;
mod endpoint;
mod fields;
mod freeze;
mod handler;
mod json;
mod key;
mod logging;
mod middleware;
mod policy;
mod reactor;
mod reply;
mod request;
mod responses;
mod security;
mod serve;
mod spelling;
mod stream;
mod surround;
mod testing;
mod upload;
mod validation;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The compiled half of the package.
#[pymodule]
mod _apifrom {
    #[pymodule_export]
    use crate::asgi::Exchange;
    #[pymodule_export]
    use crate::database::{
        PyDatabase, PyExecuted, PyIdentifier, PyRow, PyRows, PySql, PyStats, PyTransaction, ident,
        raw_sql, sql,
    };
    #[pymodule_export]
    use crate::dispatch::{ProbeCall, ProbeRoute, ProbeWorker, pool_load, run_worker};
    #[pymodule_export]
    use crate::email::EmailCheck;
    #[pymodule_export]
    use crate::freeze::{PyEngine, check_rules, compare_postures, freeze, is_debug_build};
    #[pymodule_export]
    use crate::logging::flush_logs;
    #[pymodule_export]
    use crate::request::{
        BaseRequest, Client, FormData, Headers, Params, Request, SyncRequest, Url, csp_nonce,
        csrf_token,
    };
    #[pymodule_export]
    use crate::responses::{
        BackgroundTask, BackgroundTasks, FileResponse, HtmlResponse, JsonResponse, MutableHeaders,
        PlainTextResponse, RedirectResponse, Response, StreamingResponse, static_file,
    };
    #[pymodule_export]
    use crate::security::{
        PyKeyRecord, PyRevocation, PySecret, create_jwt_token, hash_password, new_api_key, secret,
        verify_jws, verify_jwt_token, verify_password,
    };
    #[pymodule_export]
    use crate::serve::{PyAssignment, PySupervisor, StartError, serve};
    #[pymodule_export]
    use crate::spelling::Spelling;
    #[pymodule_export]
    use crate::testing::TestServer;
}
