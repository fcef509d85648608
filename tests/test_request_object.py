"""What a handler may look at of its request."""

import gc
import json
import weakref
from collections.abc import Mapping

import pytest

from apifrom import API, Request, SyncRequest
from apifrom.testing import TestClient


def ask(look, path="/items/7", *, route="/items/{item_id}", config=None, client=None, **options):
    """Asks a handler that answers with what `look(request)` finds."""
    app = API(**(config or {}))

    @app.get(route)
    def handler(request):
        return {"found": look(request)}

    with TestClient(app, **(client or {})) as test_client:
        response = test_client.get(path, **options)
    assert response.status_code == 200, response.text
    return response.json()["found"]


def test_a_def_is_given_a_sync_request_and_an_async_def_a_request():
    app = API()

    @app.get("/def")
    def plain(request):
        return type(request).__name__

    @app.get("/async")
    async def later(request):
        return type(request).__name__

    with TestClient(app) as client:
        assert client.get("/def").text == "SyncRequest"
        assert client.get("/async").text == "Request"


def test_a_request_is_found_by_its_type():
    app = API()

    @app.get("/def")
    def plain(asked: SyncRequest):
        return asked.path

    @app.get("/async")
    async def later(asked: Request):
        return asked.path

    with TestClient(app) as client:
        assert client.get("/def").text == "/def"
        assert client.get("/async").text == "/async"


def test_the_method_is_there():
    assert ask(lambda request: request.method) == "GET"


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/a/b", "/a/b"),
        ("/a/%62", "/a/b"),
        ("/a/%C3%A9", "/a/é"),
        ("/a/x%2Fy", "/a/x%2Fy"),
        ("/a/x%252Fy", "/a/x%252Fy"),
        ("/a/100%25", "/a/100%25"),
        ("/a/+", "/a/+"),
    ],
)
def test_the_path_is_the_one_that_routes_are_matched_against(path, seen):
    assert ask(lambda request: request.path, path, route="/a/{rest}") == seen


@pytest.mark.parametrize(
    ("path", "captures"),
    [
        ("/7/a/b", {"item_id": "7", "rest": "a/b"}),
        ("/%37/x%2Fy/z", {"item_id": "7", "rest": "x/y/z"}),
        ("/%252F/x", {"item_id": "%2F", "rest": "x"}),
    ],
)
def test_the_captures_are_decoded_once(path, captures):
    found = ask(lambda request: request.path_params, path, route="/{item_id}/{*rest}")
    assert found == captures


def url_parts(request):
    url = request.url
    return [str(url), url.scheme, url.host, url.port, url.path, url.query]


def test_the_url_is_the_one_the_client_saw():
    found = ask(
        url_parts, "/items/%37?token=a%20b&c", client={"base_url": "https://Example.com:8443"}
    )
    assert found == [
        "https://example.com:8443/items/%37?token=a%20b&c",
        "https",
        "example.com",
        8443,
        "/items/%37",
        "token=a%20b&c",
    ]


def test_the_url_of_an_ipv6_host_is_read():
    found = ask(url_parts, client={"base_url": "http://[::1]:80"})
    assert found[:4] == ["http://[::1]:80/items/7", "http", "[::1]", 80]


def test_the_urls_scheme_is_what_a_trusted_proxy_says():
    headers = {"X-Forwarded-Proto": "https"}
    assert ask(lambda request: request.url.scheme, headers=headers) == "http"
    config = {"trusted_proxies": ["127.0.0.1"]}
    assert ask(lambda request: request.url.scheme, headers=headers, config=config) == "https"


def test_the_root_path_is_part_of_the_url_and_not_of_the_path():
    config = {"root_path": "/api/v1"}
    found = ask(lambda request: [request.url.path, request.path], config=config)
    assert found == ["/api/v1/items/7", "/items/7"]


def test_urls_compare_with_text_and_show_no_query():
    def look(request):
        url = request.url
        return [
            url == str(url),
            url == request.url,
            url != "http://elsewhere/",
            url == 7,
            {url: 1}[str(url)],
            repr(url),
        ]

    found = ask(look, "/items/7?token=s3cr3t")
    assert found == [True, True, True, False, 1, "URL('http://testserver/items/7')"]


