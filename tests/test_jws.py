"""Signed texts of any kind, by public examples."""

from __future__ import annotations

import json

import pytest

from apifrom.security import create_jwt_token, verify_jws

# RFC 8037, appendix A.4.
ED25519 = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
SIGNED = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


@pytest.mark.parametrize("key", [ED25519, json.dumps(ED25519), {"keys": [ED25519]}])
@pytest.mark.parametrize("signed", [SIGNED, SIGNED.encode()])
def test_what_was_signed_comes_back(signed, key):
    assert verify_jws(signed, key) == b"Example of Ed25519 signing"


@pytest.mark.parametrize(
    "more",
    [{"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "ES256"}, {"kty": "EC"}, {"x": "AA"}],
)
def test_a_key_that_is_for_something_else_is_not_used(more):
    with pytest.raises(
        ValueError,
        match=r"bad_signature|malformed|wrong_algorithm|unknown_algorithm|unknown_key|key: ",
    ):
        verify_jws(SIGNED, {**ED25519, **more})


def test_what_is_not_signed_so_is_refused():
    for wrong in ("", "a.b.c", SIGNED[:-1], SIGNED + "=", SIGNED.replace("RXh", "RXg"), "\0"):
        with pytest.raises(
            ValueError,
            match=r"bad_signature|malformed|wrong_algorithm|unknown_algorithm|unknown_key|key: ",
        ):
            verify_jws(wrong, ED25519)
    token = create_jwt_token({}, "a secret of at least thirty-two bytes")
    with pytest.raises(
        ValueError,
        match=r"bad_signature|malformed|wrong_algorithm|unknown_algorithm|unknown_key|key: ",
    ):
        verify_jws(token, ED25519)
    for key in ("a secret of at least thirty-two bytes", "", "-----BEGIN PUBLIC KEY-----"):
        with pytest.raises(ValueError, match="key: expected a JWK"):
            verify_jws(token, key)
    for wrong in (3, None, ["a"]):
        with pytest.raises(TypeError):
            verify_jws(wrong, ED25519)
        with pytest.raises(TypeError):
            verify_jws(SIGNED, wrong)
