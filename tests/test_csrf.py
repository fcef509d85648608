"""What keeps pages of other sites from acting with a browser's credentials."""

from __future__ import annotations

import pytest

from apifrom import API
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import CSRFMiddleware, csrf_exempt, csrf_token
from apifrom.responses import HTMLResponse, Response
from apifrom.security import Secret, basic_auth_required, jwt_required
from apifrom.security import create_jwt_token as make_token
from apifrom.testing import TestClient

SECRET = "a secret for tests that is longer than 32 bytes"
NAME = "__Host-csrf"
ANN = {"authorization": "Basic YW5uOnBhc3M="}


class Example:
    def __init__(self, **options):
        self.calls = calls = []
        self.app = app = API(max_body_size=2_000)
        app.add_middleware(CSRFMiddleware(**{"secret": SECRET, **options}))

        @app.get("/form")
        def form(request):
            return HTMLResponse(f'<input type="hidden" value="{csrf_token(request)}">')

        @app.post("/form")
        async def post(request):
            calls.append("form")
            sent = await request.form()
            return {"note": sent.get("note"), "token": csrf_token(request)}

        @app.post("/api")
        @jwt_required(secret=SECRET, algorithm="HS256")
        def api(request):
            calls.append("api")
            try:
                return csrf_token(request)
            except RuntimeError as error:
                return str(error)

        @app.api("/basic", methods=["GET", "POST"])
        @basic_auth_required(credentials={"ann": "pass"})
        def basic():
            calls.append("basic")
            return {}

        @csrf_exempt(reason="its sender signs")
        @app.post("/hook")
        def hook():
            calls.append("hook")
            return {}


def token_of(answer):
    cookies = [line for line in answer.headers.getlist("set-cookie") if line.startswith(NAME)]
    assert len(cookies) == 1
    return cookies[0].partition(";")[0].partition("=")[2]


@pytest.fixture
def example():
    return Example()


@pytest.fixture
def client(example):
    with TestClient(example.app) as client:
        yield client


def test_a_form_that_repeats_the_token_is_taken(example, client):
    page = client.get("/form")
    token = token_of(page)
    assert f'value="{token}"' in page.text
    assert page.headers["cache-control"] == "no-store"
    (cookie,) = page.headers.getlist("set-cookie")
    assert cookie == f"{NAME}={token}; Path=/; Secure; SameSite=Lax"
    held = {"cookie": f"{NAME}={token}"}
    again = client.get("/form", headers=held)
    assert "set-cookie" not in again.headers
    assert token in again.text
    sent = client.post("/form", headers=held, data={"note": "hello", "csrf_token": token})
    assert sent.json() == {"note": "hello", "token": token}
    by_header = client.post("/form", headers={**held, "x-csrf-token": token}, data={"note": "x"})
    assert by_header.json()["note"] == "x"
    assert example.calls == ["form", "form"]


@pytest.mark.parametrize(
    ("headers", "data", "kind"),
    [
        pytest.param({}, {}, "csrf_token_missing", id="nothing"),
        pytest.param({"x-csrf-token": "{token}"}, {}, "csrf_token_missing", id="no cookie"),
        pytest.param({"cookie": NAME + "={token}"}, {}, "csrf_token_missing", id="no field"),
        pytest.param(
            {"cookie": NAME + "={token}", "x-csrf-token": "{other}"},
            {},
            "csrf_token_invalid",
            id="swapped",
        ),
        pytest.param(
            {"cookie": NAME + "={token}; " + NAME + "={token}", "x-csrf-token": "{token}"},
            {},
            "csrf_token_invalid",
            id="doubled cookie",
        ),
        pytest.param(
            {"cookie": NAME + "={token}"},
            {"csrf_token": ["{token}", "{token}"]},
            "csrf_token_invalid",
            id="doubled field",
        ),
        pytest.param(
            {"cookie": NAME + "=forged", "x-csrf-token": "forged"},
            {},
            "csrf_token_invalid",
            id="forged",
        ),
        pytest.param(
            {
                "cookie": NAME + "={token}",
                "x-csrf-token": "{token}",
                "sec-fetch-site": "cross-site",
            },
            {},
            "csrf_cross_site",
            id="another site",
        ),
        pytest.param(
            {
                "cookie": NAME + "={token}",
                "x-csrf-token": "{token}",
                "origin": "https://evil.example",
            },
            {},
            "csrf_cross_site",
            id="another origin",
        ),
    ],
)
def test_what_does_not_prove_its_page_never_reaches_the_handler(
    example, client, headers, data, kind
):
    token, other = token_of(client.get("/form")), token_of(client.get("/form"))

    def filled(value):
        if isinstance(value, list):
            return [filled(each) for each in value]
        return value.replace("{token}", token).replace("{other}", other)

    answer = client.post(
        "/form",
        headers={name: filled(value) for name, value in headers.items()},
        data={name: filled(value) for name, value in data.items()},
    )
    assert answer.status_code == 403
    assert answer.json()["type"].endswith(kind)
    assert token not in answer.text
    assert example.calls == []


def test_a_bearer_token_needs_no_token_of_this_kind_and_basic_does(example, client):
    bearer = make_token({"sub": "ann"}, SECRET, "HS256")
    answer = client.post("/api", headers={"authorization": f"Bearer {bearer}"})
    assert answer.status_code == 200
    assert "has no CSRF token" in answer.text
    assert client.post("/api").status_code == 401
    assert client.post("/basic", headers=ANN).status_code == 403
    token = token_of(client.get("/basic", headers=ANN))
    headers = {"cookie": f"{NAME}={token}", "x-csrf-token": token}
    assert client.post("/basic", headers={**ANN, **headers}).status_code == 200
    anonymous = token_of(client.get("/form"))
    swapped = {"cookie": f"{NAME}={anonymous}", "x-csrf-token": anonymous}
    assert client.post("/basic", headers={**ANN, **swapped}).status_code == 403
    assert example.calls == ["api", "basic", "basic"]


