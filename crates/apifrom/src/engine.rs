//! The engine: one entry for every transport, one order for every request.
//!
//! ```text
//! 1 request id   2 host, client address   3 routing   4–10 stages   11–12 body and handler
//! answer → own middleware: after → error shaping → stages on the way back → access log
//! ```
//! [`Engine::call`] needs no socket and no ambient runtime, and makes a future only where a
//! stage or a handler has to wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, HeaderName, HeaderValue, ORIGIN,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, StatusCode};
use http_body::Body as _;
use tokio::time::Sleep;

use crate::clock::{Clock, SystemClock, Timers, instant};
use crate::config::ApiConfig;
use crate::endpoint::Endpoint;
use crate::facts::{RouteFacts, SurroundFacts};
use crate::files;
use crate::handler::{After, Failures, Middleware, Outcome, Reply, guarded};
use crate::logging::{FieldRef, Level, Line, Logger, RecordRef, Sink, configuration_weak, escaped};
use crate::middleware::{TrustedHosts, is_preflight, overdue, request_id};
use crate::rejection::Rejection;
use crate::request::{
    Accepted, Body, Client, Head, Notes, Original, Peer, Request, RequestId, Room,
};
use crate::response::{
    Disclosure, Response, ResponseBody, keep_cookies_private, shape, shape_answered,
};
use crate::routing::{Captures, PathFault, Router};
use crate::server::{TrustedProxies, speaks_as_proxy};
use crate::stage::{Decision, Resume, Slot};

/// What a rehearsal reached.
const X_REHEARSAL: HeaderName = HeaderName::from_static("x-rehearsal");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// A frozen API, ready to answer. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    frozen: Arc<Frozen>,
}

/// Everything that was decided before the first request.
pub(crate) struct Frozen {
    pub(crate) config: ApiConfig,
    pub(crate) hosts: TrustedHosts,
    pub(crate) proxies: TrustedProxies,
    pub(crate) router: Router,
    pub(crate) endpoints: Vec<Endpoint>,
    /// What answers where no template matches.
    pub(crate) unrouted: usize,
    /// True where some endpoint has a policy about origins.
    pub(crate) reads_origins: bool,
    /// True where some endpoint's answers are compressed.
    pub(crate) compresses: bool,
    /// Own middleware that sees every answer, in the order in which it does.
    pub(crate) watchers: Vec<Arc<dyn Middleware>>,
    /// True once a peer that is no trusted proxy has spoken as one.
    pub(crate) overheard: AtomicBool,
    pub(crate) failures: Arc<Failures>,
    pub(crate) timers: Timers,
    pub(crate) sink: Arc<dyn Sink>,
    /// What there is to know of what surrounds every call.
    pub(crate) surround: SurroundFacts,
}

impl Engine {
    pub(crate) fn new(frozen: Frozen) -> Self {
        Self {
            frozen: Arc::new(frozen),
        }
    }

    /// Answers one request.
    ///
    /// The future is `Send`, can be polled on any executor, and never fails: whatever goes wrong
    /// is an answer. Dropping it cancels the handler.
    pub fn call(&self, head: Head, body: Body, peer: Arc<Peer>) -> Call {
        Call::begin(&self.frozen, head, body, peer, Course::Whole)
    }

    /// Answers a request as [`Engine::call`] does, without its handler: what would reach one is answered
    /// 204, and `X-Rehearsal` names the endpoint. Own middleware around handlers is left out as well.
    pub fn rehearse(&self, head: Head, body: Body, peer: Arc<Peer>) -> Call {
        Call::begin(&self.frozen, head, body, peer, Course::Rehearsed)
    }

    /// Answers a request that the transport refuses, on the same way out as any other.
    pub fn refuse(&self, head: Head, peer: Arc<Peer>, why: Rejection) -> Call {
        Call::begin(
            &self.frozen,
            head,
            Body::empty(),
            peer,
            Course::Refused(why),
        )
    }

    /// The frozen endpoints, those of the engine itself included.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.frozen.endpoints
    }

    /// What the API was configured with.
    pub fn config(&self) -> &ApiConfig {
        &self.frozen.config
    }

    /// Where this engine's records go.
    pub fn sink(&self) -> &Arc<dyn Sink> {
        &self.frozen.sink
    }

    pub(crate) fn surround_facts(&self) -> &SurroundFacts {
        &self.frozen.surround
    }

    pub(crate) fn trusts_peer(&self, peer: &Peer) -> bool {
        self.frozen.proxies.trusts(peer)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("title", &self.frozen.config.title)
            .field("endpoints", &self.frozen.endpoints.len())
            .finish_non_exhaustive()
    }
}

