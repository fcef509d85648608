"""What a text becomes, which bounds it keeps, and which declarations can never be kept."""

from __future__ import annotations

import datetime
import decimal
import enum
import logging
import uuid
from typing import Annotated, Any, Literal, NewType

import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from apifrom import API, Body, ConfigurationError, Cookie, Depends, Form, Header, Query
from apifrom.testing import TestClient

ID = "12345678-1234-5678-1234-567812345678"


class Colour(enum.Enum):
    RED = "red"
    THREE = 3


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.Enum):
    YES = "yes"

    @classmethod
    def _missing_(cls, value: object) -> Word | None:
        return cls.YES if value == "y" else None


Number = NewType("Number", int)


def taking(annotation, *, path="/", method="GET"):
    """An API whose one endpoint shows what it was given."""
    app = API()

    def show(v: Any) -> dict:
        return {"r": repr(v)}

    show.__annotations__["v"] = annotation
    app.api(path, method)(show)
    return app


def answered(annotation, query):
    """What was read, or where and why it was refused."""
    with TestClient(taking(annotation)) as client:
        answer = client.get(f"/?{query}")
    if answer.status_code == 200:
        return answer.json()["r"]
    assert answer.status_code == 422
    return [(*error["loc"][2:], error["type"]) for error in answer.json()["errors"]]


def problem(app):
    with pytest.raises(ConfigurationError) as found:
        app.freeze()
    ((_, message),) = found.value.errors
    return message


# Sources


@pytest.mark.parametrize("function", [None, "current_user", 7])
def test_what_cannot_be_called_is_no_dependency_and_never_a_query_parameter(function):
    app = API()

    @app.get("/me")
    def me(user: str = Depends(function)) -> dict:
        return {"user": user}

    message = problem(app)
    assert "'user'" in message
    assert "cannot be called" in message
    assert "Depends(" in message


@pytest.mark.parametrize(
    "annotation", [Annotated[str, Depends], Annotated[str, Depends(None)]], ids=str
)
def test_a_dependency_on_nothing_is_no_query_parameter(annotation):
    assert "Depends(…)" in problem(taking(annotation))


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[str, Depends(str.upper)] | None,
        list[Annotated[int, Query(ge=1)]],
        Annotated[Annotated[int, Header(ge=1)] | None, Query()],
    ],
    ids=str,
)
def test_a_marker_inside_a_type_is_an_error_at_the_start(annotation):
    message = problem(taking(annotation))
    assert "'v' has " in message
    assert "around the whole" in message


def test_the_class_of_a_marker_as_a_default_is_the_marker():
    app = API()

    @app.get("/")
    def show(token: str = Header) -> str:
        return token

    with TestClient(app) as client:
        assert client.get("/", headers={"Token": "t"}).text == "t"
        assert client.get("/?token=t").status_code == 422


@pytest.mark.parametrize(
    "marker",
    [
        Header(alias="bad name"),
        Header(alias="X-A:"),
        Header(alias="é"),
        Cookie(alias="bad name;"),
        Cookie(alias="a=b"),
        Cookie(alias='"a"'),
    ],
    ids=str,
)
def test_a_name_that_cannot_be_sent_is_an_error_at_the_start(marker):
    message = problem(taking(Annotated[str, marker]))
    assert '"v"' in message
    assert "cannot be sent" in message


@pytest.mark.parametrize("marker", [Header(alias="X-A_b.1"), Cookie(alias="__Host-a!")], ids=str)
def test_a_token_is_a_name(marker):
    taking(Annotated[str, marker]).freeze()


# Bounds


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[list[int], Query(max_length=2, min_length=2)],
        Annotated[list[int], Field(max_length=2, min_length=2)],
        Annotated[list[str], Query(max_length=2, min_length=2)],
        Annotated[list[Number], Query(max_length=2, min_length=2)],
        Annotated[list[decimal.Decimal] | None, Query(max_length=2, min_length=2)],
        Annotated[set[int], Query(max_length=2, min_length=2)],
        Annotated[frozenset[str], Field(max_length=2, min_length=2)],
    ],
    ids=str,
)
def test_the_lengths_of_a_list_count_its_items(annotation):
    assert answered(annotation, "v=111&v=222") not in ([("too_short",)], [("too_long",)])
    assert answered(annotation, "v=111") == [("too_short",)]
    assert answered(annotation, "v=111&v=222&v=333") == [("too_long",)]


