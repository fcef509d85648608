"""Which pages of other origins may read the answers."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

import pytest

from apifrom import API
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import CORSMiddleware, cors
from apifrom.security import api_key_required
from apifrom.testing import TestClient
from tests.serving import serving

PAGE = "https://page.example"
ASKS = "access-control-request-method"
READER = "access-control-allow-origin"


def example(calls, **options):
    app = API()
    app.add_middleware(CORSMiddleware, **{"allow_origins": [PAGE], **options})

    @app.post("/notes")
    @api_key_required(api_keys={"a-long-enough-key": []})
    def note(request):
        calls.append("note")
        return {}

    @app.get("/boom")
    def boom():
        calls.append("boom")
        raise RuntimeError("hidden")

    @cors(allow_origins=["https://partner.example"], allow_methods=["PUT"])
    @app.api(route="/partner", methods=["PUT"])
    def partner():
        calls.append("partner")
        return {}

    return app


def asked(client, path, origin=PAGE, method="POST", **headers):
    return client.options(path, headers={"origin": origin, ASKS: method, **headers})


def test_a_preflight_is_answered_before_anybody_is_asked_who_they_are():
    calls = []
    with TestClient(example(calls, allow_headers=["X-API-Key"], max_age=30)) as client:
        for path in ("/notes", "/nowhere", "/boom"):
            extra = {"access-control-request-headers": "x-api-key"}
            answer = asked(client, path, **extra)
            assert answer.status_code == 204
            assert answer.headers[READER] == PAGE
            assert answer.headers["access-control-allow-methods"] == "GET, HEAD, POST"
            assert answer.headers["access-control-allow-headers"] == "X-API-Key"
            assert answer.headers["access-control-max-age"] == "30"
            assert answer.headers["vary"].startswith("Origin, Access-Control-Request-Method")
    assert calls == []


@pytest.mark.parametrize(
    ("origin", "method", "header"),
    [
        ("https://evil.example", "POST", "content-type"),
        (f"{PAGE}.evil.example", "POST", "content-type"),
        (f"{PAGE}:8443", "POST", "content-type"),
        (f"{PAGE}.", "POST", "content-type"),
        ("https://PAGE.example", "POST", "content-type"),
        ("https://user@page.example", "POST", "content-type"),
        (f"{PAGE}, {PAGE}", "POST", "content-type"),
        ("null", "POST", "content-type"),
        (PAGE, "DELETE", "content-type"),
        (PAGE, "post", "content-type"),
        (PAGE, "", "content-type"),
        (PAGE, "POST", "content-type, x-other"),
    ],
)
def test_what_is_not_listed_is_not_allowed(origin, method, header):
    calls = []
    with TestClient(example(calls, allow_headers=["Content-Type"])) as client:
        extra = {"access-control-request-headers": header}
        answer = asked(client, "/notes", origin, method, **extra)
    assert answer.status_code == 204
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "Origin" in answer.headers["vary"]
    assert calls == []


def test_options_without_a_method_to_ask_about_is_no_preflight():
    with TestClient(example([])) as client:
        answer = client.options("/boom", headers={"origin": PAGE})
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers[READER] == PAGE
    assert "access-control-allow-methods" not in answer.headers


def test_every_answer_says_who_may_read_it():
    calls = []
    app = example(calls, allow_credentials=True, expose_headers=["X-Total"])
    with TestClient(app) as client:
        for status, method, path in [
            (401, "POST", "/notes"),
            (404, "GET", "/nowhere"),
            (400, "GET", "/a/%2e%2e/b"),
            (405, "DELETE", "/notes"),
            (500, "GET", "/boom"),
        ]:
            answer = client.request(method, path, headers={"origin": PAGE})
            assert answer.status_code == status
            assert answer.headers[READER] == PAGE
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert answer.headers["access-control-expose-headers"] == "X-Total"
            assert answer.headers["vary"] == "Origin"
            for headers in ({}, {"origin": "https://evil.example"}):
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == status
                assert READER not in answer.headers
                assert answer.headers["vary"] == "Origin"
    assert calls == ["boom", "boom", "boom"]


def test_everybody_may_read_what_is_for_everybody():
    with TestClient(example([], allow_origins=["*"])) as client:
        for headers in ({}, {"origin": "https://anybody.example"}):
            answer = client.get("/boom", headers=headers)
            assert answer.headers[READER] == "*"
            assert "vary" not in answer.headers


def test_an_endpoint_may_have_a_policy_of_its_own():
    with TestClient(example([])) as client:
        partner = "https://partner.example"
        assert asked(client, "/partner", partner, "PUT").headers[READER] == partner
        assert READER not in asked(client, "/partner", PAGE, "PUT").headers
        # What no endpoint answers is the whole API's matter.
        assert READER not in asked(client, "/partner", partner, "POST").headers
        answer = client.put("/partner", headers={"origin": partner})
        assert answer.headers[READER] == partner


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"allow_origins": []}, ["allow_origins"]),
        ({"allow_origins": "https://page.example"}, ["allow_origins"]),
        (
            {
                "allow_origins": [
                    "https://page.example/",
                    "https://me@page.example",
                    "https://Page.example",
                    "https://page.example.",
                    "https://page.example\r\nX: y",
                    PAGE,
                ]
            },
            [f"allow_origins[{index}]" for index in range(5)],
        ),
        (
            {
                "allow_origins": ["*"],
                "allow_methods": ["*"],
                "allow_headers": ["*"],
                "expose_headers": ["*"],
                "allow_credentials": True,
            },
            ["allow_origins", "allow_methods", "allow_headers", "expose_headers"],
        ),
        (
            {"allow_methods": ["get"], "allow_headers": ["a b"], "expose_headers": ["x\r\ny"]},
            ["allow_methods[0]", "allow_headers[0]", "expose_headers[0]"],
        ),
        ({"max_age": -1, "allow_credentials": "yes"}, ["allow_credentials", "max_age"]),
    ],
)
def test_mistakes_stop_the_start_and_name_every_field(options, fields):
    with pytest.raises(ConfigurationError) as raised:
        example([], **options).freeze()
    found = str(raised.value)
    for field in fields:
        assert f"cors.{field}: " in found


def test_a_policy_of_an_endpoint_that_is_wrong_names_the_endpoint():
    app = API()

    @app.get("/")
    @cors(allow_origins=["https://page.example/x"])
    def home():
        return {}

    app.add_middleware(CORSMiddleware(allow_origins=[PAGE]))
    app.add_middleware(CORSMiddleware(allow_origins=[PAGE]))
    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    assert "home.cors.allow_origins[0]: expected no path" in str(raised.value)
    assert "cors: stands twice" in str(raised.value)


def test_a_policy_on_a_function_that_is_no_endpoint_stops_the_start():
    app = API()

    @app.get("/")
    def home():
        return {}

    @cors(allow_origins=[PAGE])
    def helper():
        return {}

    with pytest.raises(ConfigurationError, match="cors stands on a function that is no endpoint"):
        app.freeze()
    del helper


def test_policies_hold_over_a_socket():
    program = "from tests.test_cors import example\nexample([]).run(port=0)\n"
    with serving(program) as port:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/notes",
            method="OPTIONS",
            headers={"Origin": PAGE, ASKS: "POST"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 204
            assert answer.headers[READER] == PAGE
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/notes", data=b"", headers={"Origin": PAGE}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 401
        assert refused.value.headers[READER] == PAGE
        refused.value.close()


@pytest.mark.parametrize(
    "origin",
    [
        "https://page.example.",
        "https://PAGE.example",
        "https://page.example:443",
        "https://page.example:8443",
        "https://user@page.example",
        "http://page.example",
        "https://page.example https://evil.test",
        "https://.sub.example",
        "https://a..sub.example",
        "https://sub.example",
        "https://evil.test/.sub.example",
        "https://evil.test?.sub.example",
        "https://evil.test\\.sub.example",
        "https://evil.test:1.sub.example",
        "null",
        "",
    ],
)
def test_an_origin_that_resembles_a_listed_one_reads_nothing(origin):
    app = example([], allow_origins=[PAGE, "https://*.sub.example"], allow_credentials=True)
    with TestClient(app) as client:
        for answer in (
            client.get("/nowhere", headers={"origin": origin}),
            asked(client, "/notes", origin=origin),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert answer.headers["vary"].startswith("Origin")


def test_a_request_of_two_origins_is_of_none():
    program = "from tests.test_cors import example\nexample([]).run(port=0)\n"
    with serving(program) as port:
        for method, path in (("GET", "/nowhere"), ("OPTIONS", "/notes")):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.putrequest(method, path)
            connection.putheader("Origin", PAGE)
            connection.putheader("Origin", "https://evil.test")
            connection.putheader("Access-Control-Request-Method", "POST")
            connection.endheaders()
            with connection.getresponse() as answer:
                names = [name.lower() for name in answer.headers]
            assert "vary" in names
            assert not [name for name in names if name.startswith("access-control-")]
            connection.close()
