"""Finds out which Python files changed, by looking at all of them now and then.

Looking works on every file system, those of containers and of other machines included, and needs no
library. What it costs is bounded: who looks waits at least `_REST` times as long as a look took.
"""

from __future__ import annotations

import importlib.machinery
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["MOST_FILES", "Watch", "folders_of"]

_LEAST_PAUSE: Final = 0.2
_REST: Final = 20
MOST_FILES: Final = 20_000
_MOST_FOLDERS: Final = 20_000

# Where a program's own source never is. Folders whose name begins with a dot are left out as well.
_FOREIGN: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})

_State = tuple[int, int, int]


class Watch:
    """The Python files below some folders, as they were when they were last looked at."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Looks for the first time.

        Args:
            folders: Where to look, and in what is below.
        """
        self._folders = _outermost(folders)
        self.is_complete = True
        """False when there are more files or folders than are looked at."""
        self.pause = _LEAST_PAUSE
        """Seconds to let pass before the next look."""
        self._known = self._look()

    def changed(self) -> list[Path]:
        """What was changed, added or removed since the last call, or since this was made."""
        found = self._look()
        if found == self._known:
            return []
        known, self._known = self._known, found
        every = known.keys() | found.keys()
        return sorted(Path(path) for path in every if known.get(path) != found.get(path))

    def _look(self) -> dict[str, _State]:
        begun = time.perf_counter()
        files: dict[str, _State] = {}
        waiting = [str(folder) for folder in reversed(self._folders)]
        # A link that leads back to a folder above it must not be followed for ever.
        seen: set[tuple[int, int]] = set()
        while waiting and len(files) < MOST_FILES and len(seen) < _MOST_FOLDERS:
            _scan(waiting.pop(), files, waiting, seen)
        self.is_complete = not waiting
        self.pause = max(_LEAST_PAUSE, (time.perf_counter() - begun) * _REST)
        return files


def _scan(
    folder: str, files: dict[str, _State], waiting: list[str], seen: set[tuple[int, int]]
) -> None:
    try:
        found = os.stat(folder)  # noqa: PTH116 - called for each folder of each look
        if (found.st_dev, found.st_ino) in seen:
            return
        seen.add((found.st_dev, found.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                _note(entry, files, waiting)
    except OSError:
        return  # It is gone, or not ours to read: then no source of this program's is in it.


def _note(entry: os.DirEntry[str], files: dict[str, _State], waiting: list[str]) -> None:
    name = entry.name
    # Editors keep what is half written under a name with a dot.
    if name.startswith(".") or name in _FOREIGN:
        return
    if name.endswith(".py"):
        try:
            state = entry.stat()
        except OSError:
            return  # A link to nothing, or a file that an editor is about to replace.
        # The inode too: what is moved into the place of a file may be as old and as long.
        files[entry.path] = (state.st_mtime_ns, state.st_size, state.st_ino)
        return
    if entry.is_dir() and not _is_environment(entry.path):
        waiting.append(entry.path)


def _is_environment(folder: str) -> bool:
    return os.path.lexists(f"{folder}/pyvenv.cfg")


def _outermost(folders: Iterable[Path]) -> list[Path]:
    """The folders that lie in no other of them."""
    kept: list[Path] = []
    for folder in sorted({folder.resolve() for folder in folders}):
        if not any(folder.is_relative_to(other) for other in kept):
            kept.append(folder)
    return kept


def folders_of(target: str, search: Iterable[str]) -> list[Path]:
    """The folder that holds the module of `target`, found without importing it.

    Args:
        target: `shop.main:app`.
        search: Where Python looks for modules.

    Returns:
        The package's folder, or the folder that a lone module is in; nothing where there is no such
        module, or where it stands among installed libraries.
    """
    name = target.partition(":")[0].partition(".")[0]
    try:
        spec = importlib.machinery.PathFinder.find_spec(name, list(search)) if name else None
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(place) for place in spec.submodule_search_locations]
    if spec.origin is None or Path(spec.origin).parent.name in _FOREIGN:
        return []
    return [Path(spec.origin).parent]