def test_headers_know_no_case_and_keep_every_line():
    def look(request):
        headers = request.headers
        return [
            headers["x-token"],
            headers.get("X-TOKEN"),
            headers.get("absent"),
            headers.get("absent", "default"),
            headers.getlist("X-Token"),
            "X-token" in headers,
            "absent" in headers,
            7 in headers,
            list(headers.keys()),
            list(headers),
            len(headers),
            list(headers.values()),
            list(headers.items()),
            headers.multi_items(),
            isinstance(headers, Mapping),
            dict(headers),
            repr(headers),
        ]

    found = ask(look, headers=[("X-Token", "s3cr3t"), ("x-token", "two"), ("Accept", "a")])
    names = ["host", "x-token", "accept"]
    first = [["host", "testserver"], ["x-token", "s3cr3t"], ["accept", "a"]]
    assert found == [
        "s3cr3t",
        "s3cr3t",
        None,
        "default",
        ["s3cr3t", "two"],
        True,
        False,
        False,
        names,
        names,
        3,
        ["testserver", "s3cr3t", "a"],
        first,
        [*first[:2], ["x-token", "two"], first[2]],
        True,
        dict(first),
        'Headers(["host", "x-token", "accept"])',
    ]


def test_a_header_that_is_absent_is_a_key_error():
    def look(request):
        with pytest.raises(KeyError):
            request.headers["absent"]
        return True

    assert ask(look)


def test_query_fields_are_decoded_and_doubled_ones_kept():
    def look(request):
        query = request.query_params
        return [
            query["a"],
            query.get("b"),
            query.get("c"),
            query.get("c", "d"),
            query.getlist("a"),
            query.getlist("c"),
            "a" in query,
            "c" in query,
            list(query.keys()),
            list(query),
            len(query),
            list(query.values()),
            list(query.items()),
            query.multi_items(),
            dict(query),
            isinstance(query, Mapping),
            repr(query),
        ]

    found = ask(look, "/items/7?a=1%202&b&a=s3cr3t&a=%C3%A9+x")
    first = [["a", "1 2"], ["b", ""]]
    assert found == [
        "1 2",
        "",
        None,
        "d",
        ["1 2", "s3cr3t", "é x"],
        [],
        True,
        False,
        ["a", "b"],
        ["a", "b"],
        2,
        ["1 2", ""],
        first,
        [["a", "1 2"], ["b", ""], ["a", "s3cr3t"], ["a", "é x"]],
        dict(first),
        True,
        'Params(["a", "b"])',
    ]


@pytest.mark.parametrize("query", ["a=%", "a=%zz", "a=%ff", "&".join("a" * 1001)])
def test_a_query_that_cannot_be_read_is_400_once_it_is_asked_for(query):
    app = API()

    @app.get("/asked")
    def asked(request):
        return dict(request.query_params)

    @app.get("/not-asked")
    def not_asked(request):
        return request.path

    with TestClient(app) as client:
        response = client.get(f"/asked?{query}")
        assert response.status_code == 400
        assert response.json()["type"].startswith("urn:apifrom:problem:urlencoded_")
        assert response.headers["cache-control"] == "no-store"
        assert client.get(f"/not-asked?{query}").status_code == 200


def test_cookies_are_read_and_doubled_ones_left_out():
    headers = [("Cookie", "a=1; b=2; sid=x"), ("Cookie", 'sid=y; c="3"; A=4; d=e=f; =g; h')]
    found = ask(lambda request: request.cookies, headers=headers)
    assert found == {"a": "1", "b": "2", "c": '"3"', "A": "4", "d": "e=f"}


def test_the_client_is_the_peer_or_whom_a_trusted_proxy_named():
    def look(request):
        return [request.client.host, request.client.port, repr(request.client)]

    headers = {"X-Forwarded-For": "203.0.113.7"}
    client = {"client": ("192.0.2.1", 4711)}
    assert ask(look, headers=headers, client=client) == [
        "192.0.2.1",
        4711,
        "Client(192.0.2.1, 4711)",
    ]
    config = {"trusted_proxies": ["192.0.2.1"]}
    found = ask(look, headers=headers, client=client, config=config)
    assert found[:2] == ["203.0.113.7", 0]


