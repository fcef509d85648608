"""Options of protections: what is of another type, or would check nothing, does not start."""

from __future__ import annotations

import base64
import json
import types

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from apifrom import API, public
from apifrom.exceptions import ConfigurationError
from apifrom.security import (
    Secret,
    api_key_required,
    basic_auth_required,
    create_jwt_token,
    jwt_required,
    multi_auth_required,
    oauth2_required,
)
from apifrom.testing import TestClient

SECRET = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
K = base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")
JWK = {"kty": "oct", "k": K}
CONFIG = {
    "token_url": "https://auth.example.com/token",
    "client_id": "my-api",
    "client_secret": "hunter2",
    "scopes": ["read"],
}


def errors_of(protection):
    """What is wrong with an API that is protected by it, which nobody can call."""
    app = API()
    calls = []

    @app.get("/")
    @protection
    def handler():
        calls.append(1)
        return "answered"

    with pytest.raises(ConfigurationError) as raised:
        TestClient(app).get("/")
    assert calls == []
    return str(raised.value)


def answers(protection, *tokens):
    """The statuses for tokens, and how often the handler ran."""
    app = API()
    calls = []

    @app.get("/")
    @protection
    def handler():
        calls.append(1)
        return "answered"

    with TestClient(app) as client:
        statuses = [
            client.get("/", headers={"Authorization": f"Bearer {token}"}).status_code
            for token in tokens
        ]
    assert len(calls) == statuses.count(200)
    return statuses


@pytest.mark.parametrize(
    "keys",
    [SECRET, SECRET.encode(), Secret(SECRET), JWK, {"keys": [JWK]}, 7, True, {SECRET}],
    ids=["text", "bytes", "secret", "jwk", "set", "number", "flag", "python set"],
)
def test_keys_are_a_list_and_never_the_parts_of_one_key(keys):
    assert "handler.jwt_required.keys: expected a list of keys" in errors_of(
        jwt_required(keys=keys)
    )
    found = errors_of(jwt_required(SECRET, keys=keys))
    assert "keys: expected a list of keys" in found
    assert SECRET not in found


@pytest.mark.parametrize("kind", [list, tuple])
def test_each_key_of_a_list_verifies_and_nothing_else_does(kind):
    keys = kind(
        [SECRET, {"kty": "oct", "k": base64.urlsafe_b64encode(OTHER.encode()).decode()[:43]}]
    )
    made = [create_jwt_token({}, secret) for secret in (SECRET, OTHER, SECRET[0], "kty", "k", K)]
    assert answers(jwt_required(keys=keys), *made) == [200, 200, 401, 401, 401, 401]


@pytest.mark.parametrize("given", [{}, {"a": 1}, {"k": K}, {"n": "AQAB", "e": "AQAB"}])
def test_a_dict_that_is_no_jwk_is_no_secret(given):
    for declared, field in [
        (jwt_required(secret=given), "secret"),
        (jwt_required(keys=[SECRET, given]), "keys[1]"),
    ]:
        expected = f"handler.jwt_required.{field}: expected a JWK or a JWK Set, found a dict"
        assert expected in errors_of(declared)
    with pytest.raises(TypeError, match="secret: expected a JWK or a JWK Set, found a dict"):
        create_jwt_token({}, given)
    assert answers(jwt_required(secret=JWK), create_jwt_token({}, SECRET)) == [200]


def public_keys():
    key = rsa.generate_private_key(65537, 2048).public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    der = key.public_bytes(serialization.Encoding.DER, info)
    pem = key.public_bytes(serialization.Encoding.PEM, info).decode()
    number = key.public_numbers().n.to_bytes(256, "big")
    jwk = {"n": base64.urlsafe_b64encode(number).decode().rstrip("="), "e": "AQAB"}
    return {
        "der": der,
        "base64": base64.b64encode(der).decode(),
        "base64url": base64.urlsafe_b64encode(der).decode(),
        "lines": base64.encodebytes(der).decode(),
        "base64 of PEM": base64.b64encode(pem.encode()).decode(),
        "base64 of a JWK": base64.b64encode(json.dumps({"kty": "RSA", **jwk}).encode()).decode(),
        "byte order mark": "\ufeff" + json.dumps({"kty": "RSA", **jwk}),
        "list": json.dumps([{"kty": "RSA", **jwk}]),
        "no kty": json.dumps(jwk),
        "str of a dict": str({"kty": "RSA", **jwk}),
        "lower case": pem.replace("BEGIN", "begin"),
        "four dashes": pem.replace("-----", "----"),
        "UTF-16": pem.encode("utf-16"),
    }


@pytest.mark.parametrize(("form", "key"), public_keys().items(), ids=list(public_keys()))
def test_a_public_key_in_another_form_makes_no_secret(form, key):
    found = errors_of(jwt_required(secret=key))
    assert "handler.jwt_required.secret: is " in found
    assert "PEM" in found
    assert "keys[0]: is " in errors_of(jwt_required(keys=[key]))
    with pytest.raises(ValueError, match="secret: is "):
        create_jwt_token({"sub": "admin"}, key)


def test_a_secret_in_base64_stays_one():
    for number in range(50):
        secret = base64.b64encode(bytes((number * 7 + at * 13) % 256 for at in range(48))).decode()
        assert answers(jwt_required(secret), create_jwt_token({}, secret)) == [200]


