"""Which Python values JSON can express, and how."""

import collections
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import json
import math
import pathlib
import random
import re
import types
import uuid

import pydantic
import pydantic_core
import pytest

from apifrom.responses import JSONResponse


def written(value):
    return JSONResponse(value).body.decode()


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Name(str, enum.Enum):  # noqa: UP042 - the older form is what is tested
    ADA = "ada"


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Address:
    street: str
    kind: dataclasses.InitVar[str] = "home"


@dataclasses.dataclass(slots=True)
class User:
    id: int
    addresses: list[Address] = dataclasses.field(default_factory=list)


class Item(pydantic.BaseModel):
    item_id: int = pydantic.Field(alias="itemId")
    at: datetime.datetime = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (2**64, "18446744073709551616"),
        (10**100, "1" + "0" * 100),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (1e16, "1e+16"),
        (5e-324, "5e-324"),
        ("", '""'),
        ("é😀\u2028", '"é😀\u2028"'),
        ('a"b\\c/\b\f\n\r\t\x00\x1f\x7f', '"a\\"b\\\\c/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f"'),
        ([], "[]"),
        ({}, "{}"),
        ((1, (2,)), "[1,[2]]"),
        (Point(1, 2), "[1,2]"),
        ({"a": [1, {"b": None}]}, '{"a":[1,{"b":null}]}'),
        ({1}, "[1]"),
        (frozenset({2}), "[2]"),
        (collections.deque([1, 2]), "[1,2]"),
        (range(3), "[0,1,2]"),
        (collections.OrderedDict(a=1), '{"a":1}'),
        (types.MappingProxyType({"a": 1}), '{"a":1}'),
        (collections.UserDict({"a": 1}), '{"a":1}'),
        (collections.UserString("text"), '"text"'),
        (b"caf\xc3\xa9", '"café"'),
        (bytearray(b"ab"), '"ab"'),
        (memoryview(b"ab"), '"ab"'),
        (Colour.RED, '"red"'),
        (Level.HIGH, "3"),
        (Name.ADA, '"ada"'),
        (User(1, [Address("Elm", "work")]), '{"id":1,"addresses":[{"street":"Elm"}]}'),
        (Item(itemId=1), '{"itemId":1,"at":"2026-01-02T00:00:00Z"}'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), '"2026-01-02T03:04:05"'),  # noqa: DTZ001
        (datetime.time(1, 2, 3), '"01:02:03"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (decimal.Decimal("1.10"), '"1.10"'),
        (ipaddress.ip_address("::1"), '"::1"'),
        (ipaddress.ip_network("10.0.0.0/8"), '"10.0.0.0/8"'),
        (pathlib.PurePosixPath("/a/b"), '"/a/b"'),
        (pydantic.AnyUrl("https://example.com/a"), '"https://example.com/a"'),
        ({1: 1, 1.5: 2, None: 3, Colour.RED: 4}, '{"1":1,"1.5":2,"null":3,"red":4}'),
        ({True: 0, False: 1, Level.HIGH: 2, Name.ADA: 3}, '{"true":0,"false":1,"3":2,"ada":3}'),
    ],
)
def test_a_value_is_written_as_documented(value, text):
    assert written(value) == text


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
        datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.timezone(datetime.timedelta(hours=-5))),
        datetime.time(1, 2, 3, 4, datetime.UTC),
        datetime.timedelta(0),
        datetime.timedelta(days=1, hours=2, minutes=3, seconds=4, microseconds=50),
        datetime.timedelta(seconds=-1),
        datetime.timedelta(days=400, microseconds=120000),
        datetime.timedelta(days=-365),
        datetime.timedelta.min,
        datetime.timedelta.max,
        decimal.Decimal("1E+5"),
        decimal.Decimal("NaN"),
    ],
)
def test_times_and_decimals_are_written_as_pydantic_writes_them(value):
    assert written(value).encode() == pydantic_core.to_json(value)


