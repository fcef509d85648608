"""A return annotation is the response model: it filters the bodies of 2xx answers."""

import dataclasses
import datetime
import decimal
import http
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NewType, Optional, Union

import pydantic
import pytest
from typing_extensions import TypedDict  # Pydantic wants this one before Python 3.12

from apifrom import API, Response
from apifrom.exceptions import ConfigurationError
from apifrom.responses import JSONResponse
from apifrom.testing import TestClient


class UserOut(pydantic.BaseModel):
    name: str


class UserInDb(UserOut):
    password_hash: str = "s3cr3t"


class Unrelated(pydantic.BaseModel):
    name: str = "Ada"
    password_hash: str = "s3cr3t"


class Row:
    def __init__(self):
        self.name = "Ada"
        self.password_hash = "s3cr3t"


@dataclasses.dataclass
class PointOut:
    x: int


@dataclasses.dataclass
class PointInDb(PointOut):
    password_hash: str = "s3cr3t"


class Shape(TypedDict):
    name: str


class Aliased(pydantic.BaseModel):
    item_id: int = pydantic.Field(alias="itemId")


class Team(pydantic.BaseModel):
    members: list[UserOut]


def ask(annotation, value):
    app = API()

    @app.get("/")
    def handler():
        return value

    handler.__annotations__["return"] = annotation
    with TestClient(app) as client:
        return client.get("/")


DICT = {"name": "Ada", "password_hash": "s3cr3t"}


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (UserOut, UserOut(name="Ada"), {"name": "Ada"}),
        (UserOut, UserInDb(name="Ada"), {"name": "Ada"}),
        (UserOut, DICT, {"name": "Ada"}),
        (UserOut, Unrelated(), {"name": "Ada"}),
        (UserOut, Row(), {"name": "Ada"}),
        (list[UserOut], [DICT, UserInDb(name="Bob")], [{"name": "Ada"}, {"name": "Bob"}]),
        (dict[str, UserOut], {"a": DICT}, {"a": {"name": "Ada"}}),
        (Optional[UserOut], DICT, {"name": "Ada"}),  # noqa: UP045
        (UserOut | None, None, None),
        (Union[UserOut, PointOut], PointInDb(1), {"x": 1}),  # noqa: UP007
        (PointOut, PointInDb(1), {"x": 1}),
        (PointOut, {"x": 1, "password_hash": "s3cr3t"}, {"x": 1}),
        (Shape, DICT, {"name": "Ada"}),
        (list[Shape], [DICT], [{"name": "Ada"}]),
        (Annotated[UserOut, "note"], UserInDb(name="Ada"), {"name": "Ada"}),
        (Team, Team(members=[UserInDb(name="Ada")]), {"members": [{"name": "Ada"}]}),
        (Team, Team.model_construct(members=[Unrelated()]), {"members": [{"name": "Ada"}]}),
        (Team, {"members": [Unrelated()]}, {"members": [{"name": "Ada"}]}),
        (Aliased, Aliased(itemId=1), {"itemId": 1}),
        (Aliased, {"itemId": 1, "x": 2}, {"itemId": 1}),
        (tuple[UserOut, int], (DICT, 201), {"name": "Ada"}),
        (tuple[UserOut, http.HTTPStatus, dict[str, str]], (DICT, 201, {}), {"name": "Ada"}),
        (UserOut | Response, DICT, {"name": "Ada"}),
        (UserOut | dict[str, int], {"n": 1}, {"n": 1}),
    ],
)
def test_what_is_not_declared_does_not_leave(annotation, value, expected):
    response = ask(annotation, value)
    assert response.status_code in {200, 201}, response.text
    assert response.json() == expected
    assert b"s3cr3t" not in response.content


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (UserOut, {"password_hash": "s3cr3t"}),
        (UserOut, None),
        (UserOut, "s3cr3t"),
        (UserOut, bytearray(b"s3cr3t")),
        (UserOut, ["s3cr3t"]),
        (UserOut, (DICT,)),
        (list[UserOut], {"a": "s3cr3t"}),
        (Team, Team.model_construct(members=Unrelated())),
        (UserOut, UserOut.model_construct(name=Unrelated())),
        (PointOut, UserInDb(name="Ada")),
        (tuple[UserOut, int], ({"password_hash": "s3cr3t"}, 201)),
    ],
)
def test_a_body_that_does_not_fit_is_500_and_neither_sent_nor_logged(annotation, value, caplog):
    response = ask(annotation, value)
    assert response.status_code == 500
    assert b"s3cr3t" not in response.content
    assert "s3cr3t" not in caplog.text
    assert "handler returned" in caplog.text


def test_the_log_names_the_place_that_does_not_fit(caplog):
    ask(list[UserOut], [{"name": "Ada"}, {"name": 7}])
    assert "handler returned does not fit its annotation: $.1.name (string_type)" in caplog.text


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_only_2xx_bodies_are_filtered(status):
    response = ask(UserOut, ({"error": "no"}, status))
    assert response.status_code == status
    assert response.json() == {"error": "no"}


def test_a_response_passes_as_it_is():
    assert ask(UserOut, JSONResponse(DICT)).json() == DICT


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (dict, DICT),
        (dict[str, Any], DICT),
        (dict[str, str], DICT),
        (Mapping[str, object], DICT),
        (Any, DICT),
        (object, DICT),
        (list[int], [1, 2]),
        (list, ["a"]),
        (datetime.date, datetime.date(2026, 1, 1)),
        (decimal.Decimal, decimal.Decimal("1.5")),
        (Literal["a"], {"not": "checked"}),
        (int | None, 3),
        (NewType("UserId", int), 3),
        (list[dict[str, Any]] | None, [DICT]),
        (UserOut | Any, DICT),
    ],
)
def test_plain_types_filter_nothing(annotation, value):
    response = ask(annotation, value)
    assert response.status_code == 200
    assert response.json() == JSONResponse(value).body.decode() or response.content


@pytest.mark.parametrize(
    ("annotation", "value", "content_type"),
    [
        (str, "text", "text/plain; charset=utf-8"),
        (str | UserOut, "text", "text/plain; charset=utf-8"),
        (bytes, b"octets", "application/octet-stream"),
        (bytes | UserOut, b"octets", "application/octet-stream"),
        (Iterator[str], iter(()), "application/json"),
    ],
)
def test_texts_and_bytes_keep_their_kind(annotation, value, content_type):
    response = ask(annotation, value)
    if response.status_code == 200:
        assert response.headers["content-type"] == content_type
        assert response.content == (value.encode() if isinstance(value, str) else value)
    else:
        assert annotation == Iterator[str]


class Opaque:
    pass


@pytest.mark.parametrize("annotation", [Opaque, list[Opaque], dict[str, Opaque] | None])
def test_an_annotation_that_cannot_be_a_model_is_a_start_up_error(annotation):
    with pytest.raises(ConfigurationError, match="cannot be a response model"):
        ask(annotation, {})


def test_an_aliased_type_is_looked_into():
    typing = pytest.importorskip("typing")
    if not hasattr(typing, "TypeAliasType"):
        pytest.skip("type statements came with Python 3.12")
    alias = typing.TypeAliasType("alias", UserOut | None)
    assert ask(alias, DICT).json() == {"name": "Ada"}
