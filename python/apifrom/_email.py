"""A quick yes for plain e-mail addresses, in the place of Pydantic's own check of ``EmailStr``.

email-validator reads an address character by character in Python, which costs several times what
the rest of a model does. Nearly all addresses are of a form that it returns as they are:
:class:`EmailCheck` knows that form and asks Pydantic about every other address, so answers, errors
and normal forms stay those of the installed email-validator.
"""

from __future__ import annotations

import sys
from typing import Any

from apifrom._apifrom import EmailCheck

# Parts of a core schema that hold no schema; a program's own values may be among them.
OPAQUE = frozenset({"config", "default", "expected", "members", "metadata", "serialization"})


def replaced(annotation: Any, schema: Any) -> Any:
    """The schema of a model, with our check of every `EmailStr` in it."""
    if "email_validator" not in sys.modules:
        return schema
    from pydantic import BaseModel  # noqa: PLC0415 - only where Pydantic is in use

    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return schema
    check = _check()
    found = None if check is None else _replace(schema, check)
    return schema if found is None else found


def _check() -> Any:
    import email_validator  # noqa: PLC0415

    reserved = getattr(email_validator, "SPECIAL_USE_DOMAIN_NAMES", None)
    if not isinstance(reserved, list) or not all(isinstance(name, str) for name in reserved):
        return None
    return EmailCheck(_validate(), reserved)


def _replace(schema: Any, check: Any) -> Any:
    """A copy of `schema` with `check` in it; None where there is nothing to replace."""
    if isinstance(schema, dict):
        if _is_email(schema):
            return {**schema, "function": {**schema["function"], "function": check}}
        found = {
            key: replaced
            for key, value in schema.items()
            if key not in OPAQUE and (replaced := _replace(value, check)) is not None
        }
        return {**schema, **found} if found else None
    if isinstance(schema, (list, tuple)):
        members = [_replace(member, check) for member in schema]
        if all(member is None for member in members):
            return None
        return type(schema)(
            old if new is None else new for old, new in zip(schema, members, strict=True)
        )
    return None


def _validate() -> Any:
    """What the schema of an `EmailStr` calls. Type checkers take the class for a plain `str`."""
    from pydantic import EmailStr  # noqa: PLC0415

    return getattr(EmailStr, "_validate", None)


def _is_email(schema: dict[str, Any]) -> bool:
    function = schema.get("function")
    return (
        schema.get("type") == "function-after"
        and isinstance(function, dict)
        and function.get("type") == "no-info"
        and function.get("function") == _validate()
        and schema.get("schema", {}).get("type") == "str"
    )
