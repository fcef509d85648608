"""What browsers are told about every answer."""

from __future__ import annotations

import asyncio

import pytest

from apifrom import API
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import (
    CORSMiddleware,
    Middleware,
    SecurityHeadersMiddleware,
    csp_nonce,
    security_headers,
)
from apifrom.responses import HTMLResponse, Response
from apifrom.security import api_key_required
from apifrom.testing import TestClient

CSP = "content-security-policy"
HSTS = "strict-transport-security"


def example(**options):
    app = API(trusted_proxies=["127.0.0.1"])
    app.add_middleware(SecurityHeadersMiddleware, **options)

    @app.get("/")
    def home():
        return {}

    @app.get("/page")
    def page():
        return HTMLResponse("<p>welcome</p>")

    @app.get("/locked")
    @api_key_required(api_keys={"a-long-enough-key": []})
    def locked():
        return {}

    @app.get("/boom")
    def boom():
        raise RuntimeError("hidden")

    @app.get("/own")
    def own():
        return Response(b"", headers={"X-Frame-Options": "SAMEORIGIN", HSTS: "max-age=1"})

    return app


def test_without_a_choice_every_answer_is_closed_refusals_and_failures_included():
    with TestClient(example()) as client:
        for path, status in {"/": 200, "/locked": 401, "/nowhere": 404, "/boom": 500}.items():
            answer = client.get(path)
            assert answer.status_code == status
            assert answer.headers[CSP] == "default-src 'none'; frame-ancestors 'none'"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            for absent in (HSTS, "x-xss-protection", "permissions-policy", "clear-site-data"):
                assert absent not in answer.headers
        assert client.post("/").headers["x-frame-options"] == "DENY"
        assert client.get("/%00").headers["x-frame-options"] == "DENY"
        assert client.get("/page").headers[CSP] == (
            "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'none'"
        )


def test_transport_security_is_said_over_tls_alone():
    with TestClient(example()) as client:
        for forwarded, said in {"https": "max-age=31536000", "http": None, "ftp": None}.items():
            answer = client.get("/", headers={"x-forwarded-proto": forwarded})
            assert answer.headers.get(HSTS) == said
    untrusting = API()
    untrusting.add_middleware(SecurityHeadersMiddleware())
    with TestClient(untrusting) as client:
        assert HSTS not in client.get("/", headers={"x-forwarded-proto": "https"}).headers


def test_a_preflight_carries_them_as_well():
    app = example()
    app.add_middleware(CORSMiddleware(allow_origins=["https://page.example"]))
    asks = {"origin": "https://page.example", "access-control-request-method": "GET"}
    with TestClient(app) as client:
        answer = client.options("/", headers=asks)
        assert answer.status_code == 204
        assert answer.headers["x-frame-options"] == "DENY"


def test_what_a_handler_wrote_stays_unless_the_headers_are_enforced():
    https = {"x-forwarded-proto": "https"}
    with TestClient(example()) as client:
        answer = client.get("/own", headers=https)
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers[HSTS] == "max-age=1"
    with TestClient(example(enforce=True)) as client:
        answer = client.get("/own", headers=https)
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers[HSTS] == "max-age=31536000"


def test_directives_are_sent_in_their_order_and_false_leaves_out():
    with TestClient(
        example(
            csp={
                "default-src": ["'self'", "https://cdn.example.com"],
                "sandbox": True,
                "img-src": False,
                "script-src": [],
                "base-uri": "'none'",
            },
            permissions_policy={
                "camera": [],
                "fullscreen": ["*"],
                "geolocation": ["self", "https://maps.example.com"],
                "usb": False,
            },
            hsts={"max-age": 60},
            x_frame_options=False,
            referrer_policy=False,
            cross_origin_resource_policy="same-site",
        )
    ) as client:
        answer = client.get("/page", headers={"x-forwarded-proto": "https"})
        assert answer.headers[CSP] == (
            "default-src 'self' https://cdn.example.com; sandbox; script-src; base-uri 'none'"
        )
        assert answer.headers["permissions-policy"] == (
            'camera=(), fullscreen=*, geolocation=(self "https://maps.example.com")'
        )
        assert answer.headers[HSTS] == "max-age=60"
        assert answer.headers["cross-origin-resource-policy"] == "same-site"
        assert "x-frame-options" not in answer.headers
        assert "referrer-policy" not in answer.headers
    with TestClient(example(csp=False, hsts=False)) as client:
        answer = client.get("/page", headers={"x-forwarded-proto": "https"})
        assert CSP not in answer.headers
        assert HSTS not in answer.headers