def test_the_request_id_is_that_of_the_answer():
    app = API()

    @app.get("/")
    def handler(request):
        return request.request_id

    with TestClient(app) as client:
        response = client.get("/")
    assert response.text == response.headers["x-request-id"]


def test_the_state_has_what_was_set_and_nothing_else():
    def look(request):
        state = request.state
        found = [hasattr(state, "user"), getattr(state, "user", "nobody")]
        state.user = "Ada"
        found += [hasattr(request.state, "user"), request.state.user]
        del request.state.user
        found.append(hasattr(request.state, "user"))
        with pytest.raises(AttributeError):
            _ = request.state.user
        return found

    assert ask(look) == [False, "nobody", True, "Ada", False]


def test_the_state_is_the_requests_own():
    app = API()

    @app.get("/")
    def handler(request):
        before = hasattr(request.state, "seen")
        request.state.seen = True
        return before

    with TestClient(app) as client:
        assert [client.get("/").json() for _ in range(3)] == [False] * 3


def test_the_repr_shows_method_and_path_alone():
    def look(request):
        request.state.token = "s3cr3t"
        return repr(request) + repr(request.state)

    found = ask(look, "/items/7?token=s3cr3t", headers={"Authorization": "s3cr3t"})
    assert found.startswith("<SyncRequest GET /items/7>")
    assert "s3cr3t" not in found


def test_nothing_of_a_request_can_be_set():
    def look(request):
        for name in ("method", "path", "url", "headers", "state", "client", "anything"):
            with pytest.raises(AttributeError):
                setattr(request, name, "x")
        return True

    assert ask(look)


def test_a_request_may_outlive_its_handler():
    app = API()
    kept = []

    @app.post("/items/{item_id}")
    def handler(request):
        kept.append((request, request.headers, request.state))
        request.state.user = "Ada"

    with TestClient(app) as client:
        client.post("/items/7?a=1", json={"b": 2}, headers={"X-A": "3"})
    [(request, headers, state)] = kept
    assert (request.method, request.path, request.query_params["a"]) == ("POST", "/items/7", "1")
    assert request.json() == {"b": 2}
    assert (headers["x-a"], state.user, request.path_params) == ("3", "Ada", {"item_id": "7"})


def test_a_request_that_its_state_points_back_to_is_collected():
    class Marked:
        pass

    app = API()
    gone = []

    @app.get("/")
    def handler(request):
        marked = Marked()
        gone.append(weakref.ref(marked))
        request.state.request = request
        request.state.marked = marked
        return "ok"

    with TestClient(app) as client:
        assert client.get("/").text == "ok"
    gc.collect()
    assert gone[0]() is None


def test_a_request_is_collected_whose_state_has_its_parts():
    class Marked:
        pass

    app = API()
    gone = []

    @app.post("/")
    async def handler(request: Request):
        marked = Marked()
        gone.append(weakref.ref(marked))
        state = request.state
        state.marked = marked
        if len(gone) == 1:
            state.part = request.headers
        elif len(gone) == 2:
            state.part = request.body()
        else:
            state.part = request.stream()
        return "ok"

    with TestClient(app) as client:
        for _ in range(3):
            assert client.post("/", content=b"a").text == "ok"
    gc.collect()
    assert [each() for each in gone] == [None] * 3


def test_a_request_is_made_by_the_engine_alone():
    for kind in (Request, SyncRequest):
        with pytest.raises(TypeError):
            kind()


def test_mappings_are_written_as_json():
    app = API()

    @app.get("/")
    def handler(request):
        return {"query": request.query_params, "headers": request.headers}

    with TestClient(app) as client:
        found = json.loads(client.get("/?a=1").content)
    assert found == {"query": {"a": "1"}, "headers": {"host": "testserver"}}
