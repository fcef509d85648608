"""Lets sqlmap, at its highest level, loose on programs of ours: `make sqlmap`.

For each database it serves, on the loopback, the demo and `bound`, in which text from every place
of a request reaches a statement, and expects that nothing is found; then `concatenated`, which must
be found, or the run would prove nothing. No program limits rates or holds anybody back.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mariadb_server import MariaDB
from tests.postgres_server import PostgreSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parent.parent.parent
SERVERS = {"postgresql": PostgreSQL, "mysql": MariaDB}
HIGHEST = ("--level", "5", "--risk", "3")
ALL_TECHNIQUES = "BEUSTQ"
# Enough to find what must be found, without the ones that keep a processor busy for minutes.
QUICK_TECHNIQUES = "BEU"
CLEAN = "all tested parameters do not appear to be injectable"
FOUND = "sqlmap identified the following injection point"


@dataclass(frozen=True)
class Attack:
    """What sqlmap is pointed at; `*` marks where it writes."""

    path: str
    method: str = "GET"
    body: str | None = None
    headers: Sequence[str] = ()
    cookie: str | None = None
    techniques: str = ALL_TECHNIQUES
    own_headers: bool = False
    """True to write into `Host`, `Referer` and `User-Agent` as well, which reach no statement."""


DEMO = (
    Attack("/notes?q=Milk&limit=20", own_headers=True),
    Attack("/notes/1*"),
    Attack("/notes", "POST", '{"title": "Milk", "text": "two litres"}'),
    Attack("/notes/1*/done", "PUT"),
    Attack("/notes/2*", "DELETE"),
)
BOUND = (
    Attack("/by-path/ann*"),
    Attack("/by-query?name=ann"),
    Attack("/in-order?by=name"),
    Attack("/in-list?name=ann"),
    Attack("/by-body", "POST", '{"name": "ann"}'),
    Attack("/by-header", headers=("X-Name: ann*",)),
    Attack("/by-cookie", cookie="name=ann"),
)
CONCATENATED = (Attack("/towns?name=Ulm", techniques=QUICK_TECHNIQUES),)


@dataclass
class Outcome:
    """What came of an attack."""

    attack: Attack
    verdict: str
    seconds: float


@contextlib.contextmanager
def served(target: str, url: str, log: Path) -> Iterator[int]:
    """Serves `target` on the database at `url`, writes requests to `log`, and gives the port."""
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "apifrom", "run", target, "--port", "0"],
            cwd=ROOT,
            stderr=written,
            env={**os.environ, "DEMO_DATABASE": url, "SQLMAP_DATABASE": url},
        )
        try:
            deadline = time.monotonic() + 30
            while not (found := re.search(r"listening on \w+://[\d.]+:(\d+)", log.read_text())):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{target} does not serve:\n{log.read_text()}")
                time.sleep(0.05)
            yield int(found[1])
        finally:
            process.terminate()
            process.wait(60)


def attack(sqlmap: str, port: int, database: str, wanted: Attack, folder: Path) -> Outcome:
    """Runs sqlmap once."""
    folder.mkdir()
    arguments = [
        *(sqlmap, "--batch", "--disable-coloring", "--flush-session", *HIGHEST),
        *("--url", f"http://127.0.0.1:{port}{wanted.path}", "--method", wanted.method),
        *("--dbms", database, "--output-dir", str(folder), "--technique", wanted.techniques),
        # An answer of 4xx is what most attempts get, and is judged like any other.
        *("--ignore-code", "*", "--answers", "reduce=N,skip test payloads=N"),
    ]
    if not wanted.own_headers:
        arguments += ["--skip", "user-agent,referer,host"]
    if wanted.body is not None:
        arguments += ["--data", wanted.body, "--headers", "Content-Type: application/json"]
    for header in wanted.headers:
        arguments += ["--headers", header]
    if wanted.cookie is not None:
        arguments += ["--cookie", wanted.cookie]
    begun = time.monotonic()
    output = folder / "output.txt"
    with output.open("wb") as written:
        subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = output.read_text(errors="replace")
    verdict = "found" if FOUND in said else "clean" if CLEAN in said else "FAILED"
    if verdict == "FAILED":
        sys.stderr.write(said[-2_000:])
    return Outcome(wanted, verdict, time.monotonic() - begun)


def reach(port: int, wanted: Attack) -> None:
    """Makes sure that what is written at the place of an attack reaches the statement."""
    headers = {"Content-Type": "application/json"} if wanted.body is not None else {}
    for line in wanted.headers:
        name, _, value = line.partition(": ")
        headers[name] = value.removesuffix("*")
    if wanted.cookie is not None:
        headers["Cookie"] = wanted.cookie
    url = f"http://127.0.0.1:{port}{wanted.path.removesuffix('*')}"
    body = None if wanted.body is None else wanted.body.encode()
    request = urllib.request.Request(url, body, headers, method=wanted.method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = answer.read().decode()
    if "ann" not in found:
        raise SystemExit(f"{wanted} reaches no statement: {found}")


def say(line: str) -> None:
    """Prints a line at once: the whole takes long."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def statuses(log: Path) -> Counter[str]:
    """How many requests were answered with what."""
    return Counter(re.findall(r"apifrom\.access .*?\" (\d{3}) ", log.read_text(errors="replace")))


