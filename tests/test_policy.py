"""Policies: the program's own decision about who was let in."""

import asyncio
from typing import Annotated

import pytest
from pydantic import BaseModel

from apifrom import API, Depends, HTTPException, Router
from apifrom.exceptions import ConfigurationError
from apifrom.middleware import Middleware
from apifrom.security import api_key_required, multi_auth_required
from apifrom.testing import TestClient
from tests.test_asgi import Client

KEYS = {"ada": ["read"], "bob": ["read"]}
ADA = {"X-API-Key": "ada"}
BOB = {"X-API-Key": "bob"}
OWNERS = {1: "ada", 2: "bob"}


class Document:
    def __init__(self, number):
        self.number = number
        self.owner = OWNERS[number]


class Note(BaseModel):
    text: str


def example(policy, hide=False, **options):
    """An API whose handler notes what it was given."""
    app = API()
    app.calls = []

    @app.post("/documents/{document_id}")
    @api_key_required(api_keys=KEYS, policy=policy, hide=hide, **options)
    def handler(document_id: int, note: Note, request):
        app.calls.append((document_id, note.text, request.state.api_key))
        return "noted"

    return app


def of_owner(document_id: int, request) -> bool:
    return OWNERS.get(document_id) == request.state.api_key


async def of_owner_later(document_id: int, request) -> bool:
    await asyncio.sleep(0)
    return OWNERS.get(document_id) == request.state.api_key


@pytest.mark.parametrize("policy", [of_owner, of_owner_later])
@pytest.mark.parametrize("hide", [False, True])
def test_a_policy_lets_pass_or_refuses_before_the_body_is_read(policy, hide, caplog):
    app = example(policy, hide)
    with TestClient(app) as client:
        for _ in range(40):
            answer = client.post("/documents/1", json={"text": "a"}, headers=ADA)
            assert answer.text == "noted"
        assert app.calls == [(1, "a", "ada")] * 40
        # The body would be refused as well, and is not looked at.
        refused = client.post("/documents/2", content=b"{", headers=ADA)
        assert refused.status_code == (404 if hide else 403)
        if hide:
            nothing = client.post("/nowhere")
            same = {"type", "title", "status", "detail"}
            assert {k: v for k, v in refused.json().items() if k in same} == {
                k: v for k, v in nothing.json().items() if k in same
            }
            assert refused.headers.keys() == nothing.headers.keys()
        # Whoever is unknown is not asked about, and what does not convert is not either.
        assert client.post("/documents/1", json={"text": "a"}).status_code == 401
        assert client.post("/documents/x", json={"text": "a"}, headers=ADA).status_code == 422
        assert client.post("/documents/1", json={}, headers=ADA).status_code == 422
    assert len(app.calls) == 40
    denied = [record for record in caplog.records if record.name == "apifrom.security"]
    assert "authorization_denied" in {record.event for record in denied}


def test_a_policy_that_fails_refuses_and_is_in_the_log(caplog):
    def fails(request) -> bool:
        raise RuntimeError("no database")

    app = example(fails)
    with TestClient(app) as client:
        refused = client.post("/documents/1", json={"text": "a"}, headers=ADA)
    assert refused.status_code == 403
    assert "database" not in refused.text
    assert "failed and was answered 403: RuntimeError: no database" in caplog.text
    assert [record.status for record in caplog.records if record.name == "apifrom"] == [403]
    assert app.calls == []


def test_a_policy_that_fails_hides_what_a_denial_would_hide(caplog):
    def of_known_owner(document_id: int, request) -> bool:
        return OWNERS[document_id] == request.state.api_key

    same = {"type", "title", "status", "detail"}
    with TestClient(example(of_known_owner, hide=True)) as client:
        answers = [
            client.post("/documents/2", json={"text": "a"}, headers=ADA),
            client.post("/documents/3", json={"text": "a"}, headers=ADA),
            client.post("/nowhere", json={"text": "a"}, headers=ADA),
        ]
    assert [answer.status_code for answer in answers] == [404] * 3
    shown = [{name: answer.json()[name] for name in same} for answer in answers]
    assert shown == [shown[0]] * 3
    assert len({tuple(answer.headers) for answer in answers}) == 1
    assert "failed and was answered 404: KeyError: 3" in caplog.text


def test_where_one_of_several_policies_hides_no_failure_shows_what_is_there():
    def fails(request) -> bool:
        raise RuntimeError("no database")

    app = API()

    @app.get("/documents/{document_id}")
    @api_key_required(api_keys=KEYS, policy=fails)
    @api_key_required(api_keys=KEYS, policy=of_owner, hide=True, name="owner")
    def handler(document_id: int, request):
        return "read"

    with TestClient(app) as client:
        assert client.get("/documents/1", headers=ADA).status_code == 404


@pytest.mark.parametrize("value", [1, "yes", None, [], object(), asyncio.sleep])
def test_only_true_lets_pass(value, caplog):
    app = example(lambda request: value)
    with TestClient(app) as client:
        refused = client.post("/documents/1", json={"text": "a"}, headers=ADA)
    assert refused.status_code == 403
    assert "must return True or False" in caplog.text
    assert app.calls == []


def test_a_policy_that_forgets_to_wait_lets_nobody_pass(caplog):
    def forgets(request) -> bool:
        coroutine = of_owner_later(1, request)
        coroutine.close()
        return coroutine

    app = example(forgets)
    with TestClient(app) as client:
        assert client.post("/documents/1", json={"text": "a"}, headers=ADA).status_code == 403
    assert app.calls == []


