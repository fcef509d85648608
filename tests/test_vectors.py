"""The table of requests that both faces answer alike, asked in process and over a real socket."""

from __future__ import annotations

import http.client
import json

import pytest

from apifrom.testing import TestClient
from tests import vector_app
from tests.serving import ROOT, serving

CASES = json.loads((ROOT / "tests/vectors/requests.json").read_text())["cases"]


def body_of(case):
    body = case.get("body")
    if isinstance(body, dict):
        return body["repeat"] * body["times"]
    return body


def headers_of(case):
    headers = [tuple(pair) for pair in case.get("headers", [])]
    if "type" in case:
        headers.append(("Content-Type", case["type"]))
    return headers


def judge(case, status, headers, content):
    assert status == case["status"], content
    assert headers["x-content-type-options"] == "nosniff"
    assert len(headers["x-request-id"]) >= 8
    for name, value in case.get("answered", {}).items():
        assert headers[name] == value
    if case.get("empty"):
        assert content == b""
        return
    if "json" in case:
        assert json.loads(content) == case["json"]
    if status >= 400:
        assert headers["content-type"] == "application/problem+json"
        problem = json.loads(content)
        assert problem["status"] == status
        assert problem["request_id"] == headers["x-request-id"]
        assert problem["title"]
        assert problem["type"]
    if "errors" in case:
        found = [[error["loc"], error["type"]] for error in json.loads(content)["errors"]]
        assert found == case["errors"]
        assert all(error["msg"] for error in json.loads(content)["errors"])
    if "hides" in case:
        assert case["hides"].encode() not in content


@pytest.fixture(scope="module")
def client():
    with TestClient(vector_app.app) as client:
        yield client


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_vectors_hold_in_process(client, case):
    vector_app.calls.clear()
    response = client.request(
        case.get("method", "GET"),
        case["path"],
        headers=headers_of(case),
        content=body_of(case),
    )
    judge(case, response.status_code, response.headers, response.content)
    if 400 <= case["status"] < 500:
        assert vector_app.calls == []


@pytest.fixture(scope="module")
def port():
    with serving("from tests.vector_app import app; app.run(port=0)") as port:
        yield port


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_vectors_hold_over_a_socket(port, case):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = body_of(case)
    connection.putrequest(case.get("method", "GET"), case["path"])
    for name, value in headers_of(case):
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(None if body is None else body.encode())
    response = connection.getresponse()
    content = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    connection.close()
    judge(case, response.status, headers, content)