def test_random_values_read_back_the_same():
    chance = random.Random(1)

    def text():
        ranges = [(0, 32), (32, 128), (34, 35), (92, 93), (0x80, 0xD800), (0xE000, 0x110000)]
        return "".join(
            chr(chance.randrange(*chance.choice(ranges))) if chance.random() < 0.3 else "x"
            for _ in range(chance.randrange(40))
        )

    def value(depth):
        match chance.randrange(7 if depth else 5):
            case 0:
                return chance.randrange(-(2**70), 2**70)
            case 1:
                return chance.uniform(-1, 1) * 10 ** chance.randrange(-300, 300)
            case 2 | 3:
                return text()
            case 4:
                return chance.choice([True, False, None])
            case 5:
                return [value(depth - 1) for _ in range(chance.randrange(5))]
            case _:
                return {
                    f"{index}{text()}": value(depth - 1) for index in range(chance.randrange(5))
                }

    for _ in range(3000):
        made = value(4)
        assert json.loads(written(made)) == made


class Opaque:
    pass


def looped():
    loop = []
    loop.append(loop)
    return loop


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (Opaque(), TypeError, r"type .*Opaque cannot be written as JSON \(at \$\)"),
        ({"users": [1, {"a photo": Opaque()}]}, TypeError, r'\(at \$\.users\[1\]\["a photo"\]\)'),
        (User(1, [Opaque()]), TypeError, r"\(at \$\.addresses\[0\]\)"),
        ([math.nan], ValueError, r"nan is a float that JSON has no form for \(at \$\[0\]\)"),
        (math.inf, ValueError, "infinity"),
        ({math.nan: 1}, ValueError, "nan"),
        ("\ud800", ValueError, "half of a surrogate pair"),
        ({"\ud800": 1}, ValueError, "half of a surrogate pair"),
        (b"\xff", ValueError, "not UTF-8"),
        ({(1, 2): 3}, TypeError, "a key of type tuple"),
        ({b"a": 1}, TypeError, "a key of type bytes"),
        ({1: 1, "1": 2}, ValueError, r"two keys are the same text in JSON \(at \$\.1\)"),
        ({None: 1, "null": 2}, ValueError, "two keys"),
        (looped(), ValueError, "deeper than 128 levels, or holds itself"),
        (nested(129), ValueError, "deeper than 128 levels"),
        ([10**5000], ValueError, "4300 digits"),
        ((piece for piece in "ab"), TypeError, "type generator"),
        (object, TypeError, "type type"),
        (1j, TypeError, "type complex"),
    ],
)
def test_what_json_cannot_express_is_an_error_that_names_the_place(value, kind, message):
    with pytest.raises(kind, match=message):
        JSONResponse(value)


def test_the_deepest_value_that_is_allowed_is_written():
    assert written(nested(128)) == "[" * 128 + "1" + "]" * 128


def test_a_long_name_is_cut_in_the_message():
    with pytest.raises(TypeError) as caught:
        JSONResponse({"k" * 1000: Opaque()})
    assert "k" * 64 in str(caught.value)
    assert "k" * 65 not in str(caught.value)


def test_a_dictionary_that_changes_while_it_is_written_is_an_error_and_no_crash():
    table = {}

    @dataclasses.dataclass
    class Sly:
        name: str = "sly"

        def __getattribute__(self, name):
            if name == "name":
                table[len(table)] = 1
            return super().__getattribute__(name)

    table["sly"] = Sly()
    table["after"] = 1
    with pytest.raises(ValueError, match="changed while it was written"):
        JSONResponse(table)


def test_what_python_code_of_a_value_raises_is_passed_on():
    class Failing(datetime.date):
        def isoformat(self):
            raise LookupError("calendar")

    with pytest.raises(LookupError, match="calendar"):
        JSONResponse([Failing(2026, 1, 1)])


def test_a_secret_of_pydantic_stays_hidden():
    class Account(pydantic.BaseModel):
        password: pydantic.SecretStr

    assert written(Account(password="hunter2")) == '{"password":"**********"}'
    assert "hunter2" not in written({"account": Account(password="hunter2")})


def test_more_classes_than_are_kept_are_written_alike():
    for index in range(1100):
        kind = dataclasses.make_dataclass(f"Row{index}", ["value"])
        assert re.fullmatch(r'\{"value":\d+\}', written(kind(index)))