def test_an_answer_of_the_policys_own_is_answered():
    def gone(request) -> bool:
        raise HTTPException(410, "moved away", {"X-Why": "policy"})

    app = example(gone)
    with TestClient(app) as client:
        answer = client.post("/documents/1", json={"text": "a"}, headers=ADA)
    assert (answer.status_code, answer.headers["x-why"]) == (410, "policy")
    assert app.calls == []


@pytest.mark.parametrize("is_async", [False, True])
def test_the_handler_is_given_what_the_policy_loaded(is_async):
    loaded = []

    if is_async:

        async def load(document_id: int) -> Document:
            await asyncio.sleep(0)
            loaded.append(Document(document_id))
            return loaded[-1]
    else:

        def load(document_id: int) -> Document:
            loaded.append(Document(document_id))
            return loaded[-1]

    def owns(document: Annotated[Document, Depends(load)], request) -> bool:
        request.state.checked = document
        return document.owner == request.state.api_key

    def again(document: Annotated[Document, Depends(load)]) -> Document:
        return document

    app = API()

    @app.get("/documents/{document_id}")
    @api_key_required(api_keys=KEYS, policy=owns)
    async def handler(
        document: Annotated[Document, Depends(load)],
        same: Annotated[Document, Depends(again)],
        request,
        page: int = 1,
    ):
        assert document is same is request.state.checked is loaded[-1]
        return [document.number, page]

    with TestClient(app) as client:
        for number in range(40):
            answer = client.get(f"/documents/1?page={number}", headers=ADA)
            assert answer.json() == [1, number]
        assert len(loaded) == 40
        assert client.get("/documents/1", headers=BOB).status_code == 403
        assert len(loaded) == 41


def test_several_policies_are_asked_in_their_order_and_load_once():
    asked = []

    def load(document_id: int) -> Document:
        asked.append("load")
        return Document(document_id)

    def first(document: Annotated[Document, Depends(load)]) -> bool:
        asked.append("first")
        return document.number == 1

    def second(document: Annotated[Document, Depends(load)], allow: bool = True) -> bool:
        asked.append("second")
        return allow

    app = API(auth=api_key_required(api_keys=KEYS, policy=first))
    router = Router("/r", auth=api_key_required({"x": []}, header_name="X-Other", name="other"))

    @router.get("/documents/{document_id}")
    @multi_auth_required([api_key_required(KEYS, name="third")], policy=second, hide=True)
    def handler(document: Annotated[Document, Depends(load)]):
        asked.append("handler")
        return document.number

    app.router(router)
    headers = {**ADA, "X-Other": "x"}
    with TestClient(app) as client:
        assert client.get("/r/documents/1", headers=headers).json() == 1
        assert asked == ["load", "first", "second", "handler"]
        asked.clear()
        assert client.get("/r/documents/2", headers=headers).status_code == 403
        assert asked == ["load", "first"]
        asked.clear()
        refused = client.get("/r/documents/1?allow=false", headers=headers)
        assert refused.status_code == 404
        assert asked == ["load", "first", "second"]


def test_a_policy_sees_no_body(caplog):
    async def reads(request) -> bool:
        await request.body()
        return True

    app = example(reads)
    with TestClient(app) as client:
        assert client.post("/documents/1", json={"text": "a"}, headers=ADA).status_code != 200
    assert app.calls == []


def test_middleware_comes_after_the_policy_and_shares_its_state():
    seen = []

    def marks(request) -> bool:
        request.state.mark = "policy"
        return request.state.api_key == "ada"

    class Sees(Middleware):
        async def around(self, request, call_next):
            seen.append(request.state.mark)
            return await call_next(request)

    app = example(marks)
    app.add_middleware(Sees())
    with TestClient(app) as client:
        assert client.post("/documents/1", json={"text": "a"}, headers=BOB).status_code == 403
        assert seen == []
        assert client.post("/documents/1", json={"text": "a"}, headers=ADA).text == "noted"
    assert seen == ["policy"]


def test_the_same_holds_under_a_foreign_server():
    app = example(of_owner_later)
    length = [(b"content-length", b"12"), (b"content-type", b"application/json")]

    async def ask(key):
        headers = [*length, (b"x-api-key", key)]
        return await Client(app, "POST", "/documents/1", headers, [b'{"text":"a"}']).ask()

    async def main():
        assert (await ask(b"ada")).content == b"noted"
        assert (await ask(b"bob")).status == 403

    asyncio.run(main())
    assert app.calls == [(1, "a", "ada")]


def yields(request):
    yield True


def wants_the_body(note: Note) -> bool:
    return True


def cannot_be_bound(anything) -> bool:
    return True


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (yields, "yields"),
        (wants_the_body, "asks for the body (note)"),
        (cannot_be_bound, "anything"),
    ],
)
def test_a_policy_that_cannot_be_asked_is_an_error_at_the_start(policy, message):
    app = example(policy)
    with pytest.raises(ConfigurationError) as raised:
        app.freeze()
    assert message in str(raised.value)


def test_a_policy_where_it_would_not_hold_is_refused_at_once():
    with pytest.raises(TypeError, match="expected a function"):
        api_key_required(api_keys=KEYS, policy=True)
    with pytest.raises(TypeError, match="hides what policy= denies"):
        api_key_required(api_keys=KEYS, hide=True)
    with pytest.raises(TypeError, match="give it to the outer one"):
        multi_auth_required([api_key_required(api_keys=KEYS, policy=of_owner)])
