"""JSON Web Tokens, checked (RFC 7519): the key decides the algorithm, never the token.

A token says in its own header by which algorithm it is signed. Whoever believes it takes ``none``, and takes a public
RSA key for the secret of an HMAC. So each key is bound to the one algorithm of its kind, and a token that names another
one fits no key.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from wsrecorder.errors import UsageError, WsrecError

__all__ = ["JwtKey", "JwtRules", "hmac_key", "public_keys"]

_LEAST_SECRET_BYTES: Final = 32
"""As long as the hash (RFC 7518, section 3.2)."""

_LEAST_RSA_BITS: Final = 2048
"""RFC 7518, section 3.3."""

_LEEWAY_S: Final = 30.0
"""How far two clocks may be apart."""


@dataclass(frozen=True, slots=True, repr=False)
class JwtKey:
    """A key and the only algorithm it is used with.

    Attributes:
        algorithm: ``HS256`` or ``RS256``.
        key: As PyJWT takes it.
        key_id: What a token calls it, or None.
    """

    algorithm: str
    key: Any
    key_id: str | None = None


@dataclass(frozen=True, slots=True)
class JwtRules:
    """Which tokens are good.

    Attributes:
        keys: Signed by one of these.
        audience: Whom it must be for; None takes only tokens that name nobody.
        issuer: Whom it must come from; None is anybody who has the key.
    """

    keys: Sequence[JwtKey]
    audience: str | None = None
    issuer: str | None = None

    def refusal_of(self, token: str) -> str | None:
        """Return why a token is not good, in a few words, None if it is; an end (``exp``) it must have."""
        jwt: Any = import_module("jwt")  # 50 ms, and an extra
        try:
            head = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return "it is no JSON Web Token"
        refusal = "no key is for a token of its algorithm and key id"
        for key in self.keys:
            if key.algorithm != head.get("alg") or (key.key_id is not None and key.key_id != head.get("kid")):
                continue
            try:
                jwt.decode(
                    token, key.key, algorithms=[key.algorithm], audience=self.audience, issuer=self.issuer,
                    leeway=_LEEWAY_S, options={"require": ["exp"]},
                )  # fmt: skip
            except jwt.PyJWTError as exc:
                refusal = _WORDS.get(type(exc).__name__, "it cannot be verified")
            else:
                return None
        return refusal


_WORDS: Final = {
    "ExpiredSignatureError": "it has expired",
    "ImmatureSignatureError": "it is not valid yet",
    "InvalidAudienceError": "it is for another audience",
    "InvalidIssuerError": "it comes from another issuer",
    "InvalidSignatureError": "its signature is wrong",
    "MissingRequiredClaimError": "it lacks a claim that is asked for",
}


def hmac_key(secret: bytes, source: str = "the secret") -> JwtKey:
    """Return the key of tokens signed by HS256.

    Args:
        secret: What the tokens are signed with.
        source: Where it comes from, for errors: a file, a variable.

    Raises:
        UsageError: It is too short.
        WsrecError: The extra ``auth`` is not installed.
    """
    _check_installed()
    if len(secret) < _LEAST_SECRET_BYTES:
        raise UsageError(
            f"{source} has {len(secret)} bytes, too short for HS256, which takes {_LEAST_SECRET_BYTES} or more",
            hint='make one with "openssl rand -hex 32"',
        )
    if b"-----BEGIN" in secret:
        raise UsageError(f"{source} holds no secret but a key in PEM form", hint="give a public key with --jwt-key")
    return JwtKey("HS256", secret)


def public_keys(content: bytes, source: str = "what was given") -> list[JwtKey]:
    """Return the keys of tokens signed by RS256.

    Args:
        content: A public RSA key in PEM form, or a JWKS (RFC 7517) of such keys.
        source: Where it comes from, for errors.

    Raises:
        UsageError: It is neither, or a key is too short.
        WsrecError: The extra ``auth`` is not installed.
    """
    _check_installed()
    jwt: Any = import_module("jwt")
    rsa: Any = import_module("jwt.algorithms").RSAAlgorithm(import_module("jwt.algorithms").RSAAlgorithm.SHA256)
    try:
        if content.lstrip().startswith(b"{"):
            entries = [entry for entry in json.loads(content)["keys"] if _is_for_signatures(entry)]
            keys = [JwtKey("RS256", rsa.from_jwk(entry), entry.get("kid")) for entry in entries]
        else:
            keys = [JwtKey("RS256", rsa.prepare_key(content))]
    except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
        raise UsageError(
            f"{source} is neither a public RSA key in PEM form nor a JWKS", hint="give --jwt-key a file of one of these"
        ) from None
    if not keys or any(not hasattr(key.key, "public_numbers") or hasattr(key.key, "private_numbers") for key in keys):
        raise UsageError(f"{source} holds no public RSA key, or a private one", hint="give --jwt-key public keys only")
    shortest_bits = min(key.key.key_size for key in keys)
    if shortest_bits < _LEAST_RSA_BITS:
        raise UsageError(
            f"{source} holds an RSA key of {shortest_bits} bits, and RS256 takes {_LEAST_RSA_BITS} or more",
            hint='make one with "openssl genrsa -out private.pem 3072" and "openssl rsa -in private.pem -pubout"',
        )
    return keys


def _is_for_signatures(entry: dict[str, str]) -> bool:
    return entry["kty"] == "RSA" and entry.get("use", "sig") == "sig" and entry.get("alg", "RS256") == "RS256"


def _check_installed() -> None:
    if importlib.util.find_spec("jwt") is None or importlib.util.find_spec("cryptography") is None:
        raise WsrecError("JSON Web Tokens need what the extra 'auth' brings", hint="pip install 'wsrecorder[auth]'")
