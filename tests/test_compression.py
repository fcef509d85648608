"""Answers in a shorter form: which are, and which never."""

from __future__ import annotations

import gzip
import http.client
import threading
from collections.abc import Iterator

import pytest

from apifrom import API
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import CompressionMiddleware, CSRFMiddleware, compression
from apifrom.responses import FileResponse, Response, StreamingResponse
from apifrom.security import api_key_required
from apifrom.testing import TestClient
from tests.serving import serving

TEXT = "the same again and again, " * 400
KEY = "a-long-enough-key"


def example(tmp_path, **options):
    app = API()
    app.add_middleware(CompressionMiddleware, **options)
    (tmp_path / "page.txt").write_text(TEXT)

    @app.get("/json")
    def in_json():
        return [TEXT]

    @app.get("/short")
    def short():
        return "short"

    @app.get("/file")
    def file():
        return FileResponse(tmp_path / "page.txt")

    @app.get("/pieces")
    def pieces() -> Iterator[str]:
        for _ in range(400):
            yield TEXT[:26]

    @app.get("/events")
    def events():
        return StreamingResponse(iter([TEXT]), media_type="text/event-stream")

    @app.get("/coded")
    def coded():
        body = gzip.compress(TEXT.encode())
        return Response(body, media_type="text/plain", headers={"Content-Encoding": "gzip"})

    @app.get("/cookie")
    def cookie():
        answer = Response(TEXT, media_type="text/plain")
        answer.set_cookie("a", "b")
        return answer

    @app.get("/locked")
    @api_key_required(api_keys={KEY: []})
    def locked():
        return TEXT

    @app.get("/asked")
    @compression(insecure_authenticated=True, encodings=["gzip"])
    @api_key_required(api_keys={KEY: []})
    def asked():
        return TEXT

    return app


def ask(client, path, takes="gzip", **headers):
    return client.get(path, headers={"accept-encoding": takes, "x-api-key": KEY, **headers})


def test_text_is_compressed_where_the_client_takes_it(tmp_path):
    with TestClient(example(tmp_path)) as client:
        for path in ("/json", "/file", "/pieces"):
            answer = ask(client, path)
            assert answer.headers["content-encoding"] == "gzip"
            assert answer.headers["vary"] == "Accept-Encoding"
            assert TEXT in gzip.decompress(answer.content).decode()
            plain = ask(client, path, takes="gzip;q=0, identity")
            assert "content-encoding" not in plain.headers
            assert plain.headers["vary"] == "Accept-Encoding"
            assert TEXT in plain.text
        for takes, coding in {"br, gzip": "br", "gzip, deflate, br, zstd": "zstd"}.items():
            answer = ask(client, "/json", takes=takes)
            assert answer.headers["content-encoding"] == coding
            assert len(answer.content) < 500


def test_what_is_short_coded_or_an_event_is_not(tmp_path):
    with TestClient(example(tmp_path)) as client:
        for path in ("/short", "/events"):
            assert "content-encoding" not in ask(client, path).headers
        assert gzip.decompress(ask(client, "/coded").content).decode() == TEXT
        assert "vary" not in ask(client, "/coded").headers


def test_a_file_keeps_its_ranges_and_a_cache_finds_what_it_holds(tmp_path):
    with TestClient(example(tmp_path)) as client:
        part = ask(client, "/file", range="bytes=0-9")
        assert (part.status_code, part.text) == (206, TEXT[:10])
        assert "content-encoding" not in part.headers
        whole = ask(client, "/file")
        tag = whole.headers["etag"]
        assert tag.startswith("W/")
        assert "accept-ranges" not in whole.headers
        again = ask(client, "/file", **{"if-none-match": tag})
        assert (again.status_code, again.headers["etag"]) == (304, tag)
        # The tag of one form does not stand for a range of another.
        resumed = ask(client, "/file", range="bytes=0-9", **{"if-range": tag})
        assert resumed.status_code == 200
        head = client.head("/file", headers={"accept-encoding": "gzip"})
        assert head.headers["content-encoding"] == "gzip"
        assert "content-length" not in head.headers


def test_secrets_beside_input_are_not_unless_the_endpoint_asks(tmp_path):
    with TestClient(example(tmp_path)) as client:
        assert "content-encoding" not in ask(client, "/locked").headers
        assert "content-encoding" not in ask(client, "/cookie").headers
        assert ask(client, "/asked").headers["content-encoding"] == "gzip"
        for name, value in {"cookie": "a=b", "authorization": "Bearer x"}.items():
            assert "content-encoding" not in ask(client, "/json", **{name: value}).headers
    app = example(tmp_path)
    app.add_middleware(CSRFMiddleware(secret="a secret of more than 32 bytes, to be sure"))
    with TestClient(app) as client:
        answer = ask(client, "/json")
        assert "set-cookie" in answer.headers
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"encodings": ["deflate"]}, "compression.encodings[0]"),
        ({"encodings": "gzip"}, "compression.encodings"),
        ({"minimum_size": -1}, "compression.minimum_size"),
        ({"minimum_size": 1.5}, "compression.minimum_size"),
        ({"insecure_authenticated": "no"}, "compression.insecure_authenticated"),
    ],
)
def test_what_cannot_be_meant_stops_the_start_and_is_named(options, field):
    app = API()
    app.add_middleware(CompressionMiddleware(**options))
    with pytest.raises(ConfigurationError) as error:
        app.freeze()
    assert field in str(error.value)


_LARGE = """
from apifrom import API
from apifrom.middleware import CompressionMiddleware

app = API()
app.add_middleware(CompressionMiddleware(encodings=["gzip"]))
large = "0123456789abcdef" * (1 << 20)


@app.get("/large")
def all_of_it():
    return large


@app.get("/small")
def small():
    return "small"


app.run(port=0)
"""


def test_a_large_answer_is_compressed_while_others_are_answered():
    with serving(_LARGE) as port:
        large = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        large.request("GET", "/large", headers={"Accept-Encoding": "gzip"})
        small = []

        def others():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            for _ in range(20):
                connection.request("GET", "/small")
                small.append(connection.getresponse().read())
            connection.close()

        thread = threading.Thread(target=others)
        thread.start()
        answer = large.getresponse()
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.headers["Content-Length"] is None
        assert gzip.decompress(answer.read()) == b"0123456789abcdef" * (1 << 20)
        thread.join()
        large.close()
        assert small == [b"small"] * 20
