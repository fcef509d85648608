"""Files: conditions, ranges, and what no path leads out of."""

import email.utils
import json
import os
import threading
from pathlib import Path

import pytest

from apifrom import API
from apifrom.responses import BackgroundTask, FileResponse, static_file
from apifrom.testing import TestClient

CONTENT = bytes(range(256)) * 2048
"""512 KiB: several pieces."""

TABLE = json.loads(Path(__file__).with_name("vectors").joinpath("files.json").read_text())
"""What both faces answer."""


@pytest.fixture
def root(tmp_path):
    directory = tmp_path / "public"
    (directory / "sub").mkdir(parents=True)
    (directory / "page.html").write_text("<p>hello</p>")
    (directory / "sub" / "deep.txt").write_text("deep")
    (directory / "sub" / "ü b%20c.txt").write_text("odd name")
    (directory / ".env").write_text("s3cr3t")
    (directory / "sub" / ".git").mkdir()
    (directory / "sub" / ".git" / "config").write_text("s3cr3t")
    (tmp_path / "outside.txt").write_text("s3cr3t")
    (directory / "inside").symlink_to(directory / "page.html")
    (directory / "relative").symlink_to("page.html")
    (directory / "leaving").symlink_to(tmp_path / "outside.txt")
    (directory / "climbing").symlink_to("../outside.txt")
    (directory / "out").symlink_to("..")
    (directory / "proc").symlink_to("/proc/self")
    (directory / "dangling").symlink_to("nothing")
    os.mkfifo(directory / "pipe")
    (directory / "unreadable").write_text("s3cr3t")
    return directory


@pytest.fixture
def client(root, tmp_path):
    data = tmp_path / "data.bin"
    data.write_bytes(CONTENT)
    os.utime(data, (1_700_000_000, 1_700_000_000.5))
    empty = tmp_path / "empty.bin"
    empty.write_bytes(b"")
    app = API()

    @app.get("/static/{*path}")
    def static(path: str):
        return static_file(root, path)

    @app.get("/data")
    def whole():
        return FileResponse(data, filename="dätä.bin", headers={"X-A": "1"})

    @app.get("/async")
    async def later():
        return FileResponse(str(data))

    @app.post("/data")
    def posted():
        return FileResponse(data)

    @app.get("/empty")
    def nothing():
        return FileResponse(empty)

    @app.get("/partial")
    def partial():
        return FileResponse(data, 203)

    @app.get("/missing")
    def missing():
        return FileResponse(tmp_path / "s3cr3t.bin")

    @app.get("/directory")
    def directory():
        return FileResponse(tmp_path)

    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/data", "/async"])
def test_a_file_is_sent_whole_with_what_identifies_its_version(client, path):
    response = client.get(path)
    assert response.status_code == 200
    assert response.content == CONTENT
    assert response.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["etag"].startswith('"')
    assert response.headers["content-type"] == "application/octet-stream"


def test_what_the_program_sets_is_sent_along(client):
    response = client.get("/data")
    assert response.headers["x-a"] == "1"
    assert response.headers["content-disposition"].startswith('attachment; filename="d_t_.bin"')


def test_head_announces_the_length_and_sends_nothing(client):
    response = client.head("/data")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(CONTENT))


def test_an_empty_file_is_sent(client):
    response = client.get("/empty")
    assert (response.status_code, response.content) == (200, b"")
    assert client.get("/empty", headers={"Range": "bytes=0-"}).status_code == 416


@pytest.mark.parametrize(("range_", "start", "end"), TABLE["ranges"])
def test_one_range_is_sent_as_206(client, range_, start, end):
    response = client.get("/data", headers={"Range": range_})
    assert response.status_code == 206
    assert response.content == CONTENT[start:end]
    assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"


@pytest.mark.parametrize("range_", TABLE["passed_over"])
def test_a_range_that_is_not_understood_is_passed_over(client, range_):
    response = client.get("/data", headers={"Range": range_})
    assert response.status_code == 200
    assert response.content == CONTENT


@pytest.mark.parametrize("range_", TABLE["outside"])
def test_a_range_outside_the_file_is_416(client, range_):
    response = client.get("/data", headers={"Range": range_})
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{len(CONTENT)}"
    assert response.headers["content-type"] == "application/problem+json"