def judge(sqlmap: str, database: str, made: Callable[[str], str], folder: Path, jobs: int) -> bool:
    """Attacks each program on a database of its own; True when it went as it must."""
    good = True
    for target, attacks, expected in (
        ("tests.sqlmap.concatenated:app", CONCATENATED, "found"),
        ("tests.sqlmap.bound:app", BOUND, "clean"),
        ("examples.python.demo.app:app", DEMO, "clean"),
    ):
        place = folder / f"{database}-{target.partition(':')[0]}"
        place.mkdir(parents=True)
        url = made(target.partition(":")[0].split(".")[2])
        with served(target, url, place / "log") as port, ThreadPoolExecutor(jobs) as pool:
            if attacks is DEMO:
                for _ in range(2):
                    subprocess.run([sys.executable, "-c", ADD, str(port)], check=True, timeout=30)
            if attacks is BOUND:
                for each in attacks:
                    reach(port, each)
            outcomes = [
                pool.submit(attack, sqlmap, port, database, each, place / str(number))
                for number, each in enumerate(attacks)
            ]
            for each in outcomes:
                done = each.result()
                kept = done.verdict == expected
                good = good and kept
                say(
                    f"{database:<11} {target.partition(':')[0]:<25} {done.attack.method:<6} "
                    f"{done.attack.path:<22} {done.verdict:<6} {done.seconds:5.0f} s"
                    f"{'' if kept else f'  EXPECTED {expected}'}"
                )
        seen = statuses(place / "log")
        say(f"{'':<11} {sum(seen.values())} requests: {dict(sorted(seen.items()))}")
        # A statement that broke is a statement that was written by somebody else.
        if expected == "clean" and (not seen or any(status >= "500" for status in seen)):
            say(f"{'':<11} EXPECTED requests, and no answer of 500 or above")
            good = False
    return good


ADD = """
import json, sys, urllib.request
body = json.dumps({"title": "Milk"}).encode()
url = f"http://127.0.0.1:{sys.argv[1]}/notes"
headers = {"Content-Type": "application/json"}
urllib.request.urlopen(urllib.request.Request(url, body, headers)).read()
"""


def main() -> int:
    """Attacks, and prints what came of it.

    Returns:
        0 when nothing was found but what had to be.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.sqlmap", description=__doc__)
    parser.add_argument("sqlmap", help="the program")
    parser.add_argument("databases", nargs="*", default=["sqlite", *SERVERS])
    parser.add_argument("--jobs", type=int, default=2, help="how many attacks at once")
    parser.add_argument("--keep", type=Path, help="where to leave what sqlmap wrote")
    parsed = parser.parse_args()
    good = True
    with contextlib.ExitStack() as stack:
        folder = parsed.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for database in parsed.databases:
            if database == "sqlite":
                start = f"sqlite:///{folder.resolve()}/"
                made: Callable[[str], str] = start.__add__
            else:
                server = SERVERS[database]()
                stack.callback(server.close)
                made = server.empty
            good = judge(parsed.sqlmap, database, made, folder, parsed.jobs) and good
    say("nothing was found but what had to be" if good else "NOT as it must be")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
