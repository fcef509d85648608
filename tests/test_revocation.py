"""Tokens that are refused although they have not expired."""

from __future__ import annotations

import time

import pytest

from apifrom import API
from apifrom.exceptions import ConfigurationError
from apifrom.security import Revocation, Secret, create_jwt_token, jwt_required
from apifrom.testing import TestClient
from tests.redis_server import redis_server

SECRET = "0123456789abcdef0123456789abcdef"


def test_a_token_is_revoked_by_whoever_holds_it_and_by_its_subject():
    app = API()
    revocation = Revocation(token_lifetime=3600)
    calls = []

    @app.get("/")
    @jwt_required(SECRET, revocation=revocation)
    def home(request):
        calls.append(request.state.jwt_payload["jti"])
        return "welcome"

    @app.post("/logout")
    @jwt_required(SECRET, revocation=revocation)
    def logout(request):
        revocation.revoke(request.state.jwt_payload)
        return "bye"

    def bearer(jti):
        token = create_jwt_token({"sub": "ada"}, SECRET, jti=jti)
        return {"Authorization": f"Bearer {token}"}

    one, two = bearer("one"), bearer("two")
    with TestClient(app) as client:
        assert client.get("/", headers=one).status_code == 200
        assert client.post("/logout", headers=one).status_code == 200
        answer = client.get("/", headers=one)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert client.get("/", headers=two).status_code == 200
        revocation.revoke_subject("ada")
        assert client.get("/", headers=two).status_code == 401
    assert calls == ["one", "two"]


def test_a_token_in_the_place_of_its_id_is_an_error():
    revocation = Revocation()
    token = create_jwt_token({"sub": "ada"}, SECRET, jti="one")
    with pytest.raises(ValueError, match="expected the jti of a token, found a token") as raised:
        revocation.revoke(token)
    assert token not in str(raised.value)
    revocation.revoke("one.two.three")


def test_what_no_token_can_mean_is_an_error():
    revocation = Revocation(max_entries=1)
    for wrong in ("", {"sub": "ada"}, {"jti": "x", "exp": -1}):
        with pytest.raises(ValueError, match=r"expected an id|no jti|0 or more"):
            revocation.revoke(wrong)
    with pytest.raises(TypeError):
        revocation.revoke(7)
    with pytest.raises(ValueError, match="has passed"):
        revocation.revoke_before(time.time() * 1000)
    revocation.revoke_before(time.time())
    with pytest.raises(RuntimeError, match="max_entries"):
        revocation.revoke("one")
    with pytest.raises(ValueError, match="max_entries"):
        Revocation(max_entries=0)
    app = API()
    app.get("/")(jwt_required(SECRET, revocation=object())(lambda: "never"))
    with pytest.raises(ConfigurationError, match="revocation: expected a Revocation"):
        app.freeze()


def guarded(revocation, calls):
    app = API()

    @app.get("/")
    @jwt_required(SECRET, revocation=revocation)
    def home(request):
        calls.append(request.state.jwt_payload["jti"])
        return "welcome"

    return app


def becomes(client, headers, status):
    deadline = time.monotonic() + 5
    while client.get("/", headers=headers).status_code != status:
        assert time.monotonic() < deadline, f"expected {status}"
        time.sleep(0.02)


def test_what_is_revoked_in_redis_is_refused_everywhere(tmp_path):
    token = create_jwt_token({"sub": "ada"}, SECRET, jti="one")
    other = create_jwt_token({"sub": "ada"}, SECRET, jti="two")
    one, two = ({"Authorization": f"Bearer {each}"} for each in (token, other))
    calls = []
    with redis_server(tmp_path) as server:
        mine = Revocation(redis_url=server.url)
        theirs = Revocation(redis_url=Secret(server.url), on_failure="stale", stale_max=600)
        apart = Revocation(redis_url=server.url, name="another")
        with (
            TestClient(guarded(mine, calls)) as here,
            TestClient(guarded(theirs, calls)) as there,
            TestClient(guarded(apart, calls)) as elsewhere,
        ):
            assert there.get("/", headers=one).status_code == 200
            mine.revoke("one")
            assert here.get("/", headers=one).status_code == 401
            becomes(there, one, 401)
            assert elsewhere.get("/", headers=one).status_code == 200
            server.kill()
            becomes(here, two, 503)
            assert there.get("/", headers=two).status_code == 200
            with pytest.raises(ConnectionError, match="does not answer"):
                mine.revoke("two")
            server.start()
            becomes(here, two, 200)
            assert here.get("/", headers=one).status_code == 401
    # What the server's end makes them say is said before another test listens.
    time.sleep(1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"redis_url": "localhost"}, ValueError, "redis_url"),
        ({"redis_url": 7}, TypeError, "redis_url"),
        ({"redis_url": "redis://localhost", "name": "a b"}, ValueError, "name"),
        ({"redis_url": "redis://localhost", "on_failure": "open"}, ValueError, "on_failure"),
        ({"redis_url": "redis://localhost", "on_failure": "stale"}, ValueError, "stale_max"),
        ({"redis_url": "redis://localhost", "stale_max": 5}, ValueError, "stale_max"),
        ({"on_failure": "stale", "stale_max": 5}, ValueError, "redis_url"),
    ],
)
def test_mistakes_about_redis_are_told(options, error, message):
    with pytest.raises(error, match=message):
        Revocation(**options)
