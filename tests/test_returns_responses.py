"""The kinds of `Response`, their headers and cookies."""

import datetime
import gc
import weakref

import pytest

from apifrom.responses import (
    BackgroundTask,
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
    static_file,
)


@pytest.mark.parametrize(
    ("response", "body", "content_type"),
    [
        (Response(), b"", None),
        (Response(""), b"", "text/plain; charset=utf-8"),
        (Response("é"), "é".encode(), "text/plain; charset=utf-8"),
        (Response(b"x"), b"x", "application/octet-stream"),
        (Response(b""), b"", None),
        (Response("x", media_type="text/css"), b"x", "text/css; charset=utf-8"),
        (Response("x", media_type="TEXT/css; CHARSET=latin-1"), b"x", "TEXT/css; CHARSET=latin-1"),
        (Response("x", media_type="text/css; charset=a"), b"x", "text/css; charset=a"),
        (Response("x", headers={"content-type": "a/b"}), b"x", "a/b"),
        (PlainTextResponse("x"), b"x", "text/plain; charset=utf-8"),
        (HTMLResponse("<p>"), b"<p>", "text/html; charset=utf-8"),
        (JSONResponse({"a": 1}), b'{"a":1}', "application/json"),
        (
            JSONResponse({}, media_type="application/problem+json"),
            b"{}",
            "application/problem+json",
        ),
        (StreamingResponse([]), None, "application/octet-stream"),
        (FileResponse("notes.txt"), None, "text/plain; charset=utf-8"),
        (FileResponse("notes.tar.gz"), None, "application/gzip"),
        (FileResponse("notes.unknown"), None, "application/octet-stream"),
        (FileResponse("raw", filename="table.csv"), None, "text/csv; charset=utf-8"),
        (static_file("assets", "style.css"), None, "text/css; charset=utf-8"),
    ],
)
def test_the_media_type_follows_from_the_arguments(response, body, content_type):
    assert response.body == body
    assert response.headers.get("content-type") == content_type
    assert response.status == 200


def test_a_class_of_the_program_sets_its_own_media_type_and_arguments():
    class Xml(Response):
        media_type = "application/xml"

        def __init__(self, root):
            super().__init__(f"<{root}/>", 201, {"X-Root": root})

    response = Xml("feed")
    assert (response.status, response.body) == (201, b"<feed/>")
    assert dict(response.headers) == {"content-type": "application/xml", "x-root": "feed"}
    assert repr(response) == "<Xml 201>"


@pytest.mark.parametrize("content", [1, {"a": 1}, ["a"], object()])
def test_content_is_text_or_bytes(content):
    with pytest.raises(TypeError, match="expected content as str or bytes"):
        Response(content)


@pytest.mark.parametrize("content", ["text", b"bytes", bytearray(b"b"), 7, None])
def test_a_stream_needs_pieces(content):
    with pytest.raises(TypeError, match="expected an iterable"):
        StreamingResponse(content)


@pytest.mark.parametrize("status", [99, 100, 199, 600, 1000])
def test_a_status_is_one_that_can_be_answered(status):
    with pytest.raises(ValueError, match="200 to 599"):
        Response(status=status)
    response = Response()
    with pytest.raises(ValueError, match="200 to 599"):
        response.status = status
    assert response.status == 200


def test_headers_are_a_mapping_that_knows_no_case():
    response = Response(headers=[("X-A", "1"), ("x-a", "2"), ("B", "3")])
    headers = response.headers
    assert (headers["x-A"], headers.get("X-a"), headers.get("c"), headers.get("c", "d")) == (
        "1",
        "1",
        None,
        "d",
    )
    assert headers.getlist("X-A") == ["1", "2"]
    assert "X-A" in headers
    assert "c" not in headers
    assert 1 not in headers
    assert len(headers) == 2
    assert list(headers) == list(headers.keys()) == ["x-a", "b"]
    assert list(headers.items()) == [("x-a", "1"), ("b", "3")]
    assert list(headers.values()) == ["1", "3"]
    assert headers.multi_items() == [("x-a", "1"), ("x-a", "2"), ("b", "3")]
    headers["X-a"] = "4"
    assert headers.getlist("x-a") == ["4"]
    headers.append("X-A", "5")
    assert headers.getlist("x-a") == ["4", "5"]
    assert headers.setdefault("C", "6") == "6"
    assert headers.setdefault("C", "7") == "6"
    headers.update({"B": "8"})
    del headers["x-a"]
    assert sorted(headers.items()) == [("b", "8"), ("c", "6")]
    with pytest.raises(KeyError):
        headers["x-a"]
    with pytest.raises(KeyError):
        del headers["x-a"]


