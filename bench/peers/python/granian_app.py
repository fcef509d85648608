"""The raw Granian contender: RSGI without a framework, routing and JSON by hand.

It is the least that a Python server on a Rust engine can do, and so the floor for ours. The checks
of ``/users`` are the same as everyone's, written out; the e-mail address is matched by a pattern.
"""

import json
import re
from typing import Any

EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
SPECIAL_CHARACTERS = frozenset("!@#$%^&*()_+-=[]{}|;:,.<>?/")
JSON_HEADERS = [("content-type", "application/json")]


def is_strong(password: str) -> bool:
    """Whether a password has upper case, lower case, a digit and a special character."""
    return (
        len(password) >= 8
        and any(character.isupper() for character in password)
        and any(character.islower() for character in password)
        and any(character.isdigit() for character in password)
        and any(character in SPECIAL_CHARACTERS for character in password)
    )


def is_valid(user: Any) -> bool:
    """Whether a decoded body is an acceptable new user."""
    if not isinstance(user, dict):
        return False
    name, email, age, password = (user.get(key) for key in ("name", "email", "age", "password"))
    return (
        isinstance(name, str)
        and 2 <= len(name) <= 50
        and isinstance(email, str)
        and EMAIL.fullmatch(email) is not None
        and type(age) is int
        and 18 <= age <= 120
        and isinstance(password, str)
        and is_strong(password)
    )


async def create_user(protocol: Any) -> None:
    """Answer ``POST /users``."""
    try:
        user = json.loads(await protocol())
    except ValueError:
        protocol.response_empty(400, [])
        return
    if not is_valid(user):
        protocol.response_empty(422, [])
        return
    answer = {"id": 123, "name": user["name"], "email": user["email"], "age": user["age"]}
    protocol.response_str(200, JSON_HEADERS, json.dumps(answer))


async def app(scope: Any, protocol: Any) -> None:
    """Route by hand."""
    path: str = scope.path
    if scope.method == "GET" and path.startswith("/hello/"):
        answer = {"message": f"Hello, {path[7:]}!"}
        protocol.response_str(200, JSON_HEADERS, json.dumps(answer))
    elif scope.method == "POST" and path == "/users":
        await create_user(protocol)
    elif path == "/":
        protocol.response_empty(200, [])
    else:
        protocol.response_empty(404, [])