def test_a_list_of_wrong_length_is_told_in_the_words_of_lists():
    bounded = Annotated[list[int], Query(min_length=2, max_length=2)]
    with TestClient(taking(bounded)) as client:
        short = client.get("/?v=1").json()["errors"]
        long = client.get("/?v=1&v=2&v=3").json()["errors"]
    assert short == [
        {"loc": ["query", "v"], "type": "too_short", "msg": "must have at least 2 items"}
    ]
    assert long == [{"loc": ["query", "v"], "type": "too_long", "msg": "must have at most 2 items"}]


@pytest.mark.parametrize("item", [int, Number, decimal.Decimal], ids=str)
def test_the_other_bounds_of_a_list_are_those_of_its_items(item):
    annotation = Annotated[list[item], Query(ge=1, max_length=2)]
    assert answered(annotation, "v=1&v=0") == [(1, "greater_than_equal")]
    assert answered(Annotated[list[str], Query(pattern="^a")], "v=a&v=b") == [
        (1, "string_pattern_mismatch")
    ]


def test_a_list_in_a_header_and_in_a_form_is_bounded_alike():
    app = API()

    @app.post("/")
    def show(
        x_id: Annotated[list[uuid.UUID], Header(max_length=1)],
        tag: Annotated[list[str], Form(max_length=1)],
    ) -> int:
        return len(x_id) + len(tag)

    with TestClient(app) as client:
        one = {"X-Id": ID}
        assert client.post("/", headers=one, data={"tag": "long"}).text == "2"
        two = [("X-Id", ID), ("X-Id", ID)]
        refused = client.post("/", headers=two, data=[("tag", "a"), ("tag", "b")]).json()
    places = {(*error["loc"], error["type"]) for error in refused["errors"]}
    assert places == {("header", "x-id", "too_long"), ("form", "tag", "too_long")}


@pytest.mark.parametrize(
    ("annotation", "bound", "advice"),
    [
        (Annotated[str, Query(le=100)], "le", "max_length"),
        (Annotated[int, Query(max_length=2)], "max_length", "ge"),
        (Annotated[int, Header(pattern="1")], "pattern", "ge"),
        (Annotated[float | None, Query(min_length=2)], "min_length", "ge"),
        (Annotated[bool, Query(ge=1)], "ge", "remove"),
        (Annotated[uuid.UUID, Query(max_length=2)], "max_length", "remove"),
        (Annotated[Colour, Query(max_length=2)], "max_length", "remove"),
        (Annotated[Level, Query(ge=2)], "ge", "remove"),
        (Annotated[Literal["a"], Query(max_length=2)], "max_length", "remove"),
        (Annotated[datetime.date, Query(ge=3)], "ge", "date"),
        (Annotated[decimal.Decimal, Query(pattern="1")], "pattern", "ge"),
        (Annotated[int | str, Query(ge=1)], "ge", "member"),
        (Annotated[int | str, Field(ge=1)], "ge", "member"),
        (Annotated[str, Field(le=3)], "le", "max_length"),
        (Annotated[list[str], Query(le=3)], "le", "max_length"),
        (Annotated[list[int], Field(ge=1)], "ge", "items"),
        (list[Annotated[int | str, Field(ge=1)]], "ge", "member"),
    ],
    ids=str,
)
def test_a_bound_that_says_nothing_of_the_type_is_an_error_at_the_start(annotation, bound, advice):
    message = problem(taking(annotation))
    assert f"'v' has the bound {bound}, " in message
    assert advice in message


@pytest.mark.parametrize(
    "annotation", [Annotated[int, Body(max_length=2)], Annotated[list[int], Body(ge=1)]], ids=str
)
def test_a_bound_of_a_body_that_says_nothing_of_it_is_an_error_at_the_start(annotation):
    assert "says nothing of" in problem(taking(annotation, method="POST"))


@pytest.mark.parametrize(
    "marker", [Query(ge="a"), Query(ge=True), Query(le=float("inf")), Query(multiple_of=0)], ids=str
)
@pytest.mark.parametrize("kind", [int, decimal.Decimal], ids=str)
def test_what_is_no_bound_is_an_error_at_the_start(kind, marker):
    assert "no bound" in problem(taking(Annotated[kind, marker]))


