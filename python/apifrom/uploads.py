"""Files that a form brings along.

```python
from apifrom import SyncUploadFile, UploadFile, api


@api(route="/photos", method="POST", max_body_size=20_000_000)
async def keep(photo: UploadFile) -> dict:
    return {"name": photo.filename, "bytes": len(await photo.read())}


@api(route="/sizes", method="POST", max_body_size=20_000_000)
def sizes(documents: list[SyncUploadFile]) -> list:
    return [document.size for document in documents]
```

`async def` handlers are given an `UploadFile`, `def` handlers a `SyncUploadFile`, whichever of the
two the annotation names. `Annotated[bytes, File()]` is the content itself.

What does not fit into memory (1 MiB of a form's files in all) is in a temporary file that has no
name: it is gone when the object is, whatever becomes of the process.

Security:
    `filename` and `content_type` are whatever the client says. The name is cut to its last segment;
    show it, and never open or write a path that was made of it.
"""

from __future__ import annotations

import asyncio
import io
import os
from typing import BinaryIO, Self

__all__ = ["SyncUploadFile", "UploadFile"]


class _Upload:
    """What both kinds have in common.

    Attributes:
        filename: The last segment of what the client calls the file; perhaps nothing.
        content_type: The type that the client says it has, if any.
        size: How many bytes it has.
        file: The content, as an open binary file at its start.
    """

    __slots__ = ("__weakref__", "content_type", "file", "filename", "size")

    def __init__(
        self, file: BinaryIO, *, filename: str = "", content_type: str | None = None, size: int = 0
    ) -> None:
        """Describes an open file.

        Args:
            file: The content, which is closed with this object.
            filename: What to call it.
            content_type: Its type.
            size: How many bytes it has.
        """
        self.file = file
        self.filename = filename
        self.content_type = content_type
        self.size = size

    @classmethod
    def _of(cls, content: bytes | int, filename: str, content_type: str | None, size: int) -> Self:
        """What the engine makes of a file: its bytes, or the descriptor of where they are."""
        file: BinaryIO = (
            io.BytesIO(content) if isinstance(content, bytes) else os.fdopen(content, "rb")
        )
        return cls(file, filename=filename, content_type=content_type, size=size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(filename={self.filename!r}, size={self.size})"

    def __del__(self) -> None:
        file = getattr(self, "file", None)
        if file is not None:
            file.close()

    def _waits(self) -> bool:
        return not isinstance(self.file, io.BytesIO)


class SyncUploadFile(_Upload):
    """A file of a form, for `def` handlers."""

    __slots__ = ()

    def read(self, size: int = -1) -> bytes:
        """Reads from where the file stands.

        Args:
            size: The most bytes to read; below 0 all that is left.
        """
        return self.file.read(size)

    def seek(self, offset: int) -> None:
        """Goes to a place in the file.

        Args:
            offset: The place in bytes, from the start.
        """
        self.file.seek(offset)

    def close(self) -> None:
        """Closes the file, and with it gives up its content."""
        self.file.close()


class UploadFile(_Upload):
    """A file of a form, for `async def` handlers; a disk is waited for on another thread."""

    __slots__ = ()

    async def read(self, size: int = -1) -> bytes:
        """Reads from where the file stands.

        Args:
            size: The most bytes to read; below 0 all that is left.
        """
        if self._waits():
            return await asyncio.to_thread(self.file.read, size)
        return self.file.read(size)

    async def seek(self, offset: int) -> None:
        """Goes to a place in the file.

        Args:
            offset: The place in bytes, from the start.
        """
        self.file.seek(offset)

    async def close(self) -> None:
        """Closes the file, and with it gives up its content."""
        self.file.close()
