use std::sync::{Arc, Mutex};

use http::{HeaderValue, StatusCode};

use super::{After, Middleware, Next};
use crate::testing::{TestAnswer, TestClient};
use crate::{Api, EndpointSpec, Notes, Outcome, Rejection, Reply, Request, Response, ResponseBody};

type Log = Arc<Mutex<Vec<String>>>;

/// Writes down what it sees, under its name.
struct Seeing {
    name: &'static str,
    log: Log,
}

impl Seeing {
    fn note(&self, what: &str) {
        self.log
            .lock()
            .unwrap()
            .push(format!("{} {what}", self.name));
    }
}

impl Middleware for Seeing {
    fn around(&self, request: Request, next: Next) -> Reply {
        self.note(&format!("around {}", next.template()));
        let (name, log) = (self.name, Arc::clone(&self.log));
        Reply::wait(async move {
            let outcome = next.call(request).outcome().await;
            let status = outcome.as_ref().unwrap().status().as_u16();
            log.lock().unwrap().push(format!("{name} got {status}"));
            outcome
        })
    }

    fn after(&self, notes: &Notes, response: Response) -> After {
        let original = notes.original.as_ref().unwrap();
        let template = original.template.as_deref().unwrap_or("none");
        let status = response.status().as_u16();
        self.note(&format!("after {} {template} {status}", original.head.uri));
        After::wait(async move { Ok(response) })
    }

    fn watches_answers(&self) -> bool {
        true
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a handler's outcome, as the closures below hand it on"
)]
fn fine() -> Outcome {
    Ok(Response::new(ResponseBody::full("fine")))
}

fn endpoints() -> Vec<EndpointSpec> {
    let spec = |name: &'static str, handler: fn(Request) -> Reply| {
        EndpointSpec::new(name, format!("/{name}/{{x}}"), ["GET"], move |_| {
            Some(Arc::new(handler))
        })
    };
    vec![
        spec("fine", |_| Reply::Ready(fine())),
        spec("later", |_| Reply::wait(async { fine() })),
        spec("refused", |_| {
            Reply::Ready(Err(Rejection::bad_request("no", "no")))
        }),
        spec("panics", |_| panic!("at once")),
        spec("panics_later", |_| Reply::wait(async { panic!("later") })),
    ]
}

fn ask(api: Api, target: &str) -> TestAnswer {
    let engine = api.endpoints(endpoints()).build().unwrap();
    TestClient::new(engine).get(target).send().unwrap()
}

fn seen(target: &str) -> (u16, Vec<String>) {
    let log = Log::default();
    let middleware = |name| Seeing {
        name,
        log: Arc::clone(&log),
    };
    let api = Api::new()
        .add_middleware(middleware("outer"))
        .add_middleware(middleware("inner"));
    let answer = ask(api, target);
    let log = log.lock().unwrap().clone();
    (answer.status().as_u16(), log)
}

#[test]
fn what_was_added_first_is_outermost() {
    for path in ["fine", "later"] {
        let (status, log) = seen(&format!("/{path}/1"));
        assert_eq!(status, 200);
        assert_eq!(
            log,
            [
                format!("outer around /{path}/{{x}}"),
                format!("inner around /{path}/{{x}}"),
                "inner got 200".to_owned(),
                "outer got 200".to_owned(),
                format!("inner after /{path}/1 /{path}/{{x}} 200"),
                format!("outer after /{path}/1 /{path}/{{x}} 200"),
            ]
        );
    }
}

#[test]
fn what_fails_behind_it_is_an_answer() {
    for (path, expected) in [("refused", 400), ("panics", 500), ("panics_later", 500)] {
        let (status, log) = seen(&format!("/{path}/1"));
        assert_eq!(status, expected, "{path}");
        let got = format!("inner got {expected}");
        assert!(log.contains(&got), "{log:?}");
        let after = format!("outer after /{path}/1 /{path}/{{x}} {expected}");
        assert!(log.contains(&after), "{log:?}");
    }
}

#[test]
fn only_after_sees_what_no_endpoint_answers() {
    let (status, log) = seen("/nothing?q=1");
    assert_eq!(status, 404);
    assert_eq!(
        log,
        [
            "inner after /nothing?q=1 none 404",
            "outer after /nothing?q=1 none 404"
        ]
    );
}

#[test]
fn the_problem_that_it_sees_is_the_one_that_is_sent() {
    struct Counting;
    impl Middleware for Counting {
        fn around(&self, request: Request, next: Next) -> Reply {
            let Reply::Ready(Ok(mut response)) = next.call(request) else {
                panic!("expected an answer at hand");
            };
            let length = response.body().bytes().unwrap().len();
            response
                .headers_mut()
                .insert("x-length", HeaderValue::from(length));
            Reply::Ready(Ok(response))
        }
    }

    let answer = ask(Api::new().add_middleware(Counting), "/refused/1");
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let length = answer.bytes().len().to_string();
    assert_eq!(answer.header("x-length"), Some(length.as_str()));
    let id = answer.header("x-request-id").unwrap();
    assert!(answer.text().contains(id));
}

#[test]
fn middleware_that_fails_is_a_500_and_the_others_still_see_it() {
    struct Failing;
    impl Middleware for Failing {
        fn after(&self, _: &Notes, _: Response) -> After {
            panic!("in after")
        }
        fn surrounds_handlers(&self) -> bool {
            false
        }
        fn watches_answers(&self) -> bool {
            true
        }
    }

    let log = Log::default();
    let outer = Seeing {
        name: "outer",
        log: Arc::clone(&log),
    };
    let api = Api::new().add_middleware(outer).add_middleware(Failing);
    assert_eq!(ask(api, "/fine/1").status(), 500);
    let log = log.lock().unwrap();
    assert!(
        log.iter()
            .any(|line| line.starts_with("outer after") && line.ends_with("500")),
        "{log:?}"
    );
}

#[test]
fn what_is_attached_to_a_request_is_let_go_with_its_answer() {
    struct Attaching(Arc<()>);
    impl Middleware for Attaching {
        fn around(&self, request: Request, next: Next) -> Reply {
            let original = request.context().notes.original.clone().unwrap();
            original.attach(Arc::clone(&self.0));
            next.call(request)
        }
        fn after(&self, notes: &Notes, response: Response) -> After {
            let original = notes.original.as_ref().unwrap();
            assert!(original.attached::<()>().is_some());
            assert!(original.attached::<String>().is_none());
            // A program may keep it for longer.
            std::mem::forget(Arc::clone(original));
            After::Ready(response)
        }
        fn watches_answers(&self) -> bool {
            true
        }
    }

    let value = Arc::new(());
    let api = Api::new().add_middleware(Attaching(Arc::clone(&value)));
    assert_eq!(ask(api, "/fine/1").status(), 200);
    assert_eq!(Arc::strong_count(&value), 1);
}