def test_a_pattern_that_is_none_is_an_error_at_the_start_whoever_asks_it():
    assert "cannot be used" in problem(taking(Annotated[str, Query(pattern="(")]))
    in_pydantic = Annotated[str | Annotated[str, Field(min_length=1)], Query(pattern="(")]
    assert "cannot be used" in problem(taking(in_pydantic))


def test_a_bound_on_what_a_validator_makes_is_kept():
    annotation = Annotated[str, AfterValidator(len), Query(ge=2)]
    assert answered(annotation, "v=abc") == "3"
    assert answered(annotation, "v=a") == [("greater_than_equal",)]


def test_dates_are_bounded_by_dates():
    annotation = Annotated[datetime.date, Field(ge=datetime.date(2020, 1, 1))]
    assert answered(annotation, "v=2020-01-01") == "datetime.date(2020, 1, 1)"
    assert answered(annotation, "v=2019-12-31") == [("greater_than_equal",)]


def test_a_bound_that_pydantic_cannot_apply_puts_no_value_into_the_log(caplog):
    class Model(BaseModel):
        size: Annotated[int | str, Field(ge=1)]

    caplog.set_level(logging.DEBUG)
    with TestClient(taking(Model, method="POST")) as client:
        assert client.post("/", json={"size": "hunter2"}).status_code == 500
    assert "'ge'" in caplog.text
    assert "hunter2" not in caplog.text


# Lists and sets


@pytest.mark.parametrize(
    ("item", "good", "bad", "kind"),
    [
        (uuid.UUID, ID, "x", "uuid_parsing"),
        (datetime.date, "2024-01-02", "x", "date_parsing"),
        (Colour, "red", "x", "enum"),
        (Level, "1", "x", "enum"),
        (decimal.Decimal, "1.5", "x", "decimal_parsing"),
        (Literal["a", 1], "a", "x", "literal_error"),
        (Number, "1", "x", "int_parsing"),
        (Annotated[int, Field(ge=1)], "1", "x", "int_parsing"),
        (int | None, "1", "x", "int_parsing"),
    ],
    ids=str,
)
def test_the_items_of_a_list_are_read_one_by_one(item, good, bad, kind):
    assert answered(list[item], f"v={good}&v={good}").count(", ") >= 1
    assert answered(list[item], f"v={good}&v={bad}") == [(1, kind)]
    assert answered(list[item] | None, f"v={bad}&v={bad}") == [(0, kind), (1, kind)]


def test_the_items_of_a_union_are_read_one_by_one():
    assert answered(list[int | str], "v=1&v=x") == "[1, 'x']"
    assert answered(list[int | uuid.UUID], "v=1&v=x") == [
        (1, "int", "int_parsing"),
        (1, "uuid", "uuid_parsing"),
    ]


def test_sets_are_made_of_what_is_sent():
    assert answered(set[int], "v=1&v=1") == "{1}"
    assert answered(frozenset[Level], "v=2") == "frozenset({<Level.HIGH: 2>})"
    assert answered(set[int], "v=1&v=x") == [(1, "int_parsing")]
    assert answered(Annotated[list[int], AfterValidator(sorted)], "v=2&v=1") == "[1, 2]"


def test_a_set_that_may_be_left_out_has_its_default():
    app = API()

    @app.get("/")
    def show(v: Annotated[frozenset[int], Query()] = frozenset()) -> int:
        return len(v)

    with TestClient(app) as client:
        assert client.get("/").text == "0"


@pytest.mark.parametrize(
    "annotation", [list[list[int]], list[int] | str, set[frozenset[str]]], ids=str
)
def test_what_no_list_of_texts_becomes_is_an_error_at_the_start(annotation):
    assert "no text converts to" in problem(taking(Annotated[annotation, Query()]))


# One spelling


