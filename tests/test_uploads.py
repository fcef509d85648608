"""Files of forms: how they reach a handler, and what is refused before one is called."""

import contextlib
import http.client
from pathlib import Path
from typing import Annotated

import pytest

from apifrom import API, Depends, File, Form, SyncUploadFile, UploadFile
from apifrom.exceptions import ConfigurationError
from apifrom.testing import TestClient
from tests.serving import serving

BOUNDARY = "a-boundary"
MULTIPART = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
MEBIBYTE = 1 << 20


def part(name, content, filename=None, content_type=None):
    disposition = f'form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    head = f"Content-Disposition: {disposition}\r\n"
    if content_type is not None:
        head += f"Content-Type: {content_type}\r\n"
    content = content if isinstance(content, bytes) else content.encode()
    return head.encode() + b"\r\n" + content + b"\r\n"


def form(*parts, end=f"--{BOUNDARY}--\r\n"):
    begin = f"--{BOUNDARY}\r\n".encode()
    return b"".join(begin + part for part in parts) + end.encode()


@pytest.fixture(params=["def", "async def"])
def kind(request):
    return request.param


def keeping(kind, calls, **route):
    """An API whose one handler says what it was given."""
    app = API()

    def said(title, name, content, content_type, size):
        calls.append(title)
        return {
            "title": title,
            "name": name,
            "length": len(content),
            "begins": content[:3].decode("latin-1"),
            "type": content_type,
            "size": size,
        }

    if kind == "def":

        @app.api(route="/", methods=["POST"], **route)
        def keep(title: Annotated[str, Form()], photo: SyncUploadFile):
            assert type(photo) is SyncUploadFile
            return said(title, photo.filename, photo.read(), photo.content_type, photo.size)

    else:

        @app.api(route="/", methods=["POST"], **route)
        async def keep(title: Annotated[str, Form()], photo: UploadFile):
            assert type(photo) is UploadFile
            return said(title, photo.filename, await photo.read(), photo.content_type, photo.size)

    return app


def sent(app, content, headers=MULTIPART):
    with TestClient(app) as client:
        return client.post("/", content=content, headers=headers)


@pytest.mark.parametrize("size", [0, 3, MEBIBYTE, MEBIBYTE + 1, 5 * MEBIBYTE])
def test_a_file_arrives_whole_in_memory_or_beside_it(kind, size):
    calls = []
    content = (b"abc" * (size // 3 + 1))[:size]
    app = keeping(kind, calls, max_body_size=6 * MEBIBYTE)
    answer = sent(app, form(part("title", "A cat"), part("photo", content, "cat.png", "image/png")))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "title": "A cat",
        "name": "cat.png",
        "length": size,
        "begins": content[:3].decode(),
        "type": "image/png",
        "size": size,
    }


@pytest.mark.parametrize(
    ("filename", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\cat.png", "cat.png"),
        ("..", ""),
        ("r\u00e9sum\u00e9.pdf", "r\u00e9sum\u00e9.pdf"),
        ("x\u202egnp.exe", "xgnp.exe"),
        ("n" * 400, "n" * 255),
    ],
)
def test_a_name_never_climbs(filename, shown):
    answer = sent(keeping("def", []), form(part("title", "x"), part("photo", "abc", filename)))
    assert answer.json()["name"] == shown


MALFORMED = {
    "nothing": b"",
    "no_boundary_in_it": b"title=x",
    "no_end": form(part("title", "x"), part("photo", "abc", "a"), end=""),
    "cut_in_a_file": form(part("title", "x"), part("photo", "abc", "a"))[:-30],
    "cut_in_a_head": form(part("title", "x"))[: -len(part("title", "x"))],
    "no_name": form(b"Content-Disposition: form-data\r\n\r\nx\r\n"),
    "no_disposition": form(b"Content-Type: text/plain\r\n\r\nx\r\n"),
    "no_utf_8": form(part("title", b"\xff\xfe"), part("photo", "abc", "a")),
    "broken_head": form(b"Content-Disposition form-data\r\n\r\nx\r\n"),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_400_and_nothing_is_called(kind, content):
    calls = []
    answer = sent(keeping(kind, calls), content)
    assert answer.status_code == 400, answer.text
    assert answer.json()["type"].endswith("form_malformed")
    assert calls == []


TOO_LARGE = {
    "body": form(part("title", "x"), part("photo", b"x" * (12 * MEBIBYTE), "a")),
    "text": form(part("title", "x" * (MEBIBYTE + 1)), part("photo", "abc", "a")),
    "head": form(
        f'Content-Disposition: form-data; name="{"x" * (2 * MEBIBYTE)}"\r\n\r\nx\r\n'.encode()
    ),
    "preamble": b"x" * (2 * MEBIBYTE) + form(part("title", "x"), part("photo", "abc", "a")),
    "parts": form(*[part("x", "y")] * 1_001),
    "files": form(*[part("x", "y", "a")] * 101),
}


@pytest.mark.parametrize("content", TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_too_large_is_413_and_nothing_is_called(kind, content):
    calls = []
    answer = sent(keeping(kind, calls, max_body_size=10 * MEBIBYTE), content)
    assert answer.status_code == 413, answer.text
    assert calls == []


def test_as_much_as_is_allowed_is_taken():
    parts = [part("x", "y")] * 899 + [part("x", "y", "a")] * 99
    content = form(*parts, part("title", "t" * (MEBIBYTE - 899)), part("photo", "abc", "a"))
    app = keeping("def", [], max_body_size=10 * MEBIBYTE)
    assert sent(app, content).status_code == 200


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"title=x", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"title=x", {}, 415),
        (form(part("title", "x")), {"content-type": "multipart/mixed; boundary=" + BOUNDARY}, 415),
        (form(part("title", "x")), {"content-type": "multipart/form-data"}, 400),
        (form(part("title", "x")), {"content-type": "multipart/form-data; boundary="}, 400),
        (
            form(part("title", "x")),
            {"content-type": "multipart/form-data; boundary=" + "b" * 71},
            400,
        ),
    ],
)
def test_another_type_is_refused(kind, content, headers, status):
    calls = []
    assert sent(keeping(kind, calls), content, headers).status_code == status
    assert calls == []


