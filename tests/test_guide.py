"""The blocks of the Security Guide, run as they stand there where the guide is at hand."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import ssl
import subprocess
import sys
import types
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

from apifrom.database import Database
from apifrom.exceptions import ConfigurationError
from apifrom.security import create_jwt_token
from apifrom.testing import TestClient

ROOT = Path(__file__).parent.parent
GUIDE = ROOT.parent / "shared" / "security-guide.txt"

pytestmark = pytest.mark.skipif(not GUIDE.exists(), reason="the guide is not beside this checkout")

USER = {"name": "Ann", "email": "ann@example.com", "age": 30, "password": "Secret12!"}


def block(heading, end):
    """The block below `heading`; headings carry a mark of the page they were taken from."""
    parts = re.split(rf"^{re.escape(heading)}\W*$", GUIDE.read_text(), flags=re.MULTILINE)
    part = re.split(rf"^{re.escape(end)}\W*$", parts[-1], flags=re.MULTILINE)[0]
    found = re.search(r"^(?:from|import) .*", part, re.MULTILINE | re.DOTALL)
    return found[0]


def load(source, name):
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec"), vars(module))
    return module


@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_the_validation_block_names_every_bad_field_and_echoes_no_value():
    module = load(block("Input Validation", "SQL Injection Prevention"), "guide_11")
    with TestClient(module.app) as client:
        response = client.post("/users", json=USER)
        assert response.status_code == 200
        assert response.json() == {
            "id": 123,
            "name": "Ann",
            "email": "ann@example.com",
            "age": 30,
        }
        bad = {"name": "A", "email": "nobody@@x", "age": 7, "password": "hunter2hunter2"}
        response = client.post("/users", json=bad)
        assert response.status_code == 422
        places = [error["loc"] for error in response.json()["errors"]]
        assert places == [["body", name] for name in ("name", "email", "age", "password")]
        for value in ("nobody", "@@x", "hunter2"):
            assert value not in response.text
        assert client.post("/users", json={**USER, "age": "30"}).status_code == 422


def test_the_error_handling_block_keeps_what_failed_in_the_log(caplog):
    source = block("3. Implement Proper Error Handling", "4. Implement Proper Logging")
    source += """

@api(route="/boom", method="GET")
def boom():
    raise RuntimeError("the database password is hunter2")
