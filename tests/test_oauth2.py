"""Access tokens of a real authorization server."""

from __future__ import annotations

import asyncio
import time

import pytest

from apifrom import API
from apifrom.exceptions import ConfigurationError
from apifrom.security import (
    Revocation,
    Secret,
    api_key_required,
    jwt_required,
    multi_auth_required,
    oauth2_required,
)
from apifrom.testing import TestClient
from tests.authorization import SECRETS, running
from tests.redis_server import redis_server
from tests.test_asgi import Client


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


def config(server, **more):
    return {
        "token_url": f"{server.issuer}/token",
        "client_id": "my-api",
        "client_secret": SECRETS["my-api"],
        "scopes": ["read", "write"],
        **more,
    }


def example(server, **options):
    app = API()
    app.calls = []

    @app.get("/")
    @oauth2_required(config=config(server), scopes=["read"], **options)
    def handler(request):
        token = request.state.oauth2_token
        app.calls.append(token)
        return {"client": token["client_id"], "scope": token["scope"]}

    return app


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("kind", ["jwt", "opaque"])
def test_a_token_of_the_server_is_let_in(server, kind):
    app = example(server)
    token = server.token(kind, "read write")
    with TestClient(app) as client:
        for _ in range(5):
            answer = client.get("/", headers=bearer(token))
            assert answer.json() == {"client": "caller", "scope": "read write"}
        assert app.calls[0].token == token
        assert app.calls[0]["aud"] == "my-api"


def test_a_token_that_keys_verify_is_not_held_back_by_a_neighbour_who_guesses(server):
    app = example(server)
    with TestClient(app) as client:
        guesses = [
            client.get("/", headers=bearer(f"guess-{number}")).status_code for number in range(101)
        ]
        assert guesses == [401] * 100 + [429]
        assert client.get("/", headers=bearer(server.token("jwt", "read"))).status_code == 200
        assert client.get("/", headers=bearer("guess-more")).status_code == 429
    assert len(app.calls) == 1


@pytest.mark.parametrize("kind", ["jwt", "opaque"])
def test_a_token_without_the_scope_is_known_and_may_not(server, kind):
    app = example(server)
    with TestClient(app) as client:
        refused = client.get("/", headers=bearer(server.token(kind, "write")))
    assert refused.status_code == 403
    assert 'error="insufficient_scope", scope="read"' in refused.headers["www-authenticate"]
    assert app.calls == []


def test_what_the_server_does_not_know_is_refused(server):
    app = example(server)
    token = server.token("jwt")
    head, _, signature = token.rpartition(".")
    forged = f"{head}.{signature[::-1]}"
    with TestClient(app) as client:
        for headers in [{}, bearer("unknown"), bearer(forged), bearer(token[:-4])]:
            refused = client.get("/", headers=headers)
            assert refused.status_code == 401
            has_error = 'error="invalid_token"' in refused.headers["www-authenticate"]
            assert has_error == bool(headers)
    assert app.calls == []


def test_a_revoked_token_is_refused_once_it_is_no_longer_known(server):
    asks_each_time = example(server, cache_ttl=0)
    remembers = example(server, cache_ttl=1)
    token = server.token("opaque")
    with TestClient(asks_each_time) as first, TestClient(remembers) as second:
        assert first.get("/", headers=bearer(token)).status_code == 200
        assert second.get("/", headers=bearer(token)).status_code == 200
        server.revoke(token)
        assert first.get("/", headers=bearer(token)).status_code == 401
        assert second.get("/", headers=bearer(token)).status_code == 200
        time.sleep(1.1)
        assert second.get("/", headers=bearer(token)).status_code == 401


@pytest.mark.parametrize("kind", ["jwt", "opaque"])
def test_a_token_that_is_revoked_here_is_refused_although_the_server_knows_it(server, kind):
    revocation = Revocation()
    app = example(server, revocation=revocation)
    token, other = server.token(kind), server.token(kind)
    with TestClient(app) as client:
        assert client.get("/", headers=bearer(token)).status_code == 200
        # The `iat` of a token is a whole second.
        revocation.revoke_before(time.time() + 1)
        for known in (token, other):
            refused = client.get("/", headers=bearer(known))
            assert refused.status_code == 401
            assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        assert len(app.calls) == 1
        time.sleep(2)
        assert client.get("/", headers=bearer(server.token(kind))).status_code == 200


def test_a_key_that_the_server_rotated_in_is_known_to_whoever_fetches_anew(server):
    before = server.token("jwt")
    app = example(server)
    with TestClient(app) as client:
        assert client.get("/", headers=bearer(before)).status_code == 200
        server.rotate()
        after = server.token("jwt")
        # Keys were fetched a moment ago, and are not again for half a minute.
        assert client.get("/", headers=bearer(after)).status_code == 401
    fresh = example(server)
    with TestClient(fresh) as client:
        assert client.get("/", headers=bearer(after)).status_code == 200
        assert client.get("/", headers=bearer(before)).status_code == 200


def test_keys_and_the_place_to_ask_can_be_named(server):
    by_keys = example(server, issuer=server.issuer, jwks_url=f"{server.issuer}/jwks")
    by_asking = example(server, introspection_url=f"{server.issuer}/token/introspection")
    jwt, opaque = server.token("jwt"), server.token("opaque")
    with TestClient(by_keys) as client:
        assert client.get("/", headers=bearer(jwt)).status_code == 200
        assert client.get("/", headers=bearer(opaque)).status_code == 401
    with TestClient(by_asking) as client:
        assert client.get("/", headers=bearer(opaque)).status_code == 200


