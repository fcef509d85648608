"""What is found in a source, and what is left alone in it."""

from __future__ import annotations

import importlib

import pytest

from tests.check.conftest import STRONG, found

PRELUDE = """
import logging
import os
import subprocess
from typing import Literal

from apifrom import API, Secret
from apifrom.database import Database, Transaction, ident, sql
from apifrom.middleware import RateLimitMiddleware, SecurityHeadersMiddleware
from apifrom.responses import Response
from apifrom.security import jwt_required, public, secret

app = API(trusted_hosts=["api.example.com"])
app.add_middleware(SecurityHeadersMiddleware())
app.add_middleware(RateLimitMiddleware(limit=100, window=60))
db = Database("sqlite://:memory:")
S = secret("JWT_SECRET")
"""


def endpoint(body, parameters="request, q: str"):
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    protected = '@app.get("/a")\n@jwt_required(secret=S, audience="shop")'
    return f"{protected}\ndef a({parameters}):\n{lines}"


def main(call):
    return f'if __name__ == "__main__":\n    {call}\n'


WRAP = "def wrap(x):\n    return x\n"
BUILD = "def build(x):\n    s = 'SELECT a FROM t WHERE a = '\n    s += x\n    return s\n"
SEARCH = (
    "class Search:\n    def query(self, x): ...\n    def execute(self, x): ...\nsearch = Search()\n"
)
REDIS = 'storage="redis", redis_url="redis://:hunter2hunter2@127.0.0.1:6379"'


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("AF801", f'K = Secret("{STRONG}")'),
        ("AF801", f'K = os.environ.get("K", "{STRONG}")\njwt_required(secret=K, audience="a")'),
        ("AF801", f'jwt_required(secret=os.getenv("K") or "{STRONG}", audience="a")'),
        ("AF801", f'K = "{STRONG}"\njwt_required(K.encode(), audience="a")'),
        ("AF801", f'JWT_SECRET = os.environ.get("K") or "{STRONG}"'),
        ("AF801", 'other = Database("postgresql://app:hunter2hunter2@db.example/x")'),
        (
            "AF801",
            'URL = os.environ.get("URL", "postgresql://app:hunter2@db/x")\nother = Database(URL)',
        ),
        ("AF801", f"RateLimitMiddleware(limit=1, window=1, {REDIS})"),
        ("AF802", endpoint("db.query(q)")),
        ("AF802", endpoint("db.query(q.strip())")),
        ("AF802", endpoint('db.query(request.query_params["q"])')),
        ("AF802", endpoint("db.query(f'PRAGMA {q}')")),
        ("AF802", endpoint("with db.transaction() as one:\n    one.execute(q)")),
        ("AF802", "def drop(one: Transaction, x):\n    one.execute('PRAGMA ' + x)\n"),
        ("AF802", endpoint("sql(q)")),
        ("AF802", BUILD + endpoint("db.query(build(q))")),
        ("AF802", BUILD + endpoint("s = build(q)\nother.query(s)")),
        ("AF802", WRAP + endpoint("db.query(wrap(q))")),
        (
            "AF802",
            endpoint("s = 'SELECT 1'\nfor x in [q]:\n    db.query(s)\n    s = 'SELECT ' + x"),
        ),
        (
            "AF802",
            endpoint(
                "parts = []\nparts.append(q)\ndb.query('SELECT 1 WHERE ' + ' AND '.join(parts))"
            ),
        ),
        (
            "AF802",
            "C = 'a'\ndef turn(x):\n    global C\n    C = x\n"
            + endpoint("db.query('SELECT ' + C)"),
        ),
        ("AF401", main('app.run("0.0.0.0")')),
        ("AF401", main('app.run("0.0.0.0", 80)')),
        ("AF401", main('app.run("::", 80)')),
        ("AF401", main('app.run("host.example")')),
        ("AF401", 'HOST = "0.0.0.0"\n' + main("app.run(host=HOST)")),
        ("AF401", 'HOST = "0.0.0.0"\n' + main("app.run(HOST, 80)")),
        ("AF401", main('app.run(**{"host": "0.0.0.0"})')),
        ("AF401", "def serve(api):\n    api.run('0.0.0.0', 80)\n"),
        ("AF804", 'print(f"{S.expose()}")'),
        ("AF804", endpoint("print(dict(request.headers))")),
        ("AF804", endpoint("logging.info('%s', request.headers.items())")),
        ("AF804", endpoint("print(request.cookies)")),
        ("AF804", endpoint("print(request.headers.get('Authorization'))")),
        ("AF807", endpoint('return Response("", headers={"Set-Cookie": "s=v"})')),
        ("AF807", endpoint('return Response("", headers={"set-cookie": f"s={q}; Secure"})')),
        (
            "AF807",
            endpoint(
                'Response("", headers=[("Set-Cookie", "s=v; Secure; HttpOnly; SameSite=None")])'
            ),
        ),
        ("AF807", endpoint('r = Response("")\nr.headers["Set-Cookie"] = "s=v"')),
    ],
)
def test_it_is_found(rule, source, program):
    assert rule in {each for each, _ in found(program(PRELUDE + source).app)}