"""
    module = load(source, "guide_15")
    with TestClient(module.app) as client, caplog.at_level("ERROR", logger="apifrom"):
        response = client.get("/boom")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in response.text
    assert "RuntimeError: the database password is hunter2" in caplog.text


def test_the_https_block_serves_its_certificate(tmp_path):
    source = block("1. Use HTTPS", "2. Store Secrets Securely")
    # The port of the block needs rights that a test does not have everywhere.
    source = source.replace("port=443", "port=0").replace('host="0.0.0.0"', 'host="127.0.0.1"')
    (tmp_path / "guide_13.py").write_text(source)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    process = subprocess.Popen(
        [sys.executable, "guide_13.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        for line in process.stderr:
            if found := re.search(r"listening on (https://127\.0\.0\.1:\d+)", line):
                break
        else:
            pytest.fail("the server did not start")
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        with (
            pytest.raises(urllib.error.HTTPError) as refused,
            urllib.request.urlopen(f"{found[1]}/", context=context),
        ):
            pass
        assert refused.value.code == 404
        refused.value.close()
    finally:
        process.terminate()
        process.stderr.read()
        process.stderr.close()
    assert process.wait(10) == 0


def test_the_api_key_block_lets_its_keys_in_and_nobody_else():
    module = load(block("API Key Authentication", "Basic Authentication"), "guide_03")
    with TestClient(module.app) as client:
        path = "/api-key-protected"
        for key in ("api-key-1", "api-key-2"):
            answer = client.get(path, headers={"X-API-Key": key})
            assert answer.json() == {"message": f"Hello, API key {key}!"}
        for headers in ({}, {"X-API-Key": "api-key-3"}, {"Authorization": "Bearer api-key-1"}):
            refused = client.get(path, headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("ApiKey realm=")
            assert "api-key-3" not in refused.text
        assert client.get(f"{path}?X-API-Key=api-key-1").status_code == 401


WEAK = "your-secret-key"


def bearer(payload, secret=WEAK, **options):
    return {"Authorization": f"Bearer {create_jwt_token(payload, secret, 'HS256', **options)}"}


FORGED = {
    "absent": {},
    "another scheme": {"Authorization": "Basic dXNlcjE6cGFzc3dvcmQx"},
    "no token": {"Authorization": "Bearer"},
    "another key": bearer({"sub": "user123"}, "another-secret-key"),
    "no expiry": bearer({"sub": "user123"}, expires_delta=None),
    "expired": bearer({"sub": "user123", "exp": 1_000_000_000}, expires_delta=None),
    "unsigned": {
        "Authorization": "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ1c2VyMTIzIn0."
    },
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_the_jwt_block_refuses_what_is_no_token_of_its_own(forged):
    module = load(block("JWT Authentication", "Generating JWT Tokens"), "guide_01")
    with TestClient(module.app) as client:
        answer = client.get("/protected", headers=bearer({"sub": "user123"}))
        assert answer.json() == {"message": "Hello, user user123!"}
        # An audience is left unread, as the block says.
        answer = client.get("/protected", headers=bearer({"sub": "u"}, audience="others"))
        assert answer.status_code == 200
        refused = client.get("/protected", headers=forged)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer ")
        sent = forged.get("Authorization", "").startswith("Bearer")
        assert ('error="invalid_token"' in refused.headers["www-authenticate"]) == sent
        assert refused.headers["cache-control"] == "no-store"


def test_the_token_block_prints_a_token_that_the_jwt_block_takes(capsys):
    load(block("Generating JWT Tokens", "API Key Authentication"), "guide_02")
    token = capsys.readouterr().out.strip().removeprefix("JWT Token: ")
    header, payload, _ = token.split(".")
    decode = lambda part: json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))  # noqa: E731
    assert decode(header) == {"alg": "HS256", "typ": "JWT"}
    claims = decode(payload)
    assert claims["exp"] - claims["iat"] == 3600
    assert (claims["sub"], claims["role"]) == ("user123", "admin")
    module = load(block("JWT Authentication", "Generating JWT Tokens"), "guide_01")
    with TestClient(module.app) as client:
        answer = client.get("/protected", headers={"Authorization": f"Bearer {token}"})
        assert answer.json() == {"message": "Hello, user user123!"}


def basic(user, password):
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_the_basic_block_lets_its_users_in_and_nobody_else():
    module = load(block("Basic Authentication", "OAuth2 Authentication"), "guide_04")
    path = "/basic-auth-protected"
    with TestClient(module.app) as client:
        for user, password in (("user1", "password1"), ("user2", "password2")):
            answer = client.get(path, headers=basic(user, password))
            assert answer.json() == {"message": f"Hello, {user}!"}
        for headers in (
            {},
            basic("user1", "password2"),
            basic("user3", "password1"),
            {"Authorization": "Basic !"},
            {"Authorization": "Bearer x"},
        ):
            refused = client.get(path, headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == 'Basic realm="My API", charset="UTF-8"'


def test_the_multi_block_takes_either_and_says_which():
    source = block("Multiple Authentication Methods", "Security Middleware")
    module = load(source, "guide_06")
    path = "/multi-auth-protected"
    with TestClient(module.app) as client:
        answer = client.get(path, headers=bearer({"sub": "user123"}))
        assert answer.json() == {"message": "Hello, JWT user user123!"}
        answer = client.get(path, headers={"X-API-Key": "api-key-1"})
        assert answer.json() == {"message": "Hello, API key api-key-1!"}
        # The first that passes is taken; one that fails does not stop the next.
        both = {**bearer({"sub": "u"}), "X-API-Key": "api-key-1"}
        assert client.get(path, headers=both).json() == {"message": "Hello, JWT user u!"}
        either = {**FORGED["another key"], "X-API-Key": "api-key-1"}
        assert client.get(path, headers=either).json() == {"message": "Hello, API key api-key-1!"}
        for headers in ({}, FORGED["expired"], {"X-API-Key": "api-key-2"}):
            refused = client.get(path, headers=headers)
            assert refused.status_code == 401
            challenges = refused.headers["www-authenticate"]
            assert challenges.startswith(("Bearer ", "ApiKey "))


def test_the_secrets_block_starts_only_with_its_secret(monkeypatch):
    source = block("2. Store Secrets Securely", "3. Implement Proper Error Handling")
    monkeypatch.delenv("JWT_SECRET", raising=False)
    monkeypatch.delenv("JWT_ALGORITHM", raising=False)
    for absent in (None, ""):
        if absent is not None:
            monkeypatch.setenv("JWT_SECRET", absent)
        with pytest.raises(ConfigurationError) as refused:
            load(source, "guide_14").app.freeze()
        assert "jwt_required.secret" in str(refused.value)
    monkeypatch.setenv("JWT_SECRET", "a secret of at least thirty-two bytes")
    module = load(source, "guide_14")
    with TestClient(module.app) as client:
        good = bearer({"sub": "u"}, "a secret of at least thirty-two bytes")
        assert client.get("/protected", headers=good).status_code == 200
        assert client.get("/protected", headers=bearer({"sub": "u"})).status_code == 401


LOGGED = """
import os, runpy, sys
os.chdir(sys.argv[1])
program = runpy.run_path("guide_16.py")
from apifrom.testing import TestClient
with TestClient(program["app"]) as client:
    for authorization in sys.argv[2:]:
        client.get("/protected", headers={"Authorization": authorization})
