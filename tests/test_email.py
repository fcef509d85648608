"""`EmailStr` fields answer as Pydantic's own validator does, and plain addresses at once."""

import json
import random
from typing import Any

import email_validator
import pytest
from pydantic import BaseModel, EmailStr, ValidationError

from apifrom import API
from apifrom.testing import TestClient


class Contact(BaseModel):
    email: EmailStr


class Person(BaseModel):
    contact: Contact
    others: list[EmailStr] = []
    second: EmailStr | None = None


class Knot(BaseModel):
    email: EmailStr
    next: "Knot | None" = None


class Shouting(EmailStr):
    @classmethod
    def _validate(cls, value: str, /) -> str:
        return value.upper()


class Loud(BaseModel):
    email: Shouting


class Defaulted(BaseModel):
    # Not a schema, however much it looks like one.
    shape: dict[str, Any] = {
        "type": "function-after",
        "function": {"type": "no-info", "function": EmailStr._validate},
        "schema": {"type": "str"},
    }
    email: EmailStr


def answering(model: type[BaseModel]) -> TestClient:
    app = API()

    @app.post("/")
    def take(body: model):
        return body.model_dump(mode="json")

    return TestClient(app)


CORNERS = [
    "ada@example.com",
    "a.b+c_d-e@sub.example.co",
    "a@b.cd",
    "1@2.xy",
    "Ada@Example.COM",
    "POSTMASTER@example.com",
    "postmaster@example.com",
    " ada@example.com ",
    "Ada <ada@example.com>",
    "ada@example.com\n",
    "ada\r@example.com",
    '"a b"@example.com',
    '"ada"@example.com',
    "ada@[127.0.0.1]",
    "ada@example",
    "ada@localhost",
    "ada@a.localhost",
    "ada@notlocalhost",
    "ada@a.notlocalhost",
    "ada@x.test",
    "ada@x.contest",
    "ada@in-addr.arpa",
    "ada@x.local",
    "ada@x.onion",
    "ada@x.invalid",
    "ada@example.c",
    "ada@example.c0",
    "ada@example.0c",
    "ada@example.1",
    "ada@-a.com",
    "ada@a-.com",
    "ada@a--b.com",
    "ada@ab--c.com",
    "ada@xn--bcher-kva.example",
    "ada@axn--b.com",
    "ada@a..com",
    "ada@.a.com",
    "ada@a.com.",
    ".ada@a.com",
    "ada.@a.com",
    "a..da@a.com",
    "a@da@a.com",
    "@a.com",
    "ada@",
    "ada",
    "",
    "ada@a_b.com",
    "ada@bücher.example",
    "düse@example.com",
    "ada@example.com\u0000",
    "ada\u200b@example.com",
    "ada\uff20example.com",
    "a@" + "b" * 63 + ".com",
    "a@" + "b" * 64 + ".com",
    "a" * 64 + "@example.com",
    "a" * 65 + "@example.com",
    "a@" + ".".join(["b" * 60] * 4) + ".com",
    "a@" + ".".join(["b" * 61] * 4) + ".com",
    "a" * 10 + "@" + ".".join(["b" * 59] * 4) + ".com",
    "a" * 11 + "@" + ".".join(["b" * 59] * 4) + ".com",
    "a" * 3000 + "@example.com",
    "a!#$%&'*/=?^`{|}~@example.com",
]


def made_up(seed: int, count: int) -> list[str]:
    """Addresses, most of them nearly plain: one mutation away from one that is."""
    draw = random.Random(seed)
    alphabet = 'ab0-+_.@A xn--\u00fc"<>[]\\'
    tops = ["com", "test", "local", "c0", "xn--p1ai", "arpa", "museum", "a"]
    made = []
    for _ in range(count):
        local = "".join(draw.choices("ab0._-+", k=draw.randint(1, 9)))
        labels = ["".join(draw.choices("ab0-", k=draw.randint(1, 6))) for _ in range(2)]
        address = f"{local}@{'.'.join([*labels, draw.choice(tops)])}"
        if draw.random() < 0.5:
            place = draw.randrange(len(address) + 1)
            address = address[:place] + draw.choice(alphabet) + address[place:]
        made.append(address)
    return made


