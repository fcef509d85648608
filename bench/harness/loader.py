"""Handing a plan to the loader and reading its report; loader/src/plan.rs is the other side."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness import places
from harness.processes import Running, pinned
from scenarios.model import Request

ANSWER_SECONDS = 10.0


class LoadError(Exception):
    """The loader gave no figures, or answers were wrong; the text says what was seen."""


@dataclass(frozen=True)
class Cores:
    """The core of the server and that of the loader."""

    server: int
    loader: int


@dataclass(frozen=True)
class Stream:
    """Connections that send the same cycle of requests.

    Attributes:
        name: Its name in the report.
        connections: How many keep-alive connections it holds.
        requests: What is sent, in turn.
        rate: Requests a second; without it, as fast as answers come.
        limit: How many requests it sends at most.
    """

    name: str
    connections: int
    requests: Sequence[Request]
    rate: float | None = None
    limit: int | None = None


@dataclass(frozen=True)
class StreamReport:
    """What a stream has seen; latencies are in microseconds."""

    name: str
    answers: int
    seconds: float
    per_second: float
    mean_us: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    faults: int
    samples: list[str]
    reconnects: int


@dataclass(frozen=True)
class Report:
    """What a run has seen."""

    server_cpu_seconds: float
    server_cpu_us_per_request: float
    others_on_server_core: float
    loader_busy: float
    streams: dict[str, StreamReport]


def drive(
    running: Running,
    cores: Cores,
    streams: Sequence[Stream],
    *,
    seconds: float,
    warm_up: float = 0.0,
) -> Report:
    """Drives a server and checks every answer.

    Args:
        running: The server.
        cores: Where server and loader run.
        streams: What is sent at the same time.
        seconds: How long the measured stage sends.
        warm_up: How long the stage before it lasts.

    Raises:
        LoadError: The loader failed, or an answer was wrong or missing.
    """
    plan = {
        "address": f"127.0.0.1:{running.port}",
        "process": running.id,
        "server_core": cores.server,
        "ticks_per_second": os.sysconf("SC_CLK_TCK"),
        "warm_up_seconds": warm_up,
        "seconds": seconds,
        "answer_seconds": ANSWER_SECONDS,
        "streams": [_stream_plan(stream) for stream in streams],
    }
    try:
        done = subprocess.run(
            [*pinned(cores.loader), str(places.LOADER)],
            input=json.dumps(plan).encode(),
            capture_output=True,
            timeout=warm_up + seconds + 4 * ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadError("the loader did not end") from error
    if done.returncode != 0:
        raise LoadError(done.stderr.decode(errors="replace").strip() or "the loader failed")
    return _read(json.loads(done.stdout))


def _stream_plan(stream: Stream) -> dict[str, Any]:
    return {
        "name": stream.name,
        "connections": stream.connections,
        "rate": stream.rate,
        "limit": stream.limit,
        "requests": [
            {
                "method": request.method,
                "path": request.path,
                "headers": [list(header) for header in request.headers],
                "body": request.body,
                "status": request.status,
                "json": request.json,
                "close": request.close,
            }
            for request in stream.requests
        ],
    }


def _read(report: dict[str, Any]) -> Report:
    streams = {entry["name"]: StreamReport(**entry) for entry in report.pop("streams")}
    for stream in streams.values():
        if stream.faults:
            raise LoadError(f"{stream.faults} wrong answers, the first: {stream.samples[0]}")
        if not stream.answers:
            raise LoadError(f"no answer to {stream.name}")
    return Report(streams=streams, **report)