def faults(answer):
    assert answer.status_code == 422, answer.text
    return [(fault["loc"], fault["type"]) for fault in answer.json()["errors"]]


def test_what_is_missing_or_doubled_is_told_at_its_field(kind):
    calls = []
    app = keeping(kind, calls)
    twice = [part("photo", "abc", "a"), part("photo", "abc", "b")]
    assert faults(sent(app, form(*twice))) == [
        (["form", "title"], "missing"),
        (["form", "photo"], "duplicate"),
    ]
    # Text is no file, a file is no text, and a field left empty is not there.
    app = keeping(kind, calls)
    swapped = form(part("title", "x", "a"), part("photo", "abc"))
    assert faults(sent(app, swapped)) == [
        (["form", "title"], "missing"),
        (["form", "photo"], "missing"),
    ]
    app = keeping(kind, calls)
    empty = form(part("title", "x"), part("photo", "", ""))
    assert faults(sent(app, empty)) == [(["form", "photo"], "missing")]
    assert calls == []


def test_several_files_bytes_and_defaults():
    app = API()

    @app.post("/")
    def keep(
        photos: list[UploadFile],
        note: Annotated[bytes, File(alias="the-note")],
        spare: UploadFile | None = None,
        *,
        other: Annotated[bytes | None, File()] = None,
    ):
        return {
            "photos": [photo.file.read().decode() for photo in photos],
            "note": note.decode(),
            "spare": spare,
            "other": other,
        }

    photos = [part("photos", "one", "1"), part("ignored", "x", "x"), part("photos", "two", "2")]
    assert sent(app, form(*photos, part("the-note", "n", "n"))).json() == {
        "photos": ["one", "two"],
        "note": "n",
        "spare": None,
        "other": None,
    }


def test_a_form_without_files_may_be_of_either_type():
    app = API()

    @app.post("/")
    def keep(title: Annotated[str, Form()], tags: Annotated[list[str], Form()] = ()):
        return [title, list(tags)]

    urlencoded = {"content-type": "application/x-www-form-urlencoded"}
    with TestClient(app) as client:
        assert client.post("/", content=b"title=x&tags=a", headers=urlencoded).json() == [
            "x",
            ["a"],
        ]
        content = form(part("title", "x"), part("tags", "a"), part("tags", "b"))
        assert client.post("/", content=content, headers=MULTIPART).json() == ["x", ["a", "b"]]


def test_a_dependency_takes_a_file():
    app = API()

    def length(photo: UploadFile) -> int:
        return photo.size

    @app.post("/")
    def keep(size: Annotated[int, Depends(length)]):
        return size

    assert sent(app, form(part("photo", "abc", "a"))).json() == 3


def test_read_and_seek_and_what_is_left_open_is_closed():
    kept = []
    app = API()

    @app.api(route="/", methods=["POST"], max_body_size=3 * MEBIBYTE)
    async def keep(photo: UploadFile):
        kept.append((photo.file, photo.file.fileno()))
        first = await photo.read(2)
        await photo.seek(1)
        rest = await photo.read()
        # Without a name, it is in no directory.
        target = str(Path(f"/proc/self/fd/{photo.file.fileno()}").readlink())
        return {"first": first.decode(), "rest": len(rest), "deleted": "(deleted)" in target}

    content = form(part("photo", b"x" * (2 * MEBIBYTE), "a"))
    answer = sent(app, content).json()
    assert answer == {"first": "xx", "rest": 2 * MEBIBYTE - 1, "deleted": True}
    assert kept[0][0].closed


@pytest.mark.parametrize("content", [str, dict[str, bytes]])
def test_what_no_file_can_be_stops_the_start(content):
    app = API()

    @app.post("/")
    def keep(photo: Annotated[content, File()]):
        raise AssertionError("called")

    with pytest.raises(ConfigurationError, match="expected UploadFile"):
        app.freeze()