def by_pydantic(model: type[BaseModel], body: str) -> Any:
    try:
        return model.model_validate_json(body, strict=True).model_dump(mode="json")
    except ValidationError as error:
        return [fault["msg"] for fault in error.errors()]


def agree(client: TestClient, model: type[BaseModel], body: dict[str, Any]):
    text = json.dumps(body)
    answer = client.post("/", content=text, headers={"content-type": "application/json"})
    expected = by_pydantic(model, text)
    if isinstance(expected, list):
        assert answer.status_code == 422, text
        assert len(answer.json()["errors"]) == len(expected), text
    else:
        assert (answer.status_code, answer.json()) == (200, expected), text


def test_each_corner_is_answered_as_pydantic_answers_it():
    with answering(Contact) as client:
        for address in CORNERS:
            agree(client, Contact, {"email": address})


def test_made_up_addresses_are_answered_as_pydantic_answers_them():
    addresses = made_up(seed=7, count=3000)
    valid = [
        a for a in addresses if isinstance(by_pydantic(Contact, json.dumps({"email": a})), dict)
    ]
    assert 200 < len(valid) < 2800, "both kinds are among them"
    with answering(Contact) as client:
        for address in addresses:
            agree(client, Contact, {"email": address})


@pytest.mark.parametrize("bad", ["ada", "ada@x.test", 7, None])
def test_addresses_deep_in_a_model_are_checked(bad: object):
    with answering(Person) as client:
        for body in (
            {"contact": {"email": "ada@example.com"}, "others": ["b@example.com"]},
            {"contact": {"email": bad}},
            {"contact": {"email": "ada@example.com"}, "others": ["b@example.com", bad]},
            {"contact": {"email": "ada@example.com"}, "second": bad},
        ):
            agree(client, Person, body)


def test_a_model_that_holds_itself_is_checked_at_every_depth():
    with answering(Knot) as client:
        agree(client, Knot, {"email": "a@b.com", "next": {"email": "c@d.com", "next": None}})
        agree(client, Knot, {"email": "a@b.com", "next": {"email": "c@d", "next": None}})
        agree(client, Knot, {"email": "A@B.com", "next": {"email": "C@D.com"}})


def test_a_type_of_the_programs_own_is_left_alone():
    with answering(Loud) as client:
        answer = client.post("/", json={"email": "ada@example.com"})
    assert answer.json() == {"email": "ADA@EXAMPLE.COM"}


def test_a_default_that_looks_like_a_schema_is_left_alone():
    seen = []
    app = API()

    @app.post("/")
    def take(body: Defaulted):
        seen.append(body.shape["function"]["function"])
        return {}

    with TestClient(app) as client:
        assert client.post("/", json={"email": "ada@example.com"}).status_code == 200
    assert seen == [EmailStr._validate]


def test_only_addresses_that_are_not_plain_are_asked_about(monkeypatch):
    asked = []
    original = email_validator.validate_email

    def watched(email: str, **options: Any) -> Any:
        asked.append(email)
        return original(email, **options)

    monkeypatch.setattr(email_validator, "validate_email", watched)
    with answering(Person) as client:
        body = {
            "contact": {"email": "ada@example.com"},
            "others": ["b@example.com", "B@example.com"],
        }
        assert client.post("/", json=body).status_code == 200
    assert asked == ["B@example.com"]


def test_a_reserved_domain_that_the_program_adds_later_is_refused(monkeypatch):
    names = list(email_validator.SPECIAL_USE_DOMAIN_NAMES)
    monkeypatch.setattr(email_validator, "SPECIAL_USE_DOMAIN_NAMES", names)
    with answering(Contact) as client:
        assert client.post("/", json={"email": "ada@corp.example"}).status_code == 200
        names.append("corp.example")
        assert client.post("/", json={"email": "ada@corp.example"}).status_code == 422
        assert client.post("/", json={"email": "ada@example.com"}).status_code == 200