"""


def test_the_logging_block_logs_its_own_line_and_the_refused_attempts(tmp_path):
    source = block("4. Implement Proper Logging", "5. Implement Proper Access Control")
    (tmp_path / "guide_16.py").write_text(source)
    good = bearer({"sub": "user123"})["Authorization"]
    forged = FORGED["another key"]["Authorization"]
    subprocess.run(
        [sys.executable, "-c", LOGGED, str(tmp_path), good, forged], check=True, timeout=60
    )
    log = (tmp_path / "security.log").read_text()
    assert "security - INFO - Access to protected endpoint: user=user123, ip=127.0.0.1" in log
    assert "apifrom.security - INFO - authentication_succeeded" in log
    assert "apifrom.security - WARNING - authentication_failed" in log
    assert "bad_signature" in log
    assert log.count("configuration_weak") == 1
    for part in (*good.split("."), *forged.split(".")):
        assert part.removeprefix("Bearer ") not in log
    assert WEAK not in log


def test_the_access_control_block_knows_its_roles():
    module = load(block("5. Implement Proper Access Control", "Security Checklist"), "guide_17")
    with TestClient(module.app) as client:
        for roles, status in [
            (["admin"], 200),
            (["user", "admin"], 200),
            (["user"], 403),
            ([], 403),
            (None, 403),
        ]:
            payload = {"sub": "u"} if roles is None else {"sub": "u", "roles": roles}
            answer = client.get("/admin", headers=bearer(payload))
            assert answer.status_code == status
            expected = {"message": "Admin endpoint"} if status == 200 else {"error": "Forbidden"}
            assert answer.json() == expected
        assert client.get("/admin").status_code == 401


def test_the_oauth2_block_starts_without_a_network_and_lets_nobody_in_unproved():
    source = block("OAuth2 Authentication", "Multiple Authentication Methods")
    module = load(source, "guide_05")
    with TestClient(module.app) as client:
        for headers in ({}, {"Authorization": "Basic dXNlcjE6cGFzc3dvcmQx"}):
            refused = client.get("/oauth2-protected", headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == 'Bearer realm="api"'
    # The same block, its server on this machine, where nobody listens.
    module = load(source.replace("https://auth.example.com", "http://127.0.0.1:9"), "guide_05")
    with TestClient(module.app) as client:
        refused = client.get("/oauth2-protected", headers={"Authorization": "Bearer anything"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"


PING = """

from apifrom import api

calls = []

@api(route="/ping", methods=["GET", "POST"])
def ping():
    calls.append("ping")
    return {}