def test_a_file_beside_a_json_body_or_asked_for_twice_stops_the_start():
    app = API()

    def one(photo: UploadFile) -> int:
        return photo.size

    @app.post("/a")
    def both(photo: UploadFile, body: dict[str, int]):
        raise AssertionError("called")

    @app.post("/b")
    def twice(photo: UploadFile, size: Annotated[int, Depends(one)]):
        raise AssertionError("called")

    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    assert "cannot be both JSON" in str(raised.value)
    assert "two parameters take the file" in str(raised.value)


PROGRAM = """
from apifrom import API, UploadFile

app = API()

@app.api(route="/", methods=["POST"], max_body_size=64 << 20)
async def keep(photo: UploadFile):
    return {"size": photo.size}

app.run(port=0, timeout_body=2)
"""


def test_a_large_file_over_a_socket_is_not_held_in_memory():
    size = 48 * MEBIBYTE
    content = form(part("photo", b"x" * size, "a"))
    with serving(PROGRAM) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/", body=content, headers=MULTIPART)
        response = connection.getresponse()
        assert response.status == 200
        assert response.read() == b'{"size":%d}' % size
        connection.close()
        peak = peak_memory(port)
    assert peak < 100 * MEBIBYTE


def peak_memory(port):
    """The most memory that the process which listens on `port` had, in bytes."""
    inode = None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if columns[1].endswith(f":{port:04X}") and columns[3] == "0A":
            inode = columns[9]
    for process in Path("/proc").glob("[0-9]*"):
        for descriptor in process.glob("fd/*"):
            target = ""
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
            if target == f"socket:[{inode}]":
                status = (process / "status").read_text()
                kilobytes = status.split("VmHWM:")[1].split()[0]
                return int(kilobytes) * 1024
    raise AssertionError("nobody listens")


def test_a_form_that_never_ends_is_ended_by_its_time():
    with serving(PROGRAM) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Type", MULTIPART["content-type"])
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        connection.send(form(part("photo", b"x" * 1000, "a"))[:-20])
        assert connection.getresponse().status == 408
        connection.close()


def test_a_form_that_is_asked_for_holds_fields_and_files(kind):
    app = API()

    def said(data, content):
        return {
            "fields": data.multi_items(),
            "title": data["title"],
            "no text": data.get("photo"),
            "files": data.file_names(),
            "of photo": len(data.getfiles("photo")),
            "name": data.file("photo").filename,
            "type": data.file("photo").content_type,
            "class": type(data.file("photo")).__name__,
            "content": content.decode(),
            "none": data.file("title"),
            "repr": repr(data),
        }

    if kind == "def":

        @app.post("/")
        def read(request):
            data = request.form()
            return said(data, data.file("photo").read())
    else:

        @app.post("/")
        async def read(request):
            data = await request.form()
            assert await request.body()
            # It can be asked for again, and each file is read from its start.
            await data.file("photo").read()
            again = await request.form()
            return said(data, await again.file("photo").read())

    sent = form(
        part("title", "holiday"),
        part("tag", "a"),
        part("tag", "b"),
        part("photo", b"first", "../one.png", "image/png"),
        part("photo", b"second", "two.png"),
    )
    with TestClient(app) as client:
        answer = client.post("/", content=sent, headers=MULTIPART)
        assert answer.json() == {
            "fields": [["title", "holiday"], ["tag", "a"], ["tag", "b"]],
            "title": "holiday",
            "no text": None,
            "files": ["photo"],
            "of photo": 2,
            "name": "one.png",
            "type": "image/png",
            "class": "SyncUploadFile" if kind == "def" else "UploadFile",
            "content": "first",
            "none": None,
            "repr": 'FormData(["title", "tag"], files=["photo"])',
        }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (form(part("a", "1"), end=""), 400),
        (form(b"Content-Disposition: form-data\r\n\r\nx\r\n"), 400),
        (form(part("a", b"\xff")), 400),
        (form(*[part("a", "1")] * 1001), 413),
        (form(*[part("a", "1", "f")] * 101), 413),
        (form(part("a", "x" * (MEBIBYTE + 1))), 413),
        (b"", 400),
    ],
)
def test_a_form_that_is_asked_for_is_held_to_the_same_bounds(body, status):
    app = API(max_body_size=2 * MEBIBYTE)
    read = []

    @app.post("/")
    async def handler(request):
        read.append(await request.form())

    with TestClient(app) as client:
        assert client.post("/", content=body, headers=MULTIPART).status_code == status
    assert read == []


def test_a_large_form_that_is_asked_for_is_read_whole():
    app = API(max_body_size=4 * MEBIBYTE)

    @app.post("/")
    async def handler(request):
        data = await request.form()
        return [data.file("a").size, len(await data.file("a").read())]

    with TestClient(app) as client:
        sent = form(part("a", b"x" * (3 * MEBIBYTE), "large"))
        answer = client.post("/", content=sent, headers=MULTIPART)
        assert answer.json() == [3 * MEBIBYTE] * 2
