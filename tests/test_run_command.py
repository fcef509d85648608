"""`apifrom run`, and the options that it shares with `apifrom dev`."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from apifrom import API, _serving
from apifrom.cli import _parser, main
from apifrom.server import OPTIONS
from tests.certificates import signed

SHOP = """
from apifrom import API
from apifrom.middleware import HTTPSRedirectMiddleware

app = API()
app.add_middleware(HTTPSRedirectMiddleware(host="shop.example"))

@app.get("/")
def home() -> str:
    return "welcome"

no_routes_but_wrong = API(trusted_hosts=["http://x"])
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "runs.py").write_text(SHOP + "\napp.run(port=0)\n")
    return tmp_path


def command(folder, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", "apifrom", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


class KeepsRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.mark.parametrize(("what", "status"), [("run", 308), ("dev", 200)])
def test_a_program_is_served_and_only_dev_is_for_development(shop, what, status):
    process = command(shop, what, "shop:app", "--port", "0", "--log-format", "json")
    for line in process.stderr:
        if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
            break
    assert json.loads(line)["level"] == "info"
    opener = urllib.request.build_opener(KeepsRedirects)
    try:
        with opener.open(f"http://127.0.0.1:{found[1]}/") as answer:
            seen = answer.status
    except urllib.error.HTTPError as error:
        seen = error.code
    assert seen == status
    process.send_signal(signal.SIGTERM)
    output, rest = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, "")
    assert "Traceback" not in rest


def test_several_processes_serve_a_program_from_the_command_line(shop):
    process = command(shop, "run", "shop:app", "--port", "0", "--workers", "2")
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
            break
    opener = urllib.request.build_opener(KeepsRedirects)
    for _ in range(8):
        with pytest.raises(urllib.error.HTTPError, match="308"):
            opener.open(f"http://127.0.0.1:{found[1]}/")
    process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=20)[1].splitlines()
    assert process.returncode == 0
    answered = {match[1] for line in said if (match := re.search(r"(worker-\d) .*308", line))}
    assert answered <= {"worker-1", "worker-2"}
    assert answered


@pytest.fixture
def locked(shop):
    """A certificate, its key as it is and encrypted, and programs that serve with them."""
    signed(shop, "localhost")
    encrypt = ["openssl", "pkcs8", "-topk8", "-in", "localhost.key", "-out", "locked.key"]
    subprocess.run([*encrypt, "-passout", "pass:hunter2"], cwd=shop, check=True)
    for name, password in [("text", '"hunter2"'), ("secret", 'Secret("hunter2")')]:
        (shop / f"{name}.py").write_text(
            "from apifrom.security import Secret\n"
            + SHOP
            + "\napp.run(port=0, ssl_certfile='localhost.pem', ssl_keyfile='locked.key', "
            f"ssl_keyfile_password={password})\n"
        )
    return shop


@pytest.mark.parametrize("how", ["text", "secret", "variable"])
def test_an_encrypted_key_serves_with_its_password(locked, how):
    line = ["-m", "apifrom", "run", "shop:app", "--port", "0", "--ssl-certfile", "localhost.pem"]
    line += ["--ssl-keyfile", "locked.key", "--ssl-keyfile-password-env", "KEY_PASSWORD"]
    process = subprocess.Popen(
        [sys.executable, *(line if how == "variable" else [f"{how}.py"])],
        cwd=locked,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "KEY_PASSWORD": "hunter2"},
    )
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"listening on https://127\.0\.0\.1:(\d+)", line):
            break
    assert found, said
    trust = ssl.create_default_context(cafile=locked / "localhost.pem")
    trust.check_hostname = False
    with urllib.request.urlopen(f"https://127.0.0.1:{found[1]}/", context=trust) as answer:
        assert answer.read() == b"welcome"
    process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=20)[1]
    assert process.returncode == 0
    assert "hunter2" not in "".join(said)