def test_a_client_that_the_server_does_not_take_lets_nobody_in(server):
    app = API()

    @app.get("/")
    @oauth2_required(config=config(server, client_secret="wrong"))
    def handler():
        raise AssertionError

    with TestClient(app) as client:
        assert client.get("/", headers=bearer(server.token("opaque"))).status_code == 503


def test_a_server_that_is_killed_leaves_what_is_known():
    with running() as server:
        app = example(server)
        jwts = [server.token("jwt") for _ in range(2)]
        opaques = [server.token("opaque") for _ in range(2)]
        with TestClient(app) as client:
            assert client.get("/", headers=bearer(jwts[0])).status_code == 200
            assert client.get("/", headers=bearer(opaques[0])).status_code == 200
            server.kill()
            assert client.get("/", headers=bearer(jwts[1])).status_code == 200
            assert client.get("/", headers=bearer(opaques[0])).status_code == 200
            refused = client.get("/", headers=bearer(opaques[1]))
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")


def test_several_methods_stand_beside_each_other(server):
    app = API()

    @app.get("/")
    @multi_auth_required([oauth2_required(config(server)), api_key_required({"key-1": ["read"]})])
    def handler(request):
        return hasattr(request.state, "oauth2_token")

    with TestClient(app) as client:
        assert client.get("/", headers=bearer(server.token("jwt"))).json() is True
        both = {**bearer("unknown"), "X-API-Key": "key-1"}
        assert client.get("/", headers=both).json() is False
        assert client.get("/", headers=bearer("unknown")).status_code == 401


def test_the_same_holds_under_a_foreign_server(server):
    app = example(server)
    token = server.token("opaque")

    async def main():
        for _ in range(2):
            headers = [(b"authorization", f"Bearer {token}".encode())]
            assert (await Client(app, headers=headers).ask()).status == 200
        headers = [(b"authorization", b"Bearer unknown-too")]
        assert (await Client(app, headers=headers).ask()).status == 401

    asyncio.run(main())


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (None, {}, "config: expected a dict"),
        ({"client_id": "a"}, {}, "client_secret: expected a secret"),
        ({"clientid": "a"}, {}, "config.clientid: unknown key"),
        ({"client_secret": 3}, {}, "config.client_secret: expected text"),
        ({"scopes": "read"}, {}, "config.scopes: expected a list"),
        ({"scopes": ["read"]}, {"scopes": ["admin"]}, "scopes[0]: is not among"),
        ({"token_url": "http://auth.example.com/token"}, {}, "token_url: expected a URL"),
        ({}, {"jwks_url": "https://auth.example.com/jwks"}, "issuer: is needed"),
        ({}, {"token_types": ["JWT"]}, "audience: is needed"),
        ({}, {"cache_ttl": -1}, "cache_ttl: expected seconds"),
    ],
)
def test_what_is_wrong_with_a_declaration_names_its_field(given, options, message):
    app = API()
    if given is not None:
        given = {"client_secret": Secret("hunter2"), **given} if "client_id" not in given else given

    @app.get("/")
    @oauth2_required(config=given, **options)
    def handler():
        raise AssertionError

    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    assert f"oauth2_required.{message}" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_published_keys_verify_tokens_without_a_client(server):
    app = API()

    @app.get("/")
    @jwt_required(jwks_url=f"{server.issuer}/jwks", issuer=server.issuer, audience="my-api")
    def handler(request):
        return request.state.jwt_payload["client_id"]

    with TestClient(app) as client:
        assert client.get("/", headers=bearer(server.token("jwt"))).text == "caller"
        assert client.get("/", headers=bearer(server.token("opaque"))).status_code == 401


def test_what_one_process_was_told_the_others_know_by_redis(server, tmp_path):
    with redis_server(tmp_path) as redis:
        first = example(server, redis_url=Secret(redis.url))
        second = example(server, redis_url=redis.url)
        alone = example(server)
        token = server.token("opaque")
        with TestClient(first) as client:
            assert client.get("/", headers=bearer(token)).status_code == 200
            deadline = time.monotonic() + 5
            while redis.ask(b"DBSIZE") != b":1\r\n":
                assert time.monotonic() < deadline
            assert token.encode() not in redis.ask(b"KEYS *")
            server.revoke(token)
            with TestClient(second) as other:
                answer = other.get("/", headers=bearer(token))
                assert answer.json() == {"client": "caller", "scope": "read"}
                assert second.calls[0].token == token
            with TestClient(alone) as other:
                assert other.get("/", headers=bearer(token)).status_code == 401
            redis.kill()
            assert client.get("/", headers=bearer(server.token("opaque"))).status_code == 200
    assert alone.calls == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"redis_url": 7}, "redis_url: expected text or a Secret"),
        ({"redis_url": "localhost"}, "redis_url: expected an address such as redis://"),
        ({"redis_url": "redis://localhost", "cache_ttl": 0}, "redis_url: keeps what is known"),
    ],
)
def test_mistakes_about_redis_are_told(server, options, message):
    with pytest.raises(ConfigurationError, match=message):
        example(server, **options).freeze()