/// The answer to one request, as a future. See [`Engine::call`].
///
/// Most requests are answered before there is anything to wait for. They need no more than their
/// answer from then on, and nothing else is moved about with it.
#[must_use = "a request is answered only when this is awaited"]
#[derive(Default)]
pub struct Call {
    /// There until it is handed out.
    answer: Option<Response>,
    waiting: Option<Box<Waiting>>,
}

/// A request that has to wait somewhere on its way.
struct Waiting {
    frozen: Arc<Frozen>,
    step: Option<Step>,
    way: ReturnWay,
    deadline: Option<Deadline>,
}

/// When an answer has to begin.
enum Deadline {
    /// So much after the first wait.
    In(Duration),
    At(Pin<Box<Sleep>>),
}

/// What there is to wait for; `None` once there is an answer, which is put where it is wanted: it is
/// large, and would be copied on its way back.
type Awaited = Option<Step>;

/// What is known on the way back.
struct ReturnWay {
    endpoint: usize,
    notes: Notes,
    is_head: bool,
    /// True where the handler is left out.
    is_rehearsed: bool,
    /// What a file would have to know of the request.
    asked: files::Asked,
    /// How many of the watchers have seen the answer.
    watched: usize,
    line: Option<Box<AccessLine>>,
}

impl Drop for ReturnWay {
    fn drop(&mut self) {
        if let Some(original) = &self.notes.original {
            original.release();
        }
    }
}

/// What the access log wants to know of the request.
struct AccessLine {
    method: Method,
    path: String,
    version: http::Version,
    client: Client,
    port: u16,
    started: Instant,
}

type Waited<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum Step {
    Deciding {
        request: Request,
        next: usize,
        wait: Waited<Resume>,
    },
    /// A stage needs the body, and then perhaps more.
    Reading {
        request: Request,
        next: usize,
        wait: Waited<Result<(Bytes, Resume), Rejection>>,
    },
    Handling(Pin<Box<dyn Future<Output = Outcome> + Send>>),
    Watching(Pin<Box<dyn Future<Output = Outcome> + Send>>),
}

/// How far a request is let go.
enum Course {
    /// To its handler.
    Whole,
    /// To where its handler would begin.
    Rehearsed,
    /// Nowhere: the transport refuses it.
    Refused(Rejection),
}

impl Call {
    fn begin(
        frozen: &Arc<Frozen>,
        head: Head,
        body: Body,
        peer: Arc<Peer>,
        course: Course,
    ) -> Self {
        let room = Room::new();
        let is_rehearsed = matches!(course, Course::Rehearsed);
        let trusted = frozen.proxies.trusts(&peer);
        if !trusted {
            frozen.overhear(&head);
        }
        let (client, scheme) = frozen.proxies.resolve(&head, &peer, trusted);
        let line = frozen.access_line(&head, client);
        let is_head = head.method == Method::HEAD;
        // A layer or an engine of ours around this one has named it.
        let named = head.extensions.get::<RequestId>().cloned();
        let request_id = named.unwrap_or_else(|| request_id::name(&head, trusted));
        let mut notes = Notes::new(request_id, scheme);
        notes.origin = frozen.origin(&head);
        notes.accepted = frozen.compresses.then(|| Accepted::read(&head));
        let mut request = Request::new(room, head, body, peer, client, notes);
        let (head, context) = request.for_stage();
        let located = match course {
            Course::Refused(why) => Err(why),
            Course::Whole | Course::Rehearsed => frozen.locate(head, &mut context.captures),
        };
        let endpoint = *located.as_ref().unwrap_or(&frozen.unrouted);
        context.notes.original = frozen.original(endpoint, head, client, &context.captures);
        let mut way = ReturnWay {
            endpoint,
            notes: context.notes.for_the_way_back(),
            is_head,
            is_rehearsed,
            asked: files::Asked::default(),
            watched: 0,
            line,
        };
        let mut call = Self::default();
        let awaited = match located {
            Ok(_) => way.decide(frozen, request, 0, None, &mut call.answer),
            Err(why) => {
                drop(request);
                way.end(frozen, Err(why), &mut call.answer)
            }
        };
        if awaited.is_some() {
            call.waiting = Some(Box::new(Waiting {
                deadline: frozen.deadline(way.endpoint),
                frozen: Arc::clone(frozen),
                step: awaited,
                way,
            }));
        }
        call
    }
}