def test_an_exempt_endpoint_takes_what_other_sites_send(example, client):
    answer = client.post("/hook", headers={"origin": "https://evil.example"})
    assert answer.status_code == 200
    assert example.calls == ["hook"]


def test_a_body_that_is_too_large_is_refused_before_it_is_searched(example, client):
    token = token_of(client.get("/form"))
    data = {"csrf_token": token, "note": "x" * 3_000}
    answer = client.post("/form", headers={"cookie": f"{NAME}={token}"}, data=data)
    assert answer.status_code == 413
    assert example.calls == []


def test_secrets_can_be_replaced_while_pages_are_open():
    with TestClient(Example(secret="an old secret of more than 32 bytes").app) as client:
        token = token_of(client.get("/form"))
    both = Example(secret=[Secret(SECRET), "an old secret of more than 32 bytes"])
    headers = {"cookie": f"{NAME}={token}", "x-csrf-token": token}
    with TestClient(both.app) as client:
        assert client.post("/form", headers=headers, data={"a": "1"}).status_code == 200
    with TestClient(Example().app) as client:
        assert client.post("/form", headers=headers, data={"a": "1"}).status_code == 403


@pytest.mark.parametrize(
    ("options", "path"),
    [
        pytest.param({"secret": None}, "csrf.secret", id="no secret"),
        pytest.param({"secret": ""}, "csrf.secret", id="empty secret"),
        pytest.param({"secret": []}, "csrf.secret", id="no secrets"),
        pytest.param({"secret": [SECRET, ""]}, "csrf.secret[1]", id="one empty secret"),
        pytest.param({"secret": 5}, "csrf.secret", id="number as secret"),
        pytest.param({"secret": b"bytes"}, "csrf.secret", id="bytes as secret"),
        pytest.param({"secure": False}, "csrf.cookie_name", id="prefix without secure"),
        pytest.param({"samesite": "sometimes"}, "csrf.samesite", id="samesite"),
        pytest.param({"methods": []}, "csrf.methods", id="no methods"),
        pytest.param({"methods": ["GET"]}, "csrf.methods[0]", id="safe method"),
        pytest.param({"methods": "POST"}, "csrf.methods", id="text as methods"),
        pytest.param({"header_name": "X\r\nY"}, "csrf.header_name", id="header"),
        pytest.param({"cookie_name": "a;b"}, "csrf.cookie_name", id="cookie"),
        pytest.param(
            {"trusted_origins": ["https://a.example/"]}, "csrf.trusted_origins[0]", id="origin"
        ),
    ],
)
def test_what_is_wrong_stops_the_start_and_shows_no_secret(options, path):
    with pytest.raises(ConfigurationError) as caught, TestClient(Example(**options).app):
        pass
    assert path in [name for name, _ in caught.value.errors]
    assert SECRET not in str(caught.value)


def test_an_exemption_needs_its_reason_and_an_endpoint():
    with pytest.raises(TypeError, match="csrf_exempt"):
        csrf_exempt(lambda: None)
    app = API()

    @app.post("/hook")
    @csrf_exempt(reason="")
    def hook():
        return {}

    with pytest.raises(ConfigurationError, match="reason"), TestClient(app):
        pass


def test_a_cookie_of_the_handlers_own_stays():
    app = API()
    app.add_middleware(CSRFMiddleware(secret=SECRET))

    @app.get("/")
    def home():
        response = Response(b"")
        response.set_cookie("sid", "1")
        return response

    with TestClient(app) as client:
        names = [line.partition("=")[0] for line in client.get("/").headers.getlist("set-cookie")]
        assert names == ["sid", NAME]


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_token_belongs_to_the_session_that_a_handler_keeps(kind):
    def plain(request):
        return request.cookies.get("sid")

    async def awaited(request):
        return request.cookies.get("sid")

    example = Example(session=plain if kind == "def" else awaited)
    with TestClient(example.app) as client:
        token = token_of(client.get("/form", cookies={"sid": "ann"}))

        def post(sid):
            headers = {"cookie": f"sid={sid}; {NAME}={token}", "x-csrf-token": token}
            return client.post("/form", headers=headers, data={"note": "x"}).status_code

        assert [post("ann"), post("bob")] == [200, 403]
    assert example.calls == ["form"]


def test_a_session_function_that_fails_lets_nobody_pass(caplog):
    example = Example(session=lambda request: 1 / 0)
    with TestClient(example.app) as client:
        for answer in (client.get("/form"), client.post("/form")):
            assert answer.status_code == 503
            assert "set-cookie" not in answer.headers
    assert "ZeroDivisionError" in caplog.text
    with pytest.raises(ConfigurationError, match=r"csrf\.session"):
        Example(session="sid").app.freeze()
    for session in (lambda: "x", lambda request, other: "x"):
        with pytest.raises(ConfigurationError, match=r"csrf\.session: expected a function of one"):
            Example(session=session).app.freeze()


def test_what_a_session_function_raises_is_logged_without_the_session(caplog):
    example = Example(session=lambda request: int(request.cookies["sid"]))
    with TestClient(example.app) as client:
        for answer in (
            client.get("/form", cookies={"sid": "hunter2"}),
            client.post("/form", cookies={"sid": "hunter2"}),
        ):
            assert answer.status_code == 503
    assert "answered 503: ValueError at " in caplog.text
    assert "hunter2" not in caplog.text
    assert all("hunter2" not in str(record.__dict__) for record in caplog.records)
    assert example.calls == []