@pytest.mark.parametrize("field", ["audience", "issuer"])
def test_an_empty_list_of_names_is_no_check(field):
    for empty in ([], ()):
        found = errors_of(jwt_required(SECRET, **{field: empty}))
        assert f"handler.jwt_required.{field}: expected at least one name, found none" in found
    claim = {"audience": "aud", "issuer": "iss"}[field]
    made = [create_jwt_token({claim: name}, SECRET) for name in ("me", "you")]
    assert answers(jwt_required(SECRET, **{field: ["me"]}), *made) == [200, 401]
    assert answers(jwt_required(SECRET), *made) == [200, 200]


@pytest.mark.parametrize("given", ["false", "", 0, 1, None, [], "x"])
def test_require_all_is_true_or_false(given):
    methods = [jwt_required(SECRET), api_key_required({"hunter2-hunter2-hunter2": []})]
    found = errors_of(multi_auth_required(methods, require_all=given))
    assert "handler.multi_auth_required.require_all: expected True or False" in found
    token = create_jwt_token({}, SECRET)
    assert answers(multi_auth_required(methods, require_all=False), token) == [200]
    assert answers(multi_auth_required(methods, require_all=True), token) == [401]


@pytest.mark.parametrize("given", ["yes", "", 0, 1, None, []])
def test_hide_is_true_or_false(given):
    with pytest.raises(TypeError, match=r"jwt_required\(hide=…\): expected True or False"):
        jwt_required(SECRET, policy=lambda request: True, hide=given)


def test_what_is_of_another_type_is_named_and_not_shown():
    users, server = basic_auth_required, oauth2_required
    for declared, field in [
        (users(7), "basic_auth_required.credentials: expected a dict"),
        (users("hunter2"), "basic_auth_required.credentials: expected a dict"),
        (users(["ab"]), "basic_auth_required.credentials: expected a dict"),
        (users([]), "basic_auth_required.credentials: expected a dict"),
        (server(7), "oauth2_required.config: expected a dict"),
        (server("hunter2"), "oauth2_required.config: expected a dict"),
        (server([]), "oauth2_required.config: expected a dict"),
        (server(CONFIG, token_types="JWT"), "token_types: expected a list of texts"),
        (server(CONFIG, token_types=7), "token_types: expected a list of texts"),
        (server(CONFIG, token_types=None), "token_types: expected a list of texts"),
        (server(CONFIG, token_types=[]), "token_types: expected at least one"),
    ]:
        found = errors_of(declared)
        assert field in found
        assert "1 configuration error" in found
        assert "hunter2" not in found


def test_all_that_is_of_another_type_is_said_at_once():
    app = API()
    methods = [basic_auth_required(7), jwt_required(keys=SECRET), api_key_required("hunter2")]
    app.get("/")(multi_auth_required(methods, require_all="no")(lambda: "never"))
    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    found = str(raised.value)
    for field in ("credentials", "keys", "api_keys", "require_all"):
        assert f".{field}: expected" in found


def test_a_mapping_of_any_kind_is_read_as_it_was_declared():
    keys = {"api-key-1": ["read"]}
    declared = api_key_required(types.MappingProxyType(keys))
    later = api_key_required(keys)
    keys["api-key-2"] = ["read"]
    app = API()
    app.get("/proxy")(declared(lambda: "answered"))
    app.get("/later")(later(lambda: "answered"))
    app.get("/open")(public("a test")(lambda: "answered"))
    with TestClient(app) as client:
        for path in ("/proxy", "/later"):
            for key, status in (("api-key-1", 200), ("api-key-2", 401)):
                assert client.get(path, headers={"X-API-Key": key}).status_code == status


def test_errors_at_once_show_no_value():
    for wrong in [
        lambda: jwt_required(SECRET, policy="hunter2"),
        lambda: jwt_required(SECRET)("hunter2"),
        lambda: multi_auth_required(["hunter2"]),
        lambda: multi_auth_required("hunter2"),
        lambda: create_jwt_token("hunter2", SECRET),
        lambda: create_jwt_token({}, SECRET, issuer=["hunter2"]),
        lambda: create_jwt_token({}, SECRET, audience=7),
        lambda: create_jwt_token({}, SECRET, algorithm=7),
    ]:
        with pytest.raises(TypeError, match=r"expected|not str") as raised:
            wrong()
        assert "hunter2" not in str(raised.value)
    with pytest.raises(ValueError, match="audience: expected at least one name"):
        create_jwt_token({}, SECRET, audience=[])


@pytest.mark.parametrize(
    "name", ["Cookie", "origin", "Referer", "User-Agent", "Host", "Sec-Purpose"]
)
def test_a_token_stands_where_only_a_program_can_put_it(name):
    found = errors_of(jwt_required(SECRET, header_name=name, header_type=""))
    assert "jwt_required.header_name: is a header that browsers write by themselves" in found


@pytest.mark.parametrize("name", ["a;b", "a=b", " a", "a\n"])
def test_a_cookie_that_nobody_can_send_is_an_error(name):
    found = errors_of(jwt_required(SECRET, token_location="cookie", cookie_name=name))
    assert "jwt_required.cookie_name: expected the name of a cookie" in found
