"""Compiles the validator of a body, strict wherever its types do not say otherwise.

Strictness that Pydantic is given with a call overrules every type. Here it stands in the place of
each type's own configuration, so that `strict=False` of a model, a dataclass or a field counts
wherever it is, and of a model for itself alone.
"""

from __future__ import annotations

from typing import Any, Final

from apifrom import _email

_CONFIGURED: Final = frozenset({"model", "dataclass", "typed-dict"})


def compiled(annotation: Any, adapter: Any) -> tuple[bool, Any]:
    """Compiles the schema of a `TypeAdapter` anew.

    Args:
        annotation: The type of the body.
        adapter: Its adapter.

    Returns:
        Whether each call must demand strictness, and the validator.
    """
    from pydantic_core import SchemaValidator  # noqa: PLC0415 - only where it is in use

    # Anything else is a plugin's or still waits for a type; neither may be passed by.
    if type(adapter.validator) is not SchemaValidator:
        config = getattr(annotation, "model_config", None)
        return not (isinstance(config, dict) and config.get("strict") is False), adapter.validator
    schema = _email.replaced(annotation, _strict(adapter.core_schema))
    try:
        # Otherwise a model within the model would keep the validator that it has.
        return False, SchemaValidator(schema, {"strict": True}, _use_prebuilt=False)
    except TypeError:
        return False, SchemaValidator(schema, {"strict": True})


def _strict(schema: Any) -> Any:
    """A copy of the schema in which every type with a configuration of its own is strict."""
    if isinstance(schema, dict):
        kind = schema.get("type")
        # Of what maps fields or tags to schemas no name has a meaning.
        opaque = _email.OPAQUE if isinstance(kind, str) else ()
        made = {name: part if name in opaque else _strict(part) for name, part in schema.items()}
        if isinstance(kind, str) and kind in _CONFIGURED:
            made["config"] = {"strict": True, **(schema.get("config") or {})}
        return made
    if isinstance(schema, (list, tuple)):
        return type(schema)(_strict(member) for member in schema)
    return schema
