"""How this program was started, so that a worker can be started in the same way."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypedDict

__all__ = ["NotRepeatable", "Program", "again", "assignment"]

# Where the program began: a path that it was given may be relative to that.
try:
    _began_in = str(Path.cwd())
except OSError:
    _began_in = ""


class NotRepeatable(Exception):
    """Why the program cannot be run once more."""


class Program(TypedDict):
    """A command: an interpreter, what follows it, and the directory to start it in."""

    executable: str
    arguments: list[str]
    directory: str


def assignment() -> str | None:
    """What a supervisor wrote for this process; nothing where it was not started by one.

    It is an option of the interpreter (`-X apifrom_worker=…`) and no variable of the environment,
    which other programs that a worker starts would inherit.
    """
    written = sys._xoptions.get("apifrom_worker")
    return written if isinstance(written, str) else None


def again() -> Program:
    """The command that this program was started by.

    Raises:
        NotRepeatable: It came from where it cannot be had a second time, or there is no interpreter
            to run it.
    """
    main = sys.modules.get("__main__")
    is_repeatable = getattr(main, "__spec__", None) is not None or _has_file(main) or _is_command()
    if not is_repeatable:
        raise NotRepeatable(
            "the program is no file, module or -c command that could be run again for each of "
            "them; it was typed in or read from standard input"
        )
    if not sys.executable or getattr(sys, "frozen", False) or not _began_in:
        raise NotRepeatable("there is no Python interpreter that could run the program again")
    return {
        "executable": sys.executable,
        "arguments": sys.orig_argv[1:],
        "directory": _began_in,
    }


def _has_file(main: object) -> bool:
    file = getattr(main, "__file__", None)
    return isinstance(file, str) and Path(file).exists()


def _is_command() -> bool:
    """Whether it was given on the command line: `python -c …`."""
    return not hasattr(sys, "ps1") and any(
        argument.startswith("-") and not argument.startswith("--") and argument.endswith("c")
        for argument in sys.orig_argv[1:-1]
    )
