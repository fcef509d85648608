"""Bodies are strict, but for the types that say otherwise of themselves."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from typing import Annotated, Literal

import pydantic.dataclasses
import pytest
from pydantic import BaseModel, EmailStr, Field
from typing_extensions import TypedDict

from apifrom import API, Body
from apifrom.testing import TestClient


class Lax(BaseModel):
    model_config = {"strict": False}
    number: int


class Plain(BaseModel):
    number: int


class Loose(BaseModel):
    number: int = Field(strict=False)


class Around(BaseModel):
    lax: Lax
    number: int = 0


class LaxAround(BaseModel):
    model_config = {"strict": False}
    plain: Plain


class Child(Lax):
    other: int = 0


class Tree(BaseModel):
    number: int
    branches: list[Tree] = []


@pydantic.dataclasses.dataclass(config={"strict": False})
class LaxData:
    number: int


@dataclasses.dataclass
class Data:
    number: int


class Typed(TypedDict):
    number: int


class Named(BaseModel):
    config: Plain
    default: Plain


class Tagged(BaseModel):
    kind: Literal["config"]
    plain: Plain


class Other(BaseModel):
    kind: Literal["default"]


class Mail(BaseModel):
    address: EmailStr
    lax: Lax


class Colour(enum.Enum):
    RED = "red"


class Texts(BaseModel):
    day: datetime.date
    key: uuid.UUID
    price: decimal.Decimal
    colour: Colour


def status(annotation, body):
    app = API()

    def take(v) -> None:
        return None

    take.__annotations__["v"] = Annotated[annotation, Body()]
    app.post("/")(take)
    with TestClient(app) as client:
        return client.post("/", json=body).status_code


TEXT = {"number": "1"}


@pytest.mark.parametrize(
    ("annotation", "body"),
    [
        (Lax, TEXT),
        (list[Lax], [TEXT]),
        (dict[str, Lax], {"a": TEXT}),
        (Lax | None, TEXT),
        (Around, {"lax": TEXT}),
        (Child, {"number": "1", "other": "1"}),
        (Loose, TEXT),
        (LaxData, TEXT),
        (Mail, {"address": "a@example.com", "lax": TEXT}),
    ],
    ids=str,
)
def test_what_says_that_it_is_not_strict_is_not_wherever_it_stands(annotation, body):
    assert status(annotation, body) == 204


@pytest.mark.parametrize(
    ("annotation", "body"),
    [
        (Plain, '{"number": ?}'),
        (list[Plain], '[{"number": ?}]'),
        (Data, '{"number": ?}'),
        (list[Data], '[{"number": ?}]'),
        (Typed, '{"number": ?}'),
        (Around, '{"lax": {"number": 1}, "number": ?}'),
        (LaxAround, '{"plain": {"number": ?}}'),
        (Tree, '{"number": 1, "branches": [{"number": ?}]}'),
        (Named, '{"config": {"number": ?}, "default": {"number": 1}}'),
        (Named, '{"config": {"number": 1}, "default": {"number": ?}}'),
        (
            Annotated[Tagged | Other, Field(discriminator="kind")],
            '{"kind": "config", "plain": {"number": ?}}',
        ),
        (int, "?"),
        (dict[str, int], '{"a": ?}'),
        (Plain | int, '{"number": ?}'),
    ],
    ids=str,
)
def test_everything_else_is_strict(annotation, body):
    assert status(annotation, json.loads(body.replace("?", "1"))) == 204
    for other in ('"1"', "1.0", "true"):
        assert status(annotation, json.loads(body.replace("?", other))) == 422


def test_what_json_has_no_type_for_comes_from_strings():
    body = {
        "day": "2024-01-02",
        "key": "12345678-1234-5678-1234-567812345678",
        "price": "1.50",
        "colour": "red",
    }
    assert status(Texts, body) == 204
    assert status(Texts, {**body, "day": 1577923200}) == 422
