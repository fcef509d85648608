"""That many requests at once have nothing of each other, though they share memory in turn."""

import http.client
from concurrent.futures import ThreadPoolExecutor

from tests.serving import serving

PROGRAM = """
import logging

from apifrom import API
from apifrom.security import jwt_required

logging.getLogger("apifrom.security").setLevel("ERROR")
app = API()


@app.get("/")
def home() -> dict:
    return {"ok": True}


@app.get("/me")
@jwt_required(secret="a secret of at least thirty-two bytes")
def me(request) -> dict:
    return request.state.jwt_payload


@app.post("/length")
async def length(request) -> dict:
    return {"length": len(await request.body())}


app.run(port=0, access_log=False)
"""
ALWAYS = {"content-type", "x-request-id", "x-content-type-options", "content-length", "date"}
REFUSED = {*ALWAYS, "cache-control"}
KINDS = [
    ("GET", "/", 200, ALWAYS),
    ("GET", "/me", 401, {*REFUSED, "www-authenticate"}),
    ("POST", "/length", 200, ALWAYS),
    ("GET", "/nothing", 404, REFUSED),
]


def ask(port, caller):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for number in range(100):
        method, path, status, expected = KINDS[number % len(KINDS)]
        name = f"caller-{caller}-{number}"
        headers = {"X-Own": name, "Cookie": f"session={name}", "Authorization": f"Bearer {name}"}
        body = name.encode() if method == "POST" else None
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        told = answer.read()
        fields = answer.getheaders()
        assert answer.status == status
        assert {field.lower() for field, _ in fields} == expected
        assert len(fields) == len(expected)
        assert b"caller-" not in told
        assert "caller-" not in str(fields)
    connection.close()


def test_nothing_of_one_request_is_in_the_answer_to_another():
    with serving(PROGRAM) as port, ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, [port] * 16, range(16)))