impl ReturnWay {
    /// Asks the stages from `next` on, then the handler. `decision` is what a stage that waited
    /// came to.
    fn decide(
        &mut self,
        frozen: &Frozen,
        mut request: Request,
        mut next: usize,
        mut decision: Option<Result<Decision, Rejection>>,
        answer: &mut Option<Response>,
    ) -> Awaited {
        let outcome = loop {
            let found = if let Some(decision) = decision.take() {
                decision
            } else {
                let Some(stage) = frozen.stage(self.endpoint, next) else {
                    return self.handle(frozen, request, answer);
                };
                next += 1;
                let (head, context) = request.for_stage();
                guarded(|| stage.decide(head, context))
            };
            match found {
                Ok(Decision::Pass) => {}
                Ok(Decision::Wait(wait)) => {
                    return Some(Step::Deciding {
                        request,
                        next,
                        wait,
                    });
                }
                Ok(Decision::ReadBody(judge)) => {
                    let body = self.bounded(frozen, &mut request);
                    match body {
                        Ok(mut body) => {
                            return Some(Step::Reading {
                                request,
                                next,
                                wait: Box::pin(async move {
                                    let bytes = body.read().await?;
                                    let resume = judge(bytes.clone()).await;
                                    Ok((bytes, resume))
                                }),
                            });
                        }
                        Err(why) => break Err(why),
                    }
                }
                Ok(Decision::Answer(response)) => break Ok(response),
                Ok(Decision::Refuse(why)) | Err(why) => break Err(why),
            }
        };
        self.notes.stages = request.take_stage_notes();
        self.end(frozen, outcome, answer)
    }

    fn handle(
        &mut self,
        frozen: &Frozen,
        mut request: Request,
        answer: &mut Option<Response>,
    ) -> Awaited {
        self.notes.stages = request.take_stage_notes();
        let Some(endpoint) = frozen.endpoints.get(self.endpoint) else {
            return self.end(frozen, Err(Rejection::internal()), answer);
        };
        if let Err(why) = bound(request.body(), endpoint.max_body_size) {
            return self.end(frozen, Err(why), answer);
        }
        if self.is_rehearsed
            && let Some(facts) = &endpoint.facts
        {
            return self.end(frozen, Ok(rehearsed(facts)), answer);
        }
        if endpoint.sends_files {
            let head = request.head();
            self.asked = files::Asked::of(&head.method, &head.headers);
        }
        match guarded(|| endpoint.handler.call(request)) {
            Ok(Reply::Ready(outcome)) => self.end(frozen, outcome, answer),
            Ok(Reply::Wait(future)) => Some(Step::Handling(future)),
            Err(why) => self.end(frozen, Err(why), answer),
        }
    }

    /// The body, for a stage to read within the bounds of the endpoint.
    fn bounded(&self, frozen: &Frozen, request: &mut Request) -> Result<Body, Rejection> {
        let endpoint = frozen.endpoints.get(self.endpoint);
        let limit = endpoint.map_or(0, Endpoint::max_body_size);
        let mut body = request.take_body();
        bound(&mut body, limit)?;
        Ok(body)
    }

    /// Turns an outcome into an answer and sends it on its way out.
    fn end(&mut self, frozen: &Frozen, outcome: Outcome, answer: &mut Option<Response>) -> Awaited {
        let name = frozen.name(self.endpoint);
        let id = &self.notes.request_id;
        match outcome {
            Ok(response) => *answer = Some(response),
            Err(why) => *answer = Some(frozen.failures.answer(why, id, name)),
        }
        let response = answer.as_mut()?;
        if response.body().is_file() {
            return Some(self.open(std::mem::take(response)));
        }
        shape_answered(response, id);
        // Own middleware sees it first.
        while let Some(watcher) = frozen.watchers.get(self.watched) {
            self.watched += 1;
            let notes = &self.notes;
            let shown = std::mem::take(response);
            *response = match guarded(|| watcher.after(notes, shown)) {
                Ok(After::Ready(response)) if response.body().is_file() => {
                    return Some(self.open(response));
                }
                Ok(After::Ready(response)) => response,
                Ok(After::Wait(future)) => return Some(Step::Watching(future)),
                Err(why) => frozen.answer_for(why, &notes.request_id, self.endpoint),
            };
        }
        self.leave(frozen, response);
        None
    }

