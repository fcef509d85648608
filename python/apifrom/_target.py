"""Finds the API that a command line names, as `module:app`."""

from __future__ import annotations

import importlib
import traceback
from pathlib import Path

from apifrom.api import API

__all__ = ["TargetError", "importing", "load"]

importing: str | None = None
"""The module that is being imported for a command, which an `app.run()` in it would hold up."""


class TargetError(Exception):
    """What is wrong with a target, and where."""


def load(target: str) -> API:
    """The API that `target` names.

    Args:
        target: A module and the name of the API in it, `shop.main:app`; without a name it is `app`.

    Raises:
        TargetError: There is no such module, it fails when it is imported, or it has no such API.
    """
    module_name, separator, name = target.partition(":")
    if not module_name or (separator and not name):
        raise TargetError(f"expected module:app, found {target!r}")
    global importing  # noqa: PLW0603 - what runs meanwhile has nothing else in common with this
    importing = module_name
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise TargetError(f"there is no module {error.name} here") from None
        raise TargetError(_failed(module_name, error)) from None
    except Exception as error:  # noqa: BLE001 - the program's own, whatever it is
        raise TargetError(_failed(module_name, error)) from None
    except SystemExit as error:
        raise TargetError(f"{module_name} exits while it is imported: {error}") from None
    finally:
        importing = None
    found: object = module
    for part in (name or "app").split("."):
        found = getattr(found, part, None)
    if isinstance(found, API):
        return found
    if found is None:
        known = sorted(key for key, value in vars(module).items() if isinstance(value, API))
        hint = f"; there is {', '.join(known)}" if known else ""
        raise TargetError(f"{module_name} has no {name or 'app'}{hint}")
    raise TargetError(f"{target} is a {type(found).__name__}, expected an API")


def _failed(module: str, error: BaseException) -> str:
    """The exception and the last line of the program that it came through."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError) and error.filename:
        place = f" ({Path(error.filename).name}:{error.lineno})"
        return f"{module} cannot be imported: {type(error).__name__}: {error.msg}{place}"
    return f"{module} cannot be imported: {type(error).__name__}: {error}{place}"