@pytest.mark.parametrize(
    "source",
    [
        f'def test_it():\n    password = "{STRONG}"\n',
        'K = Secret(os.environ["JWT_SECRET"])\nL = os.environ.get("LEVEL", "information")',
        'other = Database("postgresql://app@db.example/x")',
        "def other(password):\n    return Database('postgresql://app:{}@db/x'.format(password))",
        endpoint("where = 'WHERE a = ?' if q else ''\ndb.query('SELECT a FROM t ' + where, [q])"),
        endpoint(
            "if q:\n    where = 'WHERE a = ?'\nelif request:\n    where = 'WHERE b = ?'\n"
            "else:\n    where = ''\ndb.query(f'SELECT a FROM t {where}', [q])"
        ),
        endpoint("q = 'a' if q else 'b'\ndb.query('SELECT ' + q)"),
        endpoint("s = 'SELECT 1'\ns += ' WHERE a = ?'\ndb.query(s, [q])\ns = 'SELECT ' + q"),
        endpoint(
            "marks = ', '.join('?' for _ in q)\ndb.query(f'SELECT a WHERE a IN ({marks})', q)"
        ),
        endpoint(
            "marks = ', '.join(['?'] * len(q))\ndb.query('SELECT a WHERE a IN (' + marks + ')')"
        ),
        endpoint(
            "parts = ['a = ?']\nparts.append('b = ?')\ndb.query('WITH ' + ''.join(parts), [q])"
        ),
        endpoint("db.query('SELECT a ORDER BY ' + {'a': 'a', 'b': 'b DESC'}[q])"),
        endpoint("for name in ('a', 'b'):\n    db.execute('DELETE FROM ' + name)"),
        endpoint("db.query('SELECT a ORDER BY ' + q)", "q: Literal['a', 'b']"),
        endpoint("db.query(sql('SELECT a FROM {}', ident(q)))"),
        "class Table:\n    columns = 'a, b'\n" + endpoint("db.query(f'SELECT {Table.columns}')"),
        BUILD + endpoint("db.query(build('1'))"),
        WRAP + endpoint("db.query(wrap('SELECT 1'), [q])"),
        SEARCH + endpoint("search.query(q)\nsearch.execute('run ' + q)"),
        endpoint("row = db.query_one('SELECT s FROM saved')\ndb.query(row['s'])"),
        main('app.run("127.0.0.1")'),
        main('app.run("::1", 80)'),
        main('app.run("0.0.0.0", ssl_certfile="c.pem", ssl_keyfile="k.pem")'),
        main('app.run("0.0.0.0", uds="s.sock")'),
        'def clean():\n    subprocess.run("ls")\n',
        endpoint("print(request.headers['user-agent'], request.cookies.get('theme'))"),
        endpoint("print(len(S.expose()), q is None, request.headers.keys())"),
        endpoint("print({k: v for k, v in request.headers.items() if k != 'authorization'})"),
        endpoint('Response("", headers={"Set-Cookie": "s=v; Path=/; Secure; HttpOnly"})'),
    ],
)
def test_it_is_left_alone(source, program):
    assert found(program(PRELUDE + source).app) == set()


def test_a_literal_of_another_file_is_one_and_a_function_there_is_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("JWT_SECRET", STRONG)
    (tmp_path / "columns_of_this_test.py").write_text(
        "COLUMNS = 'a, b'\n\n\ndef of(name):\n    return 'SELECT * FROM ' + name\n"
    )
    (tmp_path / "source_of_this_test.py").write_text(
        f"import columns_of_this_test\nfrom columns_of_this_test import *\n{PRELUDE}"
        + endpoint(
            "db.query('SELECT ' + COLUMNS)\n"
            "db.query(f'SELECT {columns_of_this_test.COLUMNS}')\n"
            "db.query(columns_of_this_test.of('t'))"
        )
        + "\n\ndef b(q):\n    db.query(columns_of_this_test.of(q))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    app = importlib.import_module("source_of_this_test").app
    assert found(app) == {("AF802", "source_of_this_test.py b")}
