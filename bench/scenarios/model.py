"""What a scenario is: data, so that a new one is a new file and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.servers import Server


@dataclass(frozen=True)
class Request:
    """A request and the answer that it must get.

    Attributes:
        method: The method.
        path: The target as sent.
        status: The expected status.
        json: The expected body, compared as JSON; without it any body will do.
        headers: Header fields beside ``host`` and ``content-length``.
        body: The body.
        close: Whether the connection ends after the answer, as it must when the body that was
            announced is refused unread.
    """

    method: str
    path: str
    status: int = 200
    json: Any = None
    headers: Sequence[tuple[str, str]] = ()
    body: str = ""
    close: bool = False


@dataclass(frozen=True)
class Entry:
    """A row of the table: a server and the requests it is sent.

    Attributes:
        label: The row's name; targets and references use it.
        server: The program that answers; several rows may share one.
        requests: What is sent, in turn.
        workers: How many processes answer. Each has as many connections as a server that is one
            process, since it is the load of many that they are started for.
    """

    label: str
    server: Server
    requests: Sequence[Request]
    workers: int = 1


@dataclass(frozen=True)
class Target:
    """A promise about CPU time a request.

    Attributes:
        entry: The row that it is about.
        reference: The row that it is compared with.
        at_most: The highest ratio that keeps it.
    """

    entry: str
    reference: str
    at_most: float


@dataclass(frozen=True)
class Scenario:
    """What is sent to whom, and what has been promised about it.

    Attributes:
        name: The name on the command line.
        title: The heading in the table.
        entries: The rows.
        references: The rows that have a column of ratios.
        targets: The promises.
        refusals: Requests that every row must refuse; sent once, before anything is measured, so
            that nobody is fast by checking less.
    """

    name: str
    title: str
    entries: Sequence[Entry]
    references: Sequence[str]
    targets: Sequence[Target] = ()
    refusals: Sequence[Request] = ()
