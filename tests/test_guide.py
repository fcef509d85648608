"""The blocks of the Security Guide, run as they stand there where the guide is at hand."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
import types
import urllib.error
import urllib.request
from pathlib import Path

import pytest

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