def test_an_endpoint_may_have_headers_of_its_own():
    app = example()

    @security_headers(x_frame_options="SAMEORIGIN", csp={"default-src": ["https:"]})
    @app.get("/framed")
    def framed():
        return {}

    with TestClient(app) as client:
        answer = client.get("/framed")
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers[CSP] == "default-src https:"
        assert client.get("/").headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"csp": {"default-scr": ["'self'"]}}, 'csp["default-scr"]'),
        ({"csp": {"default-src": ["self"]}}, 'csp["default-src"]'),
        ({"csp": {"default-src": ["'none'", "https:"]}}, 'csp["default-src"]'),
        ({"csp": {"default-src": ["'self' https:"]}}, 'csp["default-src"]'),
        ({"csp": {"default-src": ["'self';script-src"]}}, 'csp["default-src"]'),
        ({"csp": {"default-src": ["https://a,https://b"]}}, 'csp["default-src"]'),
        ({"csp": {"report-to": ["x\r\nSet-Cookie:"]}}, 'csp["report-to"]'),
        ({"csp": {"default-src": [""]}}, 'csp["default-src"]'),
        ({"csp": {"default-src": ["https://ä.example"]}}, 'csp["default-src"]'),
        ({"csp": {"default-src": 5}}, 'csp["default-src"]'),
        ({"csp": {5: ["'self'"]}}, "csp"),
        ({"csp": "default-src 'self'"}, "csp"),
        ({"csp": True}, "csp"),
        ({"csp": {}}, "csp"),
        ({"csp": {"default-src": False}}, "csp"),
        ({"hsts": {"max_age": 60}}, "hsts.max_age"),
        ({"hsts": {"max-age": -1}}, "hsts.max-age"),
        ({"hsts": {"max-age": 1.5}}, "hsts.max-age"),
        ({"hsts": {"preload": True}}, "hsts.preload"),
        ({"hsts": 60}, "hsts"),
        ({"x_frame_options": "ALLOW-FROM https://a"}, "x_frame_options"),
        ({"x_frame_options": "DENY\r\nX: y"}, "x_frame_options"),
        ({"x_frame_options": True}, "x_frame_options"),
        ({"x_xss_protection": "2"}, "x_xss_protection"),
        ({"x_content_type_options": "sniff"}, "x_content_type_options"),
        ({"x_content_type_options": False}, "x_content_type_options"),
        ({"referrer_policy": "never"}, "referrer_policy"),
        ({"permissions_policy": {"geolocaton": []}}, 'permissions_policy["geolocaton"]'),
        ({"permissions_policy": {"camera": ["example.com"]}}, 'permissions_policy["camera"]'),
        ({"permissions_policy": {"camera": True}}, 'permissions_policy["camera"]'),
        ({"cross_origin_resource_policy": "none"}, "cross_origin_resource_policy"),
        ({"enforce": 1}, "enforce"),
    ],
    ids=str,
)
def test_mistakes_stop_the_start_and_name_the_field(options, field):
    with pytest.raises(ConfigurationError) as raised:
        example(**options).freeze()
    assert f"security_headers.{field}: " in str(raised.value)


def test_two_declarations_and_one_on_no_endpoint_stop_the_start():
    app = example()
    app.add_middleware(SecurityHeadersMiddleware())

    @security_headers()
    def helper():
        return {}

    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    assert "security_headers: stands twice" in str(raised.value)
    assert "security_headers stands on a function that is no endpoint" in str(raised.value)
    del helper


def paged(**options):
    """An API with pages that bear a nonce, from each kind of handler."""
    app = API()
    app.add_middleware(SecurityHeadersMiddleware(**options))

    @app.get("/def")
    def plain(request):
        return HTMLResponse(f"{csp_nonce(request)} {csp_nonce(request)}")

    @app.get("/async")
    async def later(request):
        return HTMLResponse(
            f"{csp_nonce(request)} {csp_nonce(request)}", headers={"Cache-Control": "max-age=60"}
        )

    @app.get("/pieces")
    async def pieces(request) -> str:
        yield csp_nonce(request) + " "
        yield csp_nonce(request)

    @app.get("/none")
    def none(request):
        return HTMLResponse("none")

    @app.get("/too-late")
    async def too_late(request) -> str:
        yield "begun "
        await asyncio.sleep(0.1)
        try:
            yield csp_nonce(request)
        except RuntimeError as error:
            yield str(error)

    return app


def test_a_page_that_asks_for_a_nonce_is_the_only_one_with_it():
    known = set()
    with TestClient(paged(csp={"default-src": ["'none'"], "script-src": ["'self'"]})) as client:
        for path in ("/def", "/async", "/pieces"):
            for _ in range(2):
                answer = client.get(path)
                nonce, again = answer.text.split(" ")
                assert nonce == again
                assert len(nonce) == 24
                assert answer.headers[CSP] == (
                    f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; "
                    f"style-src 'nonce-{nonce}'"
                )
                assert answer.headers["cache-control"] == "no-store"
                assert nonce not in known
                known.add(nonce)
        assert client.get("/none").headers[CSP] == "default-src 'none'; script-src 'self'"
        late = client.get("/too-late")
        assert "the head of the answer is sent" in late.text
        assert "nonce" not in late.headers[CSP]


@pytest.mark.parametrize("has_middleware", [True, False])
def test_a_nonce_without_a_policy_to_name_it_fails(has_middleware):
    app = paged(csp=False) if has_middleware else API()
    if not has_middleware:

        @app.get("/def")
        def plain(request):
            return csp_nonce(request)

    with TestClient(app) as client:
        assert client.get("/def").status_code == 500


def test_own_middleware_may_answer_with_a_page_as_well():
    app = API()
    app.add_middleware(SecurityHeadersMiddleware())

    class Maintenance(Middleware):
        def before(self, request):
            return HTMLResponse(csp_nonce(request))

    app.add_middleware(Maintenance())

    @app.get("/")
    def home():
        return {}

    with TestClient(app) as client:
        answer = client.get("/")
        assert f"'nonce-{answer.text}'" in answer.headers[CSP]
