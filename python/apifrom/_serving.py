"""The options of `apifrom run` and `apifrom dev`: those of `API.run`, by uvicorn's names."""

from __future__ import annotations

import argparse
import difflib
import ipaddress
import os
from collections.abc import Callable
from typing import Any, Final, NoReturn

from apifrom.server import OPTIONS

__all__ = ["OptionError", "add_options", "is_loopback", "meant", "options"]


class OptionError(Exception):
    """What is wrong with the options, and how to mend it."""


def _number(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a number, found {text!r}") from None
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"expected {least} to {most}, found {found}")
        return found

    return number


def _workers(text: str) -> int | str:
    return text if text == "auto" else _number(1, _MOST)(text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected seconds, found {text!r}") from None
    # Written so that a NaN is refused as well.
    if not 0 <= found <= 1e9:
        raise argparse.ArgumentTypeError(f"expected 0 or more seconds, found {text}")
    return found


class _Refuse(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """A password on the command line would be read by every user of the machine."""
        parser.error(
            "--ssl-keyfile-password would show the password to every user of this machine; put it "
            "into an environment variable (--ssl-keyfile-password-env NAME)"
        )


class _SayWhere(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        _values: object,
        option_string: str | None = None,
    ) -> NoReturn:
        """Says where that is which other servers have under this name."""
        parser.error(f"{option_string} is no option here: {_ELSEWHERE[option_string or '']}")


_MOST: Final = 2**32 - 1
_COUNT: Final[dict[str, Any]] = {"type": _number(1, _MOST), "metavar": "NUMBER"}
_SECONDS: Final[dict[str, Any]] = {"type": _seconds, "metavar": "SECONDS"}
_FILE: Final[dict[str, Any]] = {"metavar": "FILE"}

_KINDS: Final[dict[str, dict[str, Any]]] = {
    "host": {"metavar": "ADDRESS", "default": "127.0.0.1"},
    "port": {"type": _number(0, 65_535), "metavar": "NUMBER", "default": 8000},
    "uds": _FILE,
    "fd": {"type": _number(0, 2**31 - 1), "metavar": "NUMBER"},
    "backlog": _COUNT,
    "workers": {"type": _workers, "metavar": "NUMBER|auto"},
    "access_log": {"action": argparse.BooleanOptionalAction},
    "log_level": {"choices": ("debug", "info", "warning", "error", "critical")},
    "log_format": {"choices": ("text", "json")},
    "ssl_keyfile": _FILE,
    "ssl_certfile": _FILE,
    "ssl_keyfile_password": {"action": _Refuse},
    "limit_connections": _COUNT,
    "limit_connections_per_client": _COUNT,
    "max_head_size": {**_COUNT, "type": _number(1024, _MOST)},
    "max_header_fields": _COUNT,
    "timeout_head": _SECONDS,
    "timeout_body": _SECONDS,
    "timeout_keep_alive": _SECONDS,
    "timeout_write": _SECONDS,
    "timeout_graceful_shutdown": _SECONDS,
}

_PROXIES: Final = "name the proxies that are believed in API(trusted_proxies=[…])"
_ELSEWHERE: Final = {
    "--proxy-headers": _PROXIES,
    "--no-proxy-headers": _PROXIES,
    "--forwarded-allow-ips": _PROXIES,
    "--limit-concurrency": "use --limit-connections",
    "--reload": "apifrom dev serves anew when files change",
}
"""What other servers call otherwise, and where it is here."""

_DEVELOPMENT_GRACE: Final = 3.0
"""Seconds that requests have to end when the program is replaced under `apifrom dev`."""


def add_options(parser: argparse.ArgumentParser, *, development: bool = False) -> None:
    """Adds the target and every option that `API.run` takes.

    Args:
        parser: Of `apifrom run` or `apifrom dev`.
        development: True for the latter, which serves in one process.
    """
    parser.add_argument("target", metavar="MODULE:APP", help="where the API is: shop.main:app")
    for name, about in OPTIONS.items():
        if development and name == "workers":
            continue
        # Where a kind was not foreseen here, it is a text, and the engine judges it.
        kind = dict(_KINDS.get(name, {"metavar": "TEXT"}))
        if "action" not in kind or kind["action"] is not _Refuse:
            kind["help"] = about[0].lower() + about[1:].rstrip(".")
            kind.setdefault("default", None)
        else:
            kind["help"] = argparse.SUPPRESS
        parser.add_argument(_flag(name), dest=name, **kind)
    for name in _ELSEWHERE:
        parser.add_argument(
            name, dest="elsewhere", nargs="?", action=_SayWhere, help=argparse.SUPPRESS
        )
    parser.add_argument(
        "--ssl-keyfile-password-env",
        metavar="NAME",
        help="the variable with what the private key is encrypted with",
    )
    if development:
        parser.set_defaults(timeout_graceful_shutdown=_DEVELOPMENT_GRACE)
        parser.add_argument(
            "--watch",
            metavar="FOLDER",
            action="append",
            default=[],
            help="a folder to watch beside this one and the target's; may be repeated",
        )


def meant(argument: str) -> str:
    """Which option `argument` may have been meant to be, as the end of a sentence, or nothing."""
    name = argument.partition("=")[0]
    flags = {_flag(option) for option in OPTIONS}
    # One that is there was meant, though not for this command.
    close = difflib.get_close_matches(name, flags, n=1) if name not in flags else []
    return f"; did you mean {close[0]}?" if close else ""


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def is_loopback(host: str) -> bool:
    """True for an address, or the name, that this machine alone can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def options(parsed: argparse.Namespace) -> dict[str, Any]:
    """The options that were given, as `API.run` takes them.

    Raises:
        OptionError: Two that exclude each other, or a password that is not there.
    """
    given = {name: getattr(parsed, name, None) for name in OPTIONS}
    found = {name: value for name, value in given.items() if value is not None}
    if "uds" in found and "fd" in found:
        raise OptionError("--uds and --fd: give one, each says where to listen")
    variable = parsed.ssl_keyfile_password_env
    if variable is not None:
        password = os.environ.get(variable)
        if not password:
            raise OptionError(f"the environment variable {variable} is not set, or empty")
        found["ssl_keyfile_password"] = password
    return found