    /// Waits for the file that is to be sent.
    fn open(&mut self, response: Response) -> Step {
        let asked = self.asked.clone();
        Step::Handling(Box::pin(files::open(response, asked)))
    }

    /// The engine's own headers, and the line in the access log.
    fn leave(&mut self, frozen: &Frozen, response: &mut Response) {
        if let Some(endpoint) = frozen.endpoints.get(self.endpoint) {
            for stage in &endpoint.stages {
                stage.finish(&self.notes, response);
            }
        }
        let headers = response.headers_mut();
        keep_cookies_private(headers);
        if let Ok(id) = HeaderValue::from_bytes(self.notes.request_id.as_bytes()) {
            headers.insert(request_id::X_REQUEST_ID, id);
        }
        if !headers.keys().any(|name| name == X_CONTENT_TYPE_OPTIONS) {
            headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        }
        let never = has_no_body(response.status());
        if self.is_head || never {
            strip_body(response, self.is_head && !never);
        }
        if let Some(line) = self.line.take() {
            frozen.log_access(&line, &self.notes.request_id, response);
        }
    }
}

impl Future for Call {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Response> {
        let answer = ready!(self.poll_answer(cx));
        Poll::Ready(answer.take().unwrap_or_else(asked_again))
    }
}

impl Call {
    /// The answer where it is, for whoever makes something else of it. Empty once it was taken.
    pub(crate) fn poll_answer(&mut self, cx: &mut TaskContext<'_>) -> Poll<&mut Option<Response>> {
        if let Some(waiting) = &mut self.waiting {
            let response = match waiting.poll(cx) {
                Poll::Ready(response) => response,
                Poll::Pending => ready!(waiting.overdue(cx)),
            };
            self.answer = Some(response);
            self.waiting = None;
        }
        Poll::Ready(&mut self.answer)
    }
}

/// What a future comes to that is polled after its end.
#[cold]
pub(crate) fn asked_again() -> Response {
    let why = Rejection::internal();
    shape(why, &request_id::make(), Disclosure::default())
}