def test_the_repr_of_headers_shows_no_value():
    assert repr(Response(headers={"X-Token": "s3cr3t"}).headers) == 'MutableHeaders(["x-token"])'


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/a?b=c&d#e", "/a?b=c&d#e"),
        ("/é/ü?q=ö", "/%C3%A9/%C3%BC?q=%C3%B6"),
        ("/a b", "/a%20b"),
        ("/%20%zz", "/%20%zz"),
        ("https://example.com:8443/[x]", "https://example.com:8443/[x]"),
        ("/\\evil.example", "/%5Cevil.example"),
        ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
    ],
)
def test_a_location_holds_only_what_a_url_may(url, location):
    response = RedirectResponse(url)
    assert (response.status, response.headers["location"]) == (307, location)


@pytest.mark.parametrize("url", ["/a\r\nSet-Cookie: b=c", "/\x00", "/\x7f", "/\t"])
def test_a_location_with_control_characters_is_refused(url):
    with pytest.raises(ValueError, match="control characters"):
        RedirectResponse(url)


@pytest.mark.parametrize("status", [200, 300, 304, 305, 306, 309, 400])
def test_a_redirect_has_a_status_that_redirects(status):
    with pytest.raises(ValueError, match="redirect's status"):
        RedirectResponse("/", status)


@pytest.mark.parametrize(
    ("filename", "disposition"),
    [
        ("a.txt", 'attachment; filename="a.txt"'),
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ("é.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"),
        (
            'a"b\\c%d.txt',
            "attachment; filename=\"a_b_c_d.txt\"; filename*=UTF-8''a%22b%5Cc%25d.txt",
        ),
    ],
)
def test_a_downloads_name_is_written_for_old_and_new_clients(filename, disposition):
    response = FileResponse("x", filename=filename)
    assert response.headers["content-disposition"] == disposition


def test_a_file_can_be_shown_in_place():
    response = FileResponse("x", filename="a.txt", disposition="inline")
    assert response.headers["content-disposition"] == 'inline; filename="a.txt"'
    assert "content-disposition" not in FileResponse("x").headers
    with pytest.raises(ValueError, match="disposition"):
        FileResponse("x", filename="a.txt", disposition="form-data")
    with pytest.raises(ValueError, match="control"):
        FileResponse("x", filename="a\r\nb")


def cookie(*arguments, **options):
    response = Response()
    response.set_cookie(*arguments, **options)
    [line] = response.headers.getlist("set-cookie")
    return line


MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("arguments", "options", "line"),
    [
        (("a",), {}, "a=; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (("a", "b"), {}, "a=b; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (("a", "b"), {"max_age": 60}, "a=b; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax"),
        (
            ("a", "b"),
            {"expires": MOMENT.astimezone(datetime.timezone(datetime.timedelta(hours=5)))},
            "a=b; Path=/; Expires=Fri, 02 Jan 2026 03:04:05 GMT; Secure; HttpOnly; SameSite=Lax",
        ),
        (("a", "b"), {"secure": False}, "a=b; Path=/; HttpOnly; SameSite=Lax"),
        (("a", "b"), {"httponly": False}, "a=b; Path=/; Secure; SameSite=Lax"),
        (("a", "b"), {"samesite": "strict"}, "a=b; Path=/; Secure; HttpOnly; SameSite=Strict"),
        (("a", "b"), {"samesite": "None"}, "a=b; Path=/; Secure; HttpOnly; SameSite=None"),
        (
            ("a", "b"),
            {"domain": "example.com", "path": "/x"},
            "a=b; Domain=example.com; Path=/x; Secure; HttpOnly; SameSite=Lax",
        ),
        (("__Host-a", "b"), {}, "__Host-a=b; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (
            ("__Secure-a", "b"),
            {"path": "/x"},
            "__Secure-a=b; Path=/x; Secure; HttpOnly; SameSite=Lax",
        ),
    ],
)
def test_a_cookie_is_protected_unless_told_otherwise(arguments, options, line):
    assert cookie(*arguments, **options) == line


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("", "b"), {}),
        (("a b", "b"), {}),
        (("a=b", "b"), {}),
        (("a;b", "b"), {}),
        (("é", "b"), {}),
        (("a", "s3cr3t;x"), {}),
        (("a", "s3cr3t,x"), {}),
        (("a", 's3cr3t"'), {}),
        (("a", "s3cr3t\\"), {}),
        (("a", "s3cr3t x"), {}),
        (("a", "s3cr3t\r\nx"), {}),
        (("a", "s3cr3té"), {}),
        (("a", "s3cr3t" * 1000), {}),
        (("a", "b"), {"path": "x"}),
        (("a", "b"), {"path": ""}),
        (("a", "b"), {"path": "/;Domain=x"}),
        (("a", "b"), {"path": "/\n"}),
        (("a", "b"), {"domain": ""}),
        (("a", "b"), {"domain": ".example.com"}),
        (("a", "b"), {"domain": "a;b"}),
        (("a", "b"), {"samesite": "None", "secure": False}),
        (("a", "b"), {"samesite": "sometimes"}),
        (("__Secure-a", "b"), {"secure": False}),
        (("__secure-a", "b"), {"secure": False}),
        (("__Host-a", "b"), {"secure": False}),
        (("__Host-a", "b"), {"path": "/x"}),
        (("__Host-a", "b"), {"domain": "example.com"}),
        (("__HOST-a", "b"), {"domain": "example.com"}),
    ],
)
def test_a_cookie_that_browsers_would_misread_or_drop_is_refused(arguments, options):
    response = Response()
    with pytest.raises(ValueError, match=r"cookie|samesite") as caught:
        response.set_cookie(*arguments, **options)
    assert "s3cr3t" not in str(caught.value)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("expires", [datetime.datetime(2026, 1, 1), 60, "tomorrow"])  # noqa: DTZ001
def test_an_expiry_is_a_moment_with_a_time_zone(expires):
    with pytest.raises(TypeError, match="time zone"):
        Response().set_cookie("a", "b", expires=expires)


def test_a_cookie_is_set_once_for_each_name_path_and_domain():
    response = Response()
    response.set_cookie("a", "1")
    response.set_cookie("a", "2", path="/x")
    response.set_cookie("a", "3", domain="example.com")
    response.set_cookie("ab", "4")
    response.set_cookie("a", "5", max_age=1)
    values = [line.split(";")[0] for line in response.headers.getlist("set-cookie")]
    assert values == ["a=2", "a=3", "ab=4", "a=5"]


def test_a_deleted_cookie_has_expired():
    response = Response()
    response.set_cookie("a", "1")
    response.delete_cookie("a")
    assert response.headers.getlist("set-cookie") == [
        "a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; "
        "Secure; HttpOnly; SameSite=Lax"
    ]


@pytest.mark.parametrize("background", [print, object(), "task", [BackgroundTask(print)]])
def test_background_work_is_a_task_or_tasks(background):
    with pytest.raises(TypeError, match="BackgroundTask"):
        Response(background=background)


def test_a_response_that_is_part_of_a_circle_is_collected():
    class Marked:
        pass

    marked = Marked()
    gone = weakref.ref(marked)

    def work(response, marker):
        pass

    response = Response()
    response.background = BackgroundTask(work, response, marked)
    del response, marked
    gc.collect()
    assert gone() is None
