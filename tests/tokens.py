"""Makes the tokens that tests/vectors/tokens.json describes, and the API that is sent them."""

from __future__ import annotations

import base64
import functools
import json
import re
import time

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from apifrom import API
from apifrom.security import jwt_required
from tests.serving import ROOT

TABLE = json.loads((ROOT / "tests/vectors/tokens.json").read_text())
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"ES256": 32, "ES384": 48, "ES512": 66}
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def cases():
    """The cases of the table, one for each route."""
    found = []
    for case in TABLE["cases"]:
        routes = case.get("route", "/HS256")
        found += [
            {**case, "route": route, "name": f"{route[1:]}: {case['name']}"}
            for route in ([routes] if isinstance(routes, str) else routes)
        ]
    return found


def read(path):
    return (ROOT / path).read_bytes()


@functools.cache
def private_key(path):
    return serialization.load_pem_private_key(read(path), None)


def verifying(name):
    """A key as a program gives it to what verifies."""
    key = TABLE["keys"][name]
    return key["text"] if "text" in key else read(key["public"]).decode()


def options(declared):
    """A declaration with the keys in place of their names."""
    given = {**declared, "secret": verifying(declared["secret"])}
    if "keys" in given:
        given["keys"] = [verifying(name) for name in given["keys"]]
    return given


def example():
    """The API of the table, which counts the calls of its handlers."""
    app = API(title="Tokens")
    app.calls = []
    for route, declared in TABLE["routes"].items():

        @app.get(route)
        @jwt_required(**options(declared))
        def handler():
            app.calls.append("called")
            return {"called": True}

    return app


def encode(content):
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def expand(text, now, canary):
    """Puts in what only the run knows, and what is too long to be written down."""
    text = re.sub(r'"@([+-])([0-9]+)(\.[0-9]+)?"', lambda found: moment(now, found), text)
    text = re.sub(r'"@long ([0-9]+)"', lambda found: f'"{"a" * int(found[1])}"', text)
    text = re.sub(
        r'"@deep ([0-9]+)"', lambda found: "[" * int(found[1]) + "]" * int(found[1]), text
    )
    return text.replace("{canary}", canary)


def moment(now, found):
    seconds = now + int(found[1] + found[2])
    return f"{seconds}{found[3] or ''}"