impl Waiting {
    /// The answer of a request whose time is over.
    fn overdue(&mut self, cx: &mut TaskContext<'_>) -> Poll<Response> {
        let why = match &mut self.deadline {
            None => return Poll::Pending,
            Some(Deadline::At(sleep)) => {
                ready!(sleep.as_mut().poll(cx));
                overdue()
            }
            Some(Deadline::In(left)) => match self.frozen.timers.sleep(*left) {
                Some(mut sleep) => {
                    let first = sleep.as_mut().poll(cx);
                    self.deadline = Some(Deadline::At(sleep));
                    ready!(first);
                    overdue()
                }
                // A promise that cannot be kept is not made.
                None => Rejection::internal().caused_by("there is no thread for timers"),
            },
        };
        self.deadline = None;
        // What still runs is given up here.
        if let Some(Step::Deciding { request, .. } | Step::Reading { request, .. }) = &mut self.step
        {
            self.way.notes.stages = request.take_stage_notes();
        }
        self.step = None;
        let mut answer = None;
        self.step = self.way.end(&self.frozen, Err(why), &mut answer);
        if self.step.is_some() {
            return self.poll(cx);
        }
        Poll::Ready(answer.unwrap_or_else(asked_again))
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Response> {
        let Self {
            frozen, step, way, ..
        } = self;
        let mut answer = None;
        loop {
            let awaited = match step.take() {
                Some(Step::Deciding {
                    mut request,
                    next,
                    mut wait,
                }) => match guarded(|| wait.as_mut().poll(cx)) {
                    Ok(Poll::Ready(resume)) => {
                        let (head, context) = request.for_stage();
                        let decision = guarded(|| resume(head, context));
                        way.decide(frozen, request, next, Some(decision), &mut answer)
                    }
                    Ok(Poll::Pending) => {
                        *step = Some(Step::Deciding {
                            request,
                            next,
                            wait,
                        });
                        return Poll::Pending;
                    }
                    Err(why) => {
                        way.notes.stages = request.take_stage_notes();
                        way.end(frozen, Err(why), &mut answer)
                    }
                },
                Some(Step::Reading {
                    mut request,
                    next,
                    mut wait,
                }) => match guarded(|| wait.as_mut().poll(cx)) {
                    Ok(Poll::Ready(Ok((bytes, resume)))) => {
                        *request.body() = Body::full(bytes);
                        let (head, context) = request.for_stage();
                        let decision = guarded(|| resume(head, context));
                        way.decide(frozen, request, next, Some(decision), &mut answer)
                    }
                    Ok(Poll::Pending) => {
                        *step = Some(Step::Reading {
                            request,
                            next,
                            wait,
                        });
                        return Poll::Pending;
                    }
                    Ok(Poll::Ready(Err(why))) | Err(why) => {
                        way.notes.stages = request.take_stage_notes();
                        way.end(frozen, Err(why), &mut answer)
                    }
                },
                Some(Step::Handling(mut future)) => match guarded(|| future.as_mut().poll(cx)) {
                    Ok(Poll::Ready(outcome)) => way.end(frozen, outcome, &mut answer),
                    Ok(Poll::Pending) => {
                        *step = Some(Step::Handling(future));
                        return Poll::Pending;
                    }
                    Err(why) => way.end(frozen, Err(why), &mut answer),
                },
                Some(Step::Watching(mut future)) => {
                    let outcome = match guarded(|| future.as_mut().poll(cx)) {
                        Ok(Poll::Ready(outcome)) => outcome,
                        Ok(Poll::Pending) => {
                            *step = Some(Step::Watching(future));
                            return Poll::Pending;
                        }
                        Err(why) => Err(why),
                    };
                    // Own middleware that answers with an error is shaped like a handler that does.
                    way.end(frozen, outcome, &mut answer)
                }
                None => return Poll::Ready(answer.unwrap_or_else(asked_again)),
            };
            *step = awaited;
        }
    }
}

impl Frozen {
    /// Steps 2 and 3: the host, then the endpoint, whose captures are written into `captures`.
    ///
    /// # Errors
    /// A refusal, which is answered where nothing matches.
    fn locate(&self, head: &Head, captures: &mut Captures) -> Result<usize, Rejection> {
        self.hosts.check(head)?;
        let target = head.uri.path();
        if target.len() + head.uri.query().map_or(0, str::len) > self.config.max_target_size {
            return Err(Rejection::new(
                StatusCode::URI_TOO_LONG,
                "target_too_long",
                "the request target is too long",
            ));
        }
        self.find(head, target, captures)
            .map(|found| found.unwrap_or(self.unrouted))
            .map_err(|fault| Rejection::bad_request("bad_path", fault.to_string()))
    }

    /// Warns of the first that speaks as a proxy and is not trusted.
    fn overhear(&self, head: &Head) {
        if self.overheard.load(Ordering::Relaxed) || !speaks_as_proxy(head) {
            return;
        }
        if !self.overheard.swap(true, Ordering::Relaxed) {
            configuration_weak(
                &*self.sink,
                "trusted_proxies",
                "forwarding headers came from a peer that is not among them, and were ignored; if that \
                 is your proxy, clients share its address until it is named there",
            );
        }
    }

    /// A preflight is judged by the policy of the endpoint that it asks about, where that has one.
    fn find(
        &self,
        head: &Head,
        target: &str,
        captures: &mut Captures,
    ) -> Result<Option<usize>, PathFault> {
        if self.reads_origins && is_preflight(head) {
            let asked = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD);
            if let Some(Ok(method)) = asked.map(|name| Method::from_bytes(name.as_bytes()))
                && let Some(endpoint) = self.router.find(&method, target, captures)?
                && self.has_cors(endpoint)
            {
                return Ok(Some(endpoint));
            }
        }
        self.router.find(&head.method, target, captures)
    }

    fn has_cors(&self, endpoint: usize) -> bool {
        let found = self.endpoints.get(endpoint);
        found.is_some_and(|endpoint| endpoint.slots().any(|slot| slot == Slot::Cors))
    }

    /// The only origin that a request names.
    fn origin(&self, head: &Head) -> Option<HeaderValue> {
        if !self.reads_origins {
            return None;
        }
        let mut lines = head.headers.get_all(ORIGIN).iter();
        match (lines.next(), lines.next()) {
            (Some(origin), None) => Some(origin.clone()),
            _ => None,
        }
    }