@pytest.mark.parametrize(
    ("key", "password", "said"),
    [
        ("locked.key", "hunter3", "ssl_keyfile_password: does not open locked.key"),
        ("locked.key", None, "ssl_keyfile_password: is missing: the key in locked.key is"),
        ("localhost.key", "hunter2", "ssl_keyfile_password: the key in localhost.key is not"),
        ("locked.key", 7, "ssl_keyfile_password: expected text or a Secret"),
    ],
)
def test_a_password_that_does_not_fit_the_key_is_said(locked, key, password, said, capfd):
    with pytest.raises(SystemExit) as ended:
        API().run(
            port=0,
            ssl_certfile=str(locked / "localhost.pem"),
            ssl_keyfile=locked / key,
            ssl_keyfile_password=password,
        )
    error = capfd.readouterr().err
    assert ended.value.code == 1
    assert said in error.replace(f"{locked}/", "")
    assert "hunter" not in error
    assert "listening" not in error


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("run",), 2, "MODULE:APP"),
        (("run", "nowhere:app"), 2, "there is no module nowhere"),
        (("run", "shop:app", "--colour", "red"), 2, "--colour"),
        (("run", "shop:app", "--hos", "::1"), 2, "--hos"),
        (("run", "shop:app", "--port", "http"), 2, "--port: expected a number, found 'http'"),
        (("run", "shop:app", "--port", "65536"), 2, "--port: expected 0 to 65535, found 65536"),
        (("run", "shop:app", "--workers", "0"), 2, "--workers: expected 1 to"),
        (("run", "shop:app", "--timeout-head", "nan"), 2, "expected 0 or more seconds"),
        (("run", "shop:app", "--log-level", "loud"), 2, "--log-level"),
        (("run", "shop:app", "--uds", "s", "--fd", "3"), 2, "--uds and --fd"),
        (("run", "shop:app", "--ssl-keyfile-password", "hunter2"), 2, "every user"),
        (("run", "shop:app", "--ssl-keyfile-password-env", "ABSENT"), 2, "ABSENT is not set"),
        (("run", "shop:app", "--max-head-size", "1023"), 2, "--max-head-size: expected 1024 to"),
        (("run", "shop:app", "--uds", ""), 1, "uds: expected a path, found nothing"),
        (("run", "shop:app", "--worker", "2"), 2, "--worker 2; did you mean --workers?"),
        (("run", "shop:app", "--prot=80"), 2, "--prot=80; did you mean --port?"),
        (("run", "shop:app", "--zzz"), 2, "unrecognized arguments: --zzz\n"),
        (("run", "shop:app", "--proxy-headers"), 2, "API(trusted_proxies=[…])"),
        (("run", "shop:app", "--forwarded-allow-ips", "*"), 2, "API(trusted_proxies=[…])"),
        (("run", "shop:app", "--limit-concurrency=9"), 2, "use --limit-connections"),
        (("run", "shop:app", "--reload"), 2, "apifrom dev serves anew"),
        (("run", "shop:app", "--watch", "."), 2, "--watch"),
        (("dev", "shop:app", "--workers", "2"), 2, "--workers 2\n"),
        (("dev", "shop:app", "--watch", "nowhere"), 2, "--watch: there is no folder nowhere"),
        (("run", "shop:no_routes_but_wrong"), 1, "trusted_hosts"),
        (("run", "shop:app", "--ssl-certfile", "x.pem"), 1, "ssl_keyfile"),
        (("run", "shop:app", "--fd", "0"), 1, "descriptor 0"),
        (("run", "runs:app"), 2, "app.run() is called while runs is imported"),
        (("routes", "runs:app"), 2, 'put it under `if __name__ == "__main__":`'),
    ],
)
def test_what_cannot_be_served_is_said_and_nothing_listens(
    shop, arguments, status, said, monkeypatch, capfd
):
    # In this process, because that it ends before it serves is what is to be seen.
    monkeypatch.chdir(shop)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("shop", "runs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    try:
        ended = main(arguments)
    except SystemExit as left:
        ended = left.code
    output, error = capfd.readouterr()
    assert (ended, output) == (status, "")
    assert said in error
    assert "hunter2" not in error
    assert "listening" not in error


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"uds": ""}, "uds: expected a path, found nothing"),
        ({"max_head_size": 10}, "max_head_size: expected 1024 bytes or more, found 10"),
    ],
)
def test_options_that_would_serve_nobody_are_said(option, said, capfd):
    with pytest.raises(SystemExit, match="1"):
        API().run(**option)
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_it_is_known_whom_an_address_is_for(host, is_loopback):
    assert _serving.is_loopback(host) is is_loopback


def test_every_option_of_run_stands_on_the_command_line(monkeypatch):
    monkeypatch.setenv("KEY_PASSWORD", "hunter2")
    given = {
        "host": "::1",
        "port": 1,
        "uds": "s",
        "backlog": 2,
        "workers": 3,
        "access_log": False,
        "log_level": "debug",
        "log_format": "json",
        "ssl_keyfile": "k",
        "ssl_certfile": "c",
        "limit_connections": 4,
        "limit_connections_per_client": 5,
        "max_head_size": 6000,
        "max_header_fields": 7,
        "timeout_head": 8.0,
        "timeout_body": 9.0,
        "timeout_keep_alive": 10.0,
        "timeout_write": 11.0,
        "timeout_graceful_shutdown": 0.5,
    }
    assert set(given) | {"fd", "ssl_keyfile_password"} == set(OPTIONS)
    line = ["run", "shop", "--ssl-keyfile-password-env", "KEY_PASSWORD"]
    for name, value in given.items():
        flag = name.replace("_", "-")
        line += ["--no-access-log"] if value is False else [f"--{flag}", str(value)]
    parsed = _parser().parse_args(line)
    assert _serving.options(parsed) == {**given, "ssl_keyfile_password": "hunter2"}
    parsed = _parser().parse_args(["run", "shop"])
    assert _serving.options(parsed) == {"host": "127.0.0.1", "port": 8000}