"""


def test_the_cors_block_lets_its_origins_read_and_nobody_else():
    module = load(block("CORS Middleware", "CSRF Middleware") + PING, "guide_07")
    reader = "access-control-allow-origin"
    with TestClient(module.app) as client:
        for origin in ("https://example.com", "https://app.example.com"):
            answer = client.options(
                "/ping",
                headers={
                    "origin": origin,
                    "access-control-request-method": "PUT",
                    "access-control-request-headers": "authorization,content-type,x-custom-header",
                },
            )
            assert answer.headers[reader] == origin
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert answer.headers["access-control-max-age"] == "3600"
            assert "PUT" in answer.headers["access-control-allow-methods"]
        assert module.calls == []
        answer = client.get("/ping", headers={"origin": "https://example.com"})
        assert answer.headers[reader] == "https://example.com"
        assert answer.headers["access-control-expose-headers"] == (
            "X-RateLimit-Limit, X-RateLimit-Remaining"
        )
        for origin in ("https://evil.example", "https://a.example.com", "null"):
            assert reader not in client.get("/ping", headers={"origin": origin}).headers


def test_the_rate_limit_block_lets_a_hundred_pass_and_not_one_more():
    module = load(block("Rate Limiting Middleware", "Input Validation") + PING, "guide_10")
    with TestClient(module.app) as client:
        for left in range(99, -1, -1):
            answer = client.get("/ping")
            assert answer.status_code == 200
            assert answer.headers["x-ratelimit-limit"] == "100"
            assert answer.headers["x-ratelimit-remaining"] == str(left)
        for path in ("/ping", "/nowhere"):
            refused = client.get(path)
            assert refused.status_code == 429
            assert 1 <= int(refused.headers["retry-after"]) <= 62
        assert len(module.calls) == 100


def test_the_security_headers_block_sends_what_it_names_on_every_answer():
    source = block("Security Headers Middleware", "Rate Limiting Middleware")
    module = load(source + PING, "guide_09")
    with TestClient(module.app) as client:
        for path in ("/ping", "/nowhere"):
            answer = client.get(path)
            assert answer.headers["content-security-policy"] == (
                "default-src 'self'; script-src 'self' https://cdn.example.com; "
                "style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
                "font-src 'self' https://fonts.googleapis.com; "
                "connect-src 'self' https://api.example.com; object-src 'none'; "
                "frame-ancestors 'none'; upgrade-insecure-requests; block-all-mixed-content"
            )
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["x-xss-protection"] == "1; mode=block"
            assert answer.headers["referrer-policy"] == "strict-origin-when-cross-origin"
            assert answer.headers["permissions-policy"] == (
                "geolocation=(self), microphone=(), camera=(), payment=()"
            )
            # In clear text browsers would ignore it (RFC 6797 §8.1).
            assert "strict-transport-security" not in answer.headers
    source = source.replace("app = API()", 'app = API(trusted_proxies=["127.0.0.1"])')
    module = load(source + PING, "guide_09")
    with TestClient(module.app) as client:
        answer = client.get("/ping", headers={"x-forwarded-proto": "https"})
        assert answer.headers["strict-transport-security"] == (
            "max-age=31536000; includeSubDomains; preload"
        )


def test_the_csrf_block_asks_for_its_token_where_something_changes(caplog):
    source = block("CSRF Middleware", "Security Headers Middleware")
    module = load(source + PING, "guide_08")
    with TestClient(module.app) as client:
        page = client.get("/ping")
        (cookie,) = page.headers.getlist("set-cookie")
        token = cookie.partition(";")[0].removeprefix("csrf_token=")
        assert cookie == f"csrf_token={token}; Path=/; Secure; SameSite=Strict"
        held = {"cookie": f"csrf_token={token}"}
        foreign = {"origin": "https://evil.example", "X-CSRF-Token": token}
        for refused in ({}, held, {"X-CSRF-Token": token}, held | foreign):
            assert client.post("/ping", headers=refused).status_code == 403
        assert module.calls == ["ping"]
        assert client.post("/ping", headers={**held, "X-CSRF-Token": token}).status_code == 200
        assert module.calls == ["ping", "ping"]
    # The guide's secret is short, which is said and no more.
    assert "csrf.secret: is shorter than 32 bytes" in caplog.text


def test_the_sql_block_gives_the_one_user_and_takes_injections_as_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with sqlite3.connect("app.db") as database:
        database.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        database.execute("INSERT INTO users (name) VALUES ('Ann'), ('Bob')")
    database.close()
    module = load(block("SQL Injection Prevention", "Best Practices"), "guide_12")
    with TestClient(module.app) as client:
        answer = client.get("/users/2")
        assert (answer.status_code, answer.json()) == (200, {"id": 2, "name": "Bob"})
        assert client.get("/users/3").status_code == 404
        for injection in ("1 OR 1=1", "1;DROP TABLE users", "1'--", "1e0", "9" * 20):
            assert client.get(f"/users/{quote(injection)}").status_code == 422
        assert client.get("/users/1").json() == {"id": 1, "name": "Ann"}
    module.db.close()


def test_the_sql_block_gives_the_same_on_postgresql(postgres_url):
    source = block("SQL Injection Prevention", "Best Practices")
    assert "sqlite:///app.db" in source
    with Database(postgres_url).transaction() as transaction:
        transaction.execute("CREATE TABLE users (id SERIAL PRIMARY KEY, name TEXT)")
        transaction.execute("INSERT INTO users (name) VALUES ('Ann'), ('Bob')")
    module = load(source.replace("sqlite:///app.db", postgres_url), "guide_12")
    with TestClient(module.app) as client:
        answer = client.get("/users/2")
        assert (answer.status_code, answer.json()) == (200, {"id": 2, "name": "Bob"})
        assert client.get("/users/3").status_code == 404
        for injection in ("1 OR 1=1", "1;DROP TABLE users", "1'--", "1e0", "9" * 20, "9" * 10):
            assert client.get(f"/users/{quote(injection)}").status_code == 422
        assert client.get("/users/1").json() == {"id": 1, "name": "Ann"}
    module.db.close()


def test_the_sql_block_gives_the_same_on_mysql(mariadb_url):
    source = block("SQL Injection Prevention", "Best Practices")
    db = Database(mariadb_url)
    db.execute("CREATE TABLE users (id SERIAL PRIMARY KEY, name TEXT)")
    db.execute("INSERT INTO users (name) VALUES ('Ann'), ('Bob')")
    db.close()
    module = load(source.replace("sqlite:///app.db", mariadb_url), "guide_12")
    with TestClient(module.app) as client:
        answer = client.get("/users/2")
        assert (answer.status_code, answer.json()) == (200, {"id": 2, "name": "Bob"})
    module.db.close()