def test_ranges_and_conditions_are_for_get_and_head_with_200(client):
    for response in (
        client.post("/data", headers={"Range": "bytes=0-1"}),
        client.get("/partial", headers={"Range": "bytes=0-1"}),
    ):
        assert response.content == CONTENT
    tag = client.get("/data").headers["etag"]
    assert client.post("/data", headers={"If-None-Match": tag}).status_code == 200


def date(offset):
    return email.utils.formatdate(1_700_000_000 + offset, usegmt=True)


@pytest.mark.parametrize(("headers", "status"), TABLE["conditions"])
def test_conditions_are_judged_as_rfc_9110_says(client, headers, status):
    tag = client.get("/data").headers["etag"]
    headers = {name: value.replace("TAG", tag) for name, value in headers.items()}
    response = client.get("/data", headers=headers)
    assert response.status_code == status
    if status == 304:
        assert response.content == b""
        assert response.headers["etag"] == tag
        assert "content-type" not in response.headers
        assert "content-length" not in response.headers


def test_what_the_program_says_of_a_files_version_is_what_is_judged(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"data")
    headers = {"ETag": 'W/"mine"', "Last-Modified": date(0)}
    app = API()

    @app.get("/")
    def handler():
        return FileResponse(path, headers=headers)

    def ask(**given):
        return client.get("/", headers={n.replace("_", "-"): v for n, v in given.items()})

    with TestClient(app) as client:
        response = ask()
        assert response.headers.getlist("etag") == ['W/"mine"']
        assert response.headers.getlist("last-modified") == [date(0)]
        assert ask(If_None_Match='"mine"').status_code == 304
        assert ask(If_None_Match='W/"mine"').status_code == 304
        assert ask(If_Modified_Since=date(0)).status_code == 304
        # A weak tag says nothing about bytes.
        assert ask(If_Match='"mine"').status_code == 412
        assert ask(Range="bytes=0-0", If_Range='"mine"').status_code == 200
        assert ask(Range="bytes=0-0", If_Range=date(0)).status_code == 206


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Range": "bytes=0-1"}, 206),
        ({"Range": "bytes=9-"}, 416),
        ({"If-None-Match": "*"}, 304),
        ({"If-Match": '"x"'}, 412),
        ({"X-Remove": "1"}, 500),
    ],
)
def test_background_work_is_done_whatever_became_of_the_file(tmp_path, headers, status):
    path = tmp_path / "data"
    path.write_bytes(b"data")
    done = threading.Event()
    app = API()

    @app.get("/")
    def handler(request):
        if "x-remove" in request.headers:
            path.unlink()
        return FileResponse(path, background=BackgroundTask(done.set))

    with TestClient(app) as client:
        assert client.get("/", headers=headers).status_code == status
        assert done.wait(5)


@pytest.mark.parametrize("path", ["/missing", "/directory"])
def test_a_file_that_the_program_named_and_is_none_is_500(client, path, caplog):
    response = client.get(path)
    assert response.status_code == 500
    assert b"s3cr3t" not in response.content
    assert "request_failed" in [record.event for record in caplog.records]


@pytest.mark.parametrize(("path", "text", "content_type"), TABLE["served"])
def test_a_static_file_is_sent_from_below_its_directory(client, path, text, content_type):
    response = client.get(f"/static/{path}")
    assert response.status_code == 200
    assert response.text == text
    assert response.headers["content-type"] == content_type


@pytest.mark.parametrize("path", TABLE["absent"])
def test_nothing_else_is_sent_and_nobody_learns_why(client, path):
    response = client.get(f"/static/{path}")
    assert response.status_code == 404
    assert b"s3cr3t" not in response.content
    assert response.json()["detail"] == "there is nothing at this address"


@pytest.mark.parametrize("path", TABLE["bad_path"])
def test_a_path_that_is_none_reaches_no_handler(client, path):
    response = client.get(f"/static/{path}")
    assert response.status_code == 400
    assert b"s3cr3t" not in response.content


@pytest.mark.parametrize("path", ["..", "../outside.txt", "a/../b", "a\\b", "a\0b", "", "."])
def test_a_path_of_the_programs_own_making_is_held_to_the_same(root, path):
    app = API()

    @app.get("/")
    def static():
        return static_file(root, path)

    with TestClient(app) as client:
        assert client.get("/").status_code == 404