class Maker:
    """Makes the token of a case."""

    def __init__(self, case, now=None, canary="http://127.0.0.1:9/"):
        self.case = case
        self.now = int(time.time()) if now is None else now
        self.canary = canary
        route = TABLE["routes"][case["route"]]
        own = {"with": route["algorithm"], "key": route["secret"]}
        if not isinstance(own["with"], str):
            own["with"] = own["with"][0]
        self.sign = case.get("sign", own)

    def part(self, given):
        if isinstance(given, dict):
            if "latin1" in given:
                return expand(given["latin1"], self.now, self.canary).encode("latin-1")
            if "utf16" in given:
                return given["utf16"].encode("utf-16-le")
            if "nested" in given:
                inner = {"name": "nested", "route": self.case["route"], **given["nested"]}
                return Maker(inner, self.now, self.canary).token().encode()
            given = json.dumps(given, separators=(",", ":"), ensure_ascii=False)
        return expand(given, self.now, self.canary).encode()

    def token(self):
        case = self.case
        header = self.part(case.get("header", {"alg": self.sign["with"]}))
        payload = self.part(case.get("claims", {"sub": "ada", "exp": "@+600"}))
        parts = {"header": encode(header), "payload": encode(payload)}
        for step in case.get("spell", ()):
            change(parts, step)
        signed = f"{parts['header']}.{parts['payload']}"
        parts["signature"] = encode(self.signature(signed.encode()))
        for step in case.get("change", ()):
            change(parts, step)
        token = case.get("template", "{header}.{payload}.{signature}")
        for name, text in parts.items():
            token = token.replace("{" + name + "}", text)
        return token

    def signature(self, message):
        algorithm = self.sign["with"]
        if algorithm.startswith("HS"):
            mac = hmac.HMAC(self.secret(), HASHES[algorithm[2:]]())
            mac.update(message)
            return mac.finalize()
        key = private_key(TABLE["keys"][self.sign["key"]]["private"])
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(message)
        hashed = HASHES[algorithm[2:]]()
        if isinstance(key, rsa.RSAPrivateKey):
            if algorithm.startswith("PS"):
                salted = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
                return key.sign(message, salted, hashed)
            return key.sign(message, padding.PKCS1v15(), hashed)
        width = CURVES[algorithm]
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashed)))
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")

    def secret(self):
        if "key" in self.sign:
            return TABLE["keys"][self.sign["key"]]["text"].encode()
        [(form, value)] = self.sign["hmac"].items()
        if form == "text":
            return value.encode()
        if form == "base64url":
            return decode(value)
        if form == "trimmed":
            return read(value).strip()
        if form == "file":
            return read(value)
        assert form == "der"
        return serialization.load_pem_public_key(read(value)).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def change(parts, step):
    """Changes one part: the text where that is what is wrong with it, else the bytes in it."""
    name, kind, *rest = step
    text = parts[name]
    if kind == "clear":
        parts[name] = decode(text).decode()
    elif kind == "pad":
        parts[name] = text + "=" * (-len(text) % 4)
        assert parts[name] != text
    elif kind == "insert":
        place, inserted = rest
        place = len(text) + 1 + place if place < 0 else place
        parts[name] = text[:place] + inserted + text[place:]
    elif kind == "trailing bits":
        assert len(text) % 4 in (2, 3)
        parts[name] = text[:-1] + ALPHABET[ALPHABET.index(text[-1]) + 1]
        assert decode(parts[name]) == decode(text)
    elif kind == "other alphabet":
        parts[name] = text.replace("-", "+").replace("_", "/")
        assert parts[name] != text
    else:
        parts[name] = encode(changed(decode(text), kind, *rest))
        assert parts[name] != text


def changed(content, kind, *rest):
    half = len(content) // 2
    first, second = content[:half], content[half:]
    zeros, one = bytes(half), bytes(half - 1) + b"\x01"
    if kind in ("text", "set"):
        return rest[0].encode() if kind == "text" else bytes.fromhex(rest[0])
    if kind == "flip":
        flipped = bytearray(content)
        flipped[rest[0]] ^= 0x80 if rest[0] == 0 else 1
        return bytes(flipped)
    if kind == "der":
        r, s = (int.from_bytes(number, "big") for number in (first, second))
        return utils.encode_dss_signature(r, s)
    if kind == "add order":
        order = int.from_bytes(bytes.fromhex(rest[0]), "little")
        return first + (int.from_bytes(second, "little") + order).to_bytes(half, "little")
    return {
        "empty": lambda: b"",
        "zero": lambda: bytes(len(content)),
        "ones": lambda: b"\xff" * len(content),
        "cut": lambda: content[: rest[0]],
        "append": lambda: content + bytes.fromhex(rest[0]),
        "prepend": lambda: bytes.fromhex(rest[0]) + content,
        "double": lambda: content * 2,
        "swap": lambda: second + first,
        "widen": lambda: b"\0" + first + b"\0" + second,
        "zero first half": lambda: zeros + second,
        "zero second half": lambda: first + zeros,
        "one and one": lambda: one + one,
        "spaced": lambda: content + b" ",
    }[kind]()


def request(case, token):
    """The target and the headers that carry a token."""
    target = case["route"]
    if "query" in case:
        target += "?" + case["query"].replace("{token}", token)
    headers = case.get("headers", [["Authorization", "Bearer {token}"]])
    return target, [(name, value.replace("{token}", token)) for name, value in headers]


def challenge(case):
    """What `WWW-Authenticate` must say, or None where the token is good."""
    if case.get("status") == 200:
        return None
    return case.get("challenge", 'Bearer realm="api", error="invalid_token"')
