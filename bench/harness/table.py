"""Printing rows in columns, and verdicts on promises."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What has become of one promise.

    Attributes:
        promise: What was promised.
        met: Whether it holds; None when it could not be measured.
        seen: The figures, or why there are none.
    """

    promise: str
    met: bool | None
    seen: str


@dataclass(frozen=True)
class Failure:
    """A row without figures.

    Attributes:
        label: The row's name.
        reason: Why there are none; it spans all columns.
    """

    label: str
    reason: str


def unmeasured(promise: str) -> Verdict:
    """The verdict on a promise whose row is a failure."""
    return Verdict(promise, None, "its row has no figures")


def show(headings: Sequence[str], rows: Sequence[Sequence[str] | Failure]) -> None:
    """Prints a table, its first column to the left and the others to the right."""
    lines = [headings, *(row for row in rows if not isinstance(row, Failure))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    labels = [row.label for row in rows if isinstance(row, Failure)]
    widths[0] = max([widths[0], *map(len, labels)])
    for row in [headings, *rows]:
        if isinstance(row, Failure):
            print(f"{row.label.ljust(widths[0])}  {row.reason}")
        else:
            cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            print("  ".join([row[0].ljust(widths[0]), *cells]))


def conclude(verdicts: Sequence[Verdict]) -> bool:
    """Prints a line for each promise; returns whether none was missed."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    if verdicts:
        print()
    for verdict in verdicts:
        print(f"{words[verdict.met]:>12}  {verdict.promise}: {verdict.seen}")
    return all(verdict.met is not False for verdict in verdicts)