@pytest.mark.parametrize(
    "query", ["v=%201", "v=1%20", "v=1_0", "v=%D9%A1", "v=1.0", "v=1e1", "v=%2B1"]
)
@pytest.mark.parametrize(
    "annotation",
    [
        int,
        Annotated[int, Field(ge=0)],
        Number,
        int | None,
        Annotated[list[int], Field(max_length=9)],
        int | datetime.date,
        Level,
        Literal[1, 10],
    ],
    ids=str,
)
def test_an_integer_has_one_spelling_whatever_stands_around_it(annotation, query):
    refused = answered(annotation, query)
    assert isinstance(refused, list)
    assert refused[0][-1] in {"int_parsing", "enum", "literal_error"}


@pytest.mark.parametrize("text", ["%201", "1_0", "%D9%A1", "1e5", "NaN", "Infinity", ".5", "007"])
def test_a_decimal_has_digits_and_a_fraction(text):
    assert answered(decimal.Decimal, f"v={text}") == [("decimal_parsing",)]
    assert answered(Annotated[decimal.Decimal, Query(ge=0)], f"v={text}") == [("decimal_parsing",)]


def test_a_decimal_keeps_what_was_written():
    assert answered(decimal.Decimal, "v=-1.10") == "Decimal('-1.10')"
    digits = "9" * 4000
    assert answered(decimal.Decimal, f"v={digits}") == f"Decimal('{digits}')"


@pytest.mark.parametrize(
    "text", ["1577923200", "20240102", "-1", "1e9", "2024-1-2", "", "%202024-01-02"]
)
def test_a_number_is_no_date(text):
    assert answered(datetime.date, f"v={text}") == [("date_parsing",)]
    assert answered(datetime.datetime, f"v={text}") == [("datetime_parsing",)]


def test_dates_and_times_are_those_of_iso_8601():
    assert answered(datetime.date, "v=2024-01-02") == "datetime.date(2024, 1, 2)"
    assert "2024, 1, 2, 3, 4, 5" in answered(datetime.datetime, "v=2024-01-02T03:04:05Z")
    assert "2024, 1, 2, 3, 4" in answered(datetime.datetime, "v=2024-01-02%2003:04")
    assert answered(datetime.date, "v=2024-02-30") != "datetime.date(2024, 2, 30)"


def test_a_literal_and_an_enumeration_may_hold_numbers():
    assert answered(Literal[1, 2], "v=2") == "2"
    assert answered(Literal[1, 2], "v=3") == [("literal_error",)]
    assert answered(Literal[True, "other"], "v=true") == "True"
    assert answered(Literal[1, "1"], "v=1") == "'1'"
    assert answered(Level, "v=2") == "<Level.HIGH: 2>"
    assert answered(Colour, "v=3") == "<Colour.THREE: 3>"
    assert answered(Colour, "v=RED") == [("enum",)]


def test_an_enumeration_may_know_more_spellings_than_its_own():
    assert answered(Word, "v=y") == "<Word.YES: 'yes'>"
    assert answered(Word, "v=n") == [("enum",)]


def test_a_union_is_the_first_member_that_takes_the_text():
    assert answered(int | str, "v=1") == "1"
    assert answered(str | int, "v=1") == "'1'"
    assert answered(int | str, "v=%201") == "' 1'"
    assert answered(int | float, "v=1.5") == "1.5"


def test_what_stands_before_the_type_converts_in_its_own_way():
    stripped = Annotated[int, BeforeValidator(str.strip)]
    assert answered(stripped, "v=%201") == "1"


@pytest.mark.parametrize(
    ("annotation", "good", "bad", "kind"),
    [
        (Annotated[int, Field(ge=1, lt=5)], "1", "0", "greater_than_equal"),
        (Annotated[int, Field(ge=1), Query(lt=5)], "4", "5", "less_than"),
        (Annotated[int, Field(ge=1), Query(ge=3)], "3", "2", "greater_than_equal"),
        (Annotated[int | None, Field(multiple_of=3)], "6", "4", "multiple_of"),
        (Annotated[str, Field(max_length=2)], "éé", "ééé", "string_too_long"),
        (Annotated[Number, Field(gt=1.5)], "2", "1", "greater_than"),
        (Annotated[float, Field(le=1)], "1.0", "1.1", "less_than_equal"),
    ],
    ids=str,
)
def test_bounds_hold_whether_the_marker_states_them_or_a_field(annotation, good, bad, kind):
    assert isinstance(answered(annotation, f"v={good}"), str)
    assert answered(annotation, f"v={bad}") == [(kind,)]
