"""The command `apifrom`: serves and checks APIs, makes tokens and API keys, hashes passwords.

A secret never stands on the command line, where every user of the machine can read it: it comes
from an environment variable, a file, or standard input.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import contextlib
import datetime
import getpass
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from apifrom import _apifrom, _reload, _serving, _target, server
from apifrom import _check as _checks
from apifrom._check import attacks, baseline, formats
from apifrom.api import API
from apifrom.exceptions import ConfigurationError
from apifrom.security import create_jwt_token, hash_password

__all__ = ["main"]

_MAX_INPUT = 1 << 20


class _Mistake(Exception):
    """What is wrong with what was asked, and how to mend it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: What stands behind `apifrom`. Defaults to the process's own.

    Returns:
        0; 1 when what was asked came out badly; 2 when it cannot be done.
    """
    # An application in the working directory can be named, as with `python -m`.
    sys.path.insert(0, str(Path.cwd()))
    parsed = _parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except _Mistake as mistake:
        sys.stderr.write(f"apifrom: {mistake}\n")
        return 2
    except BrokenPipeError:
        # Whoever read the output has enough.
        sys.stderr.close()
        return 0
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Says what is wrong, what may have been meant, and where the help is."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            message += _serving.meant(unknown.split()[0])
        self.exit(2, f"{self.prog}: {message}\ntry: {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="apifrom",
        description="Serves and checks APIs, makes tokens and API keys, hashes passwords.",
    )
    groups = parser.add_subparsers(title="what", required=True, metavar="WHAT")

    run = groups.add_parser("run", help="serve an API", allow_abbrev=False)
    _serving.add_options(run)
    run.set_defaults(run=_run)
    dev = groups.add_parser(
        "dev", help="serve an API, and serve it anew when its files change", allow_abbrev=False
    )
    _serving.add_options(dev, development=True)
    dev.set_defaults(run=_dev)

    routes = groups.add_parser("routes", help="list the routes of an API and what protects each")
    routes.add_argument("target", metavar="MODULE:APP", help="where the API is: shop.main:app")
    routes.add_argument(
        "--format", choices=("text", "json"), default="text", help="text by default"
    )
    routes.set_defaults(run=_routes)

    _add_check(groups.add_parser("check", help="say what is not safe, why, and how to mend it"))
    posture = groups.add_parser("posture", help="write down what protects each route, or compare")
    posture.add_argument("target", metavar="MODULE:APP", help="where the API is: shop.main:app")
    posture.add_argument("--output", metavar="FILE", help="standard output by default")
    posture.add_argument(
        "--diff", metavar="FILE", help="compare with what was written: 1 where anything got weaker"
    )
    posture.set_defaults(run=_posture)

    attack = groups.add_parser("attack", help="try what the API promises to refuse")
    attack.add_argument("target", metavar="MODULE:APP", help="where the API is: shop.main:app")
    attack.add_argument(
        "--format", choices=("text", "json"), default="text", help="text by default"
    )
    attack.add_argument("--output", metavar="FILE", help="standard output by default")
    attack.set_defaults(run=_attack)

    token = groups.add_parser("token", help="make and read JSON Web Tokens")
    actions = token.add_subparsers(title="what", required=True, metavar="WHAT")
    create = actions.add_parser("create", help="sign a token and print it")
    _add_key(create, "signs: a secret, or a private key in PEM or as a JWK")
    create.add_argument("--algorithm", default="HS256", help="HS256 by default")
    create.add_argument(
        "--expires",
        default="3600",
        metavar="SECONDS",
        help="how long it is good, or never; 3600 by default",
    )
    create.add_argument(
        "--claim",
        action="append",
        default=[],
        metavar="NAME=TEXT",
        help="a claim that is a text; may be repeated",
    )
    create.add_argument(
        "--claim-json",
        action="append",
        default=[],
        metavar="NAME=JSON",
        help="a claim of any type, such as roles='[\"admin\"]'",
    )
    create.add_argument("--jti", action="store_true", help="add a random id")
    create.add_argument("--issuer", help="who issues it")
    create.add_argument("--audience", action="append", help="whom it is for; may be repeated")
    create.add_argument("--kid", help="the name of the key")
    create.set_defaults(run=_create)

    decode = actions.add_parser("decode", help="show what a token says, and verify it if asked")
    decode.add_argument("token", help="the token, or - to read it from standard input")
    _add_key(decode, "verifies: a secret, or a public key in PEM or as a JWK", required=False)
    decode.add_argument("--algorithm", default="HS256", help="HS256 by default")
    decode.set_defaults(run=_decode)

    key = groups.add_parser("key", help="make API keys")
    actions = key.add_subparsers(title="what", required=True, metavar="WHAT")
    new = actions.add_parser("new", help="make a key and print it, once")
    new.add_argument("--scopes", default="", metavar="A,B", help="what it may be used for")
    new.set_defaults(run=_new_key)

    password = groups.add_parser("password", help="hash passwords")
    actions = password.add_subparsers(title="what", required=True, metavar="WHAT")
    hashing = actions.add_parser(
        "hash", help="hash a password from the terminal, or a line of standard input"
    )
    hashing.set_defaults(run=_hash)
    return parser


def _add_check(check: argparse.ArgumentParser) -> None:
    check.add_argument("target", metavar="MODULE:APP", nargs="?", help="where the API is")
    check.add_argument("--rules", action="store_true", help="list the rules and do nothing else")
    check.add_argument(
        "--format",
        choices=("text", "json", "sarif", "html"),
        default="text",
        help="text by default",
    )
    check.add_argument("--output", metavar="FILE", help="standard output by default")
    check.add_argument(
        "--fail-level",
        choices=("note", "warning", "error"),
        default="note",
        help="the least severity that ends with 1; note by default",
    )
    check.add_argument("--ignore", metavar="AF101,…", default="", help="rules to leave out")
    check.add_argument("--baseline", metavar="FILE", help="what is known and accepted")
    check.add_argument(
        "--write-baseline", metavar="FILE", help="accept what is found now; needs --expires"
    )
    check.add_argument("--expires", metavar="YYYY-MM-DD", help="until when it is accepted")
    check.add_argument("--reason", default="", metavar="TEXT", help="why it is accepted")
    check.add_argument(
        "--probe", action="store_true", help="prove findings by requests in this process"
    )
    check.set_defaults(run=_check)


def _add_key(parser: argparse.ArgumentParser, what: str, *, required: bool = True) -> None:
    place = parser.add_mutually_exclusive_group(required=required)
    place.add_argument("--secret-env", metavar="NAME", help=f"the variable with what {what}")
    place.add_argument("--key-file", metavar="FILE", help=f"the file with what {what}")
    place.add_argument("--secret", dest="refused", action=_Refuse, help=argparse.SUPPRESS)


class _Refuse(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """A secret on the command line would be read by every user of the machine."""
        parser.error(
            "--secret would show the secret to every user of this machine; put it into an "
            "environment variable (--secret-env NAME) or a file (--key-file FILE)"
        )


def _run(parsed: argparse.Namespace) -> int:
    options = _options(parsed)
    server.run(_load(parsed.target), options)
    return 0


def _dev(parsed: argparse.Namespace) -> int:
    watched = [Path(folder) for folder in parsed.watch]
    for folder in watched:
        if not folder.is_dir():
            raise _Mistake(f"--watch: there is no folder {folder}")
    options = _options(parsed)
    if not ({"uds", "fd"} & set(options) or _serving.is_loopback(parsed.host)):
        sys.stderr.write(f"apifrom: others reach {parsed.host}, and this program is not finished\n")
    try:
        return _reload.Supervisor(parsed.target, options, watched).run()
    except _reload.Mistake as mistake:
        sys.stderr.write(f"apifrom: {mistake}\n")
        return 1


def _options(parsed: argparse.Namespace) -> dict[str, Any]:
    try:
        return _serving.options(parsed)
    except _serving.OptionError as error:
        raise _Mistake(str(error)) from None


def _routes(parsed: argparse.Namespace) -> int:
    try:
        routes = _load(parsed.target).freeze().routes()
    except ConfigurationError as error:
        raise _Mistake(f"{parsed.target} would not start: {error}") from None
    routes.sort(key=lambda route: (route["route"], route["methods"]))
    if parsed.format == "json":
        sys.stdout.write(json.dumps(routes, indent=2) + "\n")
        return 0
    rows: list[tuple[str, ...]] = [
        ("METHODS", "ROUTE", "WHO MAY CALL", "ALSO", "BODY", "CALLED", "NAME")
    ]
    rows += [_route(route) for route in routes]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
    return 0


def _load(target: str) -> API:
    try:
        # What a program prints while it is imported is no part of a report.
        with contextlib.redirect_stdout(sys.stderr):
            return _target.load(target)
    except _target.TargetError as error:
        raise _Mistake(str(error)) from None


def _write(path: str | None, text: str) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    try:
        baseline.write(path, text)
    except OSError as error:
        raise _Mistake(f"{path}: cannot be written: {error.strerror}") from None


def _check(parsed: argparse.Namespace) -> int:
    if parsed.rules:
        for rule in _checks.RULES.values():
            sys.stdout.write(f"{rule.id}  {rule.severity:<7}  {rule.title}\n")
        return 0
    if parsed.target is None:
        raise _Mistake("expected module:app, found nothing")
    ignored = {each.strip() for each in parsed.ignore.split(",") if each.strip()}
    if unknown := sorted(ignored - set(_checks.RULES)):
        raise _Mistake(
            f"--ignore: there is no rule {unknown[0]!r}; `apifrom check --rules` lists them"
        )
    try:
        held = baseline.load(parsed.baseline) if parsed.baseline is not None else None
    except baseline.BaselineError as error:
        raise _Mistake(f"--baseline: {error}") from None
    expires = _date(parsed.expires) if parsed.write_baseline is not None else None
    app = _load(parsed.target)
    if parsed.probe:
        _quiet()
    try:
        findings = _checks.check(app, probe=parsed.probe)
    except ConfigurationError as error:
        raise _Mistake(f"{parsed.target} would not start: {error}") from None
    findings = [finding for finding in findings if finding.rule.id not in ignored]
    if expires is not None:
        if not parsed.reason.strip():
            raise _Mistake("--reason: say why this is accepted")
        _write(parsed.write_baseline, baseline.dump(findings, parsed.reason, expires))
        return 0
    if held is not None:
        today = datetime.datetime.now(datetime.UTC).date()
        findings, remarks = held.apply(findings, today)
        for remark in remarks:
            sys.stderr.write(f"apifrom: {parsed.baseline}: {remark}\n")
    _write(parsed.output, formats.FORMATS[parsed.format](parsed.target, findings))
    return 1 if _checks.at_least(findings, parsed.fail_level) else 0


def _date(text: str | None) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text or "")
    except ValueError:
        raise _Mistake(
            f"--expires: expected a date such as 2027-06-30, found {text or 'nothing'}"
        ) from None


def _posture(parsed: argparse.Namespace) -> int:
    before = None
    if parsed.diff is not None:
        try:
            before = Path(parsed.diff).read_text(encoding="utf-8")
        except OSError as error:
            raise _Mistake(f"--diff: {parsed.diff}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise _Mistake(f"--diff: {parsed.diff}: is no text in UTF-8") from None
    try:
        posture = _load(parsed.target).freeze(lenient=True).posture()
    except ConfigurationError as error:
        raise _Mistake(f"{parsed.target} would not start: {error}") from None
    if before is None:
        _write(parsed.output, posture)
        return 0
    try:
        changes = json.loads(_apifrom.compare_postures(before, posture))
    except ValueError as error:
        raise _Mistake(f"--diff: {parsed.diff}: {error}") from None
    order = ("weaker", "changed", "stronger")
    changes.sort(key=lambda change: (order.index(change["direction"]), change["subject"]))
    lines = [
        f"{change['direction']}: {change['subject']}: {change['field'] or 'endpoint'}: "
        f"{change['before']} -> {change['after']}\n"
        for change in changes
    ]
    _write(parsed.output, "".join(lines))
    return 1 if any(change["direction"] == "weaker" for change in changes) else 0


def _attack(parsed: argparse.Namespace) -> int:
    app = _load(parsed.target)
    _quiet()
    try:
        trials = attacks.attack(app)
    except ConfigurationError as error:
        raise _Mistake(f"{parsed.target} would not start: {error}") from None
    written = attacks.text if parsed.format == "text" else attacks.as_json
    _write(parsed.output, written(parsed.target, trials))
    return 1 if any(trial.verdict == "broken" for trial in trials) else 0


def _quiet() -> None:
    """Keeps the refusals that are meant out of the program's log."""
    for name in ("apifrom", "apifrom.access", "apifrom.security"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _route(route: dict[str, Any]) -> tuple[str, ...]:
    if route["public"] is not None:
        who = f"everybody: {route['public']}"
    else:
        who = ", ".join(route["auth"]) or "everybody"
    shown = {"authentication"}
    also = ", ".join(dict.fromkeys(stage for stage in route["stages"] if stage not in shown))
    return (
        ",".join(route["methods"]),
        route["route"],
        who,
        also or "-",
        str(route["max_body_size"]),
        route["dispatch"] or "-",
        route["name"],
    )


def _key(parsed: argparse.Namespace) -> str | None:
    if parsed.secret_env is not None:
        found = os.environ.get(parsed.secret_env)
        if not found:
            raise _Mistake(f"the environment variable {parsed.secret_env} is not set, or empty")
        return found
    if parsed.key_file is None:
        return None
    try:
        with Path(parsed.key_file).open("rb") as file:
            content = file.read(_MAX_INPUT + 1)
    except OSError as error:
        raise _Mistake(f"{parsed.key_file}: {error.strerror}") from None
    if len(content) > _MAX_INPUT:
        raise _Mistake(f"{parsed.key_file}: is larger than 1 MiB, and so no key")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise _Mistake(f"{parsed.key_file}: is no text in UTF-8") from None
    # An editor's line break at the end is no part of a secret.
    return text.removesuffix("\n").removesuffix("\r")


def _create(parsed: argparse.Namespace) -> int:
    payload: dict[str, Any] = {}
    for given, is_json in [
        *((each, False) for each in parsed.claim),
        *((each, True) for each in parsed.claim_json),
    ]:
        option = "--claim-json" if is_json else "--claim"
        name, separator, value = given.partition("=")
        if not separator or not name:
            raise _Mistake(f"{option}: expected NAME=VALUE, found {given!r}")
        if name in payload:
            raise _Mistake(f"{option}: {name} is given twice")
        payload[name] = _json(option, name, value) if is_json else value
    try:
        token = create_jwt_token(
            payload,
            _key(parsed) or "",
            parsed.algorithm,
            None if parsed.expires == "never" else _seconds(parsed.expires),
            jti=parsed.jti,
            issuer=parsed.issuer,
            audience=parsed.audience,
            kid=parsed.kid,
        )
    except (TypeError, ValueError) as error:
        raise _Mistake(str(error)) from None
    if parsed.expires == "never":
        sys.stderr.write(
            "apifrom: this token never expires: it is refused unless verify_exp is off\n"
        )
    sys.stdout.write(f"{token}\n")
    return 0


def _json(option: str, name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _Mistake(f"{option}: {name} is no JSON: {error}") from None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _Mistake(f"--expires: expected seconds or never, found {text!r}") from None


def _decode(parsed: argparse.Namespace) -> int:
    token = _line() if parsed.token == "-" else parsed.token  # noqa: S105 - a place
    token = token.strip().removeprefix("Bearer ")
    key = _key(parsed)
    refusal = None
    if key is not None:
        try:
            _apifrom.verify_jwt_token(token, key, parsed.algorithm)
        except (TypeError, ValueError) as error:
            if ": " in str(error):
                raise _Mistake(str(error)) from None
            refusal = str(error)
    header, claims = _parts(token)
    sys.stdout.write(f"header  {header}\nclaims  {claims}\n")
    if key is None:
        sys.stderr.write(
            "apifrom: NOT VERIFIED: anybody can have written this; "
            "--secret-env or --key-file verifies it\n"
        )
        return 0
    if refusal is not None:
        sys.stderr.write(f"apifrom: DOES NOT VERIFY: {refusal}\n")
        return 1
    sys.stderr.write("apifrom: verified, and good now; aud and iss were not judged\n")
    return 0


def _parts(token: str) -> tuple[str, str]:
    """Header and claims, made readable; nothing is proved by that."""
    parts = token.split(".")
    if len(parts) != 3:
        raise _Mistake(f"a token has three parts with a dot between two, this has {len(parts)}")
    shown = []
    for name, part in zip(("header", "claims"), parts, strict=False):
        try:
            text = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
            shown.append(json.dumps(json.loads(text), ensure_ascii=True))
        except (binascii.Error, ValueError, RecursionError):
            raise _Mistake(f"the {name} of this token cannot be read") from None
    return shown[0], shown[1]


def _new_key(parsed: argparse.Namespace) -> int:
    scopes = [scope for scope in parsed.scopes.split(",") if scope]
    key, public_id, digest = _apifrom.new_api_key()
    sys.stdout.write(
        f"key     {key.expose()}\n"
        f"id      {public_id}\n"
        f"digest  {digest}\n"
        f"\napi_keys={{{json.dumps(digest)}: {json.dumps(scopes)}}}\n"
    )
    sys.stderr.write(
        "apifrom: give the key to its user; it is shown this once. "
        "The program needs its digest alone\n"
    )
    return 0


def _hash(_parsed: argparse.Namespace) -> int:
    if sys.stdin.isatty():
        password = getpass.getpass("password: ")
        if getpass.getpass("again: ") != password:
            raise _Mistake("the two differ; nothing was hashed")
    else:
        password = _line()
    try:
        hashed = hash_password(password)
    except ValueError as error:
        raise _Mistake(str(error)) from None
    sys.stdout.write(f"{hashed}\n")
    return 0


def _line() -> str:
    """One line of standard input."""
    line = sys.stdin.buffer.readline(_MAX_INPUT + 1)
    if len(line) > _MAX_INPUT:
        raise _Mistake("the line on standard input is larger than 1 MiB")
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _Mistake("standard input is no text in UTF-8") from None
