"""What comes in clear text is led to HTTPS, or refused."""

import http.client
import logging

import pytest

from apifrom import API
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import HTTPSRedirectMiddleware
from apifrom.security import api_key_required
from apifrom.testing import TestClient
from tests.serving import serving


def example(calls, *, options=None, **config):
    app = API(**{"trusted_hosts": ["api.example"], **config})
    app.add_middleware(HTTPSRedirectMiddleware, **(options or {}))

    @app.api(route="/notes", methods=["GET", "POST"])
    @api_key_required(api_keys={"a-long-enough-key": []}, header_name="X-Own-Key")
    def notes(request):
        calls.append("notes")
        return {}

    return app


HOST = {"host": "api.example"}


PROGRAM = """
from apifrom import API
from apifrom.middleware import HTTPSRedirectMiddleware

app = API(trusted_hosts=["api.example"])
app.add_middleware(HTTPSRedirectMiddleware)

@app.get("/notes")
def notes():
    raise AssertionError("called")

app.run(port=0)
"""


def test_a_plain_get_is_led_to_the_same_address_under_https():
    with serving(PROGRAM) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/notes?page=2", headers={"Host": f"api.example:{port}"})
        response = connection.getresponse()
        assert response.status == 308
        assert response.headers["location"] == "https://api.example/notes?page=2"
        assert response.read() == b""
        connection.close()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"X-Own-Key": "a-long-enough-key"}),
        ("GET", {"Authorization": "Bearer x"}),
        ("GET", {"Cookie": "session=1"}),
        ("POST", {}),
    ],
)
def test_what_gives_something_away_is_refused_and_logged(method, headers, caplog):
    calls = []
    with caplog.at_level(logging.WARNING, "apifrom.security"), TestClient(example(calls)) as client:
        answer = client.request(method, "/notes", headers={**HOST, **headers})
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("https_required")
    assert "location" not in answer.headers
    assert calls == []
    assert "insecure_request" in caplog.text
    assert "a-long-enough-key" not in caplog.text


def test_what_a_trusted_proxy_took_over_tls_passes():
    calls = []
    app = example(calls, trusted_proxies=["127.0.0.1"])
    with TestClient(app) as client:
        headers = {**HOST, "X-Own-Key": "a-long-enough-key", "X-Forwarded-Proto": "https"}
        assert client.get("/notes", headers=headers).status_code == 200
    assert calls == ["notes"]


def test_host_and_port_can_be_declared():
    app = example([], options={"host": "secure.example", "port": 8443}, trusted_hosts=[])
    with TestClient(app) as client:
        answer = client.get("/notes")
    assert answer.headers["location"] == "https://secure.example:8443/notes"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "host"),
        ({"host": "https://a.example"}, "host"),
        ({"host": 7}, "host"),
        ({"host": "*.a.example"}, "host"),
        ({"host": "a.example", "port": 0}, "port"),
        ({"host": "a.example", "port": 70_000}, "port"),
    ],
)
def test_mistakes_stop_the_start(options, field):
    app = example([], options=options, trusted_hosts=[])
    with pytest.raises(ConfigurationError, match=f"https_redirect.{field}"):
        app.freeze()