    fn deadline(&self, endpoint: usize) -> Option<Deadline> {
        let after = self.endpoints.get(endpoint)?.deadline?;
        Some(Deadline::In(after))
    }

    fn stage(&self, endpoint: usize, index: usize) -> Option<&dyn crate::stage::Stage> {
        let stage = self.endpoints.get(endpoint)?.stages.get(index)?;
        Some(&**stage)
    }

    /// The answer to a refusal; a failure of ours is written to the log.
    fn answer_for(&self, why: Rejection, id: &RequestId, endpoint: usize) -> Response {
        self.failures.answer(why, id, self.name(endpoint))
    }

    /// What errors and logs call an endpoint.
    fn name(&self, endpoint: usize) -> &str {
        self.endpoints.get(endpoint).map_or("", Endpoint::name)
    }

    /// What own middleware that sees the answer is shown of the request. Nothing is copied where
    /// there is none.
    fn original(
        &self,
        endpoint: usize,
        head: &Head,
        client: Client,
        captures: &Captures,
    ) -> Option<Arc<Original>> {
        if self.watchers.is_empty() {
            return None;
        }
        let template = self.endpoints.get(endpoint)?.route.clone();
        let (head, captures) = (head.clone(), captures.clone());
        Some(Arc::new(Original::new(head, client, captures, template)))
    }

    fn access_line(&self, head: &Head, client: Client) -> Option<Box<AccessLine>> {
        let wanted = self.config.access_log && self.sink.enabled(Logger::Access, Level::Info);
        wanted.then(|| {
            Box::new(AccessLine {
                method: head.method.clone(),
                // Without the query, which may hold a credential.
                path: head.uri.path().to_owned(),
                version: head.version,
                client,
                port: client.port,
                started: instant(),
            })
        })
    }

    fn log_access(&self, asked: &AccessLine, id: &RequestId, response: &Response) {
        let status = response.status().as_u16();
        let elapsed = instant().duration_since(asked.started).as_secs_f64() * 1e3;
        let client = asked.client.to_string();
        let message = format!(
            "{client}:{} \"{} {} {:?}\" {status} {elapsed:.2}ms {id}",
            asked.port,
            escaped(asked.method.as_str()),
            escaped(&asked.path),
            asked.version,
        );
        let line = Line {
            logger: Logger::Access,
            level: Level::Info,
            event: "answered",
            message: &message,
            time: SystemClock.unix(),
        };
        let [trace, parent] = FieldRef::of_trace(id);
        let fields = [
            ("client", Some(FieldRef::Text(&client))),
            ("method", Some(FieldRef::Text(asked.method.as_str()))),
            ("path", Some(FieldRef::Text(&asked.path))),
            ("status", Some(FieldRef::Number(status.into()))),
            ("duration_ms", Some(FieldRef::Millis(elapsed))),
            ("request_id", Some(FieldRef::Text(id.as_str()))),
            trace,
            parent,
        ];
        self.sink.write_ref(&RecordRef::new(line, &fields));
    }
}

/// What stands for the answer of a handler that was left out.
fn rehearsed(facts: &RouteFacts) -> Response {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(template) = HeaderValue::from_str(&facts.route) {
        response.headers_mut().insert(X_REHEARSAL, template);
    }
    response
}

/// Bounds what is read of a body.
///
/// # Errors
/// When more is announced: whoever reads piece by piece would wait for bytes that a client never
/// sends who waits to be refused.
fn bound(body: &mut Body, limit: u64) -> Result<(), Rejection> {
    if body.announced().is_some_and(|announced| announced > limit) {
        return Err(Rejection::body_too_large(limit));
    }
    body.bound(limit);
    Ok(())
}

fn has_no_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || status.is_informational()
}

/// Takes the body off an answer that must not have one (RFC 9110 §9.3.2, §15.3.5, §15.4.5).
fn strip_body(response: &mut Response, announce: bool) {
    let length = response.body().size_hint().exact();
    *response.body_mut() = ResponseBody::empty();
    let headers = response.headers_mut();
    if let (true, Some(length)) = (announce, length) {
        headers
            .entry(CONTENT_LENGTH)
            .or_insert(HeaderValue::from(length));
    } else if !announce {
        headers.remove(CONTENT_LENGTH);
    }
}
