"""Options of commands that listen: who may connect, and how much one may do."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wsrecorder.cli.options import parse_size
from wsrecorder.cli.output import say
from wsrecorder.core.moment import parse_duration
from wsrecorder.errors import UsageError

if TYPE_CHECKING:
    from wsrecorder.net.access import Access
    from wsrecorder.net.jwt_keys import JwtKey, JwtRules
    from wsrecorder.net.tls import Certificate

__all__ = [
    "AllowOrigin",
    "AuthToken",
    "AuthTokenEnv",
    "AuthTokenFile",
    "Cert",
    "HandshakeTimeout",
    "InboundRate",
    "JwtAudience",
    "JwtIssuer",
    "JwtKeyFile",
    "JwtSecretEnv",
    "JwtSecretFile",
    "Key",
    "MaxClients",
    "MaxInbound",
    "access_of",
    "certificate_of",
    "from_variable",
    "jwt_rules_of",
    "read_secret_file",
    "tokens_of",
]

_PANEL: Final = "Who may connect"

AllowOrigin = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-origin", metavar="ORIGIN", rich_help_panel=_PANEL,
        help="Web page that may connect, as in https://desk.example.com or https://*.example.com; by default all. "
        "Repeatable.",
    ),
]  # fmt: skip
AuthToken = Annotated[
    list[str] | None,
    typer.Option(
        "--auth-token", metavar="TOKEN", rich_help_panel=_PANEL,
        help="Token that clients must bring; others on this machine can read it in the list of processes. Repeatable.",
    ),
]  # fmt: skip
AuthTokenEnv = Annotated[
    str | None,
    typer.Option(
        "--auth-token-env", metavar="NAME", rich_help_panel=_PANEL, help="Environment variable that holds tokens."
    ),
]
AuthTokenFile = Annotated[
    Path | None,
    typer.Option("--auth-token-file", metavar="FILE", rich_help_panel=_PANEL, help="File with a token on each line."),
]
JwtSecretEnv = Annotated[
    str | None,
    typer.Option(
        "--jwt-secret-env", metavar="NAME", rich_help_panel=_PANEL,
        help="Environment variable with the secret of JSON Web Tokens, HS256.",
    ),
]  # fmt: skip
JwtSecretFile = Annotated[
    Path | None,
    typer.Option(
        "--jwt-secret-file", metavar="FILE", rich_help_panel=_PANEL, help="File with the secret of tokens, HS256."
    ),
]
JwtKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--jwt-key", metavar="FILE", rich_help_panel=_PANEL, help="Public key of tokens, RS256: a PEM file or a JWKS."
    ),
]
JwtAudience = Annotated[
    str | None,
    typer.Option("--jwt-audience", metavar="NAME", rich_help_panel=_PANEL, help="Whom a token must be for (aud)."),
]
JwtIssuer = Annotated[
    str | None,
    typer.Option("--jwt-issuer", metavar="NAME", rich_help_panel=_PANEL, help="Whom a token must come from (iss)."),
]
Cert = Annotated[
    Path | None,
    typer.Option("--cert", metavar="FILE", rich_help_panel=_PANEL, help="Certificate to serve over TLS with, PEM."),
]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", rich_help_panel=_PANEL, help="Its private key, PEM.")
]
MaxClients = Annotated[
    int | None,
    typer.Option("--max-clients", metavar="N", min=1, rich_help_panel=_PANEL, help="Clients at a time; more get 503."),
]
HandshakeTimeout = Annotated[
    str,
    typer.Option("--handshake-timeout", metavar="TIME", rich_help_panel=_PANEL, help="How long a handshake may take."),
]
MaxInbound = Annotated[
    str | None,
    typer.Option(
        "--max-inbound", metavar="SIZE", rich_help_panel=_PANEL,
        help="Largest message that a client may send; a larger one closes it (1009).",
    ),
]  # fmt: skip
InboundRate = Annotated[
    int | None,
    typer.Option(
        "--inbound-rate", metavar="N", min=1, rich_help_panel=_PANEL,
        help="Messages per second that a client may send; more close it (1008).",
    ),
]  # fmt: skip


def tokens_of(given: Sequence[str] | None, variable: str | None, file: Path | None) -> tuple[str, ...]:
    """Return the tokens that clients may bring.

    Raises:
        UsageError: One cannot be one, or cannot be read, or there is none where some were asked for.
    """
    sources = {"--auth-token": list(given)} if given else {}
    if variable is not None:
        sources[variable] = from_variable(variable).decode(errors="replace").split()
    if file is not None:
        sources[str(file)] = read_secret_file(file).decode(errors="replace").split()
    for source, tokens in sources.items():
        if not tokens:
            raise UsageError(f"there is no token in {source}", hint="put one on a line")
        for number, token in enumerate(tokens, 1):
            if not _can_be_token(token):
                raise UsageError(
                    f"token {number} of {source} cannot be one: it goes into headers and addresses, and must not be "
                    "guessed",
                    hint='use 8 or more letters, digits, dots, dashes; make one with "openssl rand -hex 32"',
                )
    return tuple(dict.fromkeys(token for tokens in sources.values() for token in tokens))


def _can_be_token(text: str) -> bool:
    return 8 <= len(text) <= 4096 and text.isascii() and all(c.isalnum() or c in "._~+/=-" for c in text)


def jwt_rules_of(
    variable: str | None, file: Path | None, key_file: Path | None, audience: str | None, issuer: str | None
) -> JwtRules | None:
    """Return which JSON Web Tokens are good; None where no key was given.

    Raises:
        UsageError: A key is none, or cannot be read.
        WsrecError: The extra ``auth`` is not installed.
    """
    from wsrecorder.net.jwt_keys import JwtRules, hmac_key, public_keys

    keys: list[JwtKey] = []
    if variable is not None:
        keys.append(hmac_key(from_variable(variable), variable))
    if file is not None:
        keys.append(hmac_key(read_secret_file(file), str(file)))
    if key_file is not None:
        keys += public_keys(_read(key_file), str(key_file))
    if not keys:
        if audience is not None or issuer is not None:
            raise UsageError(
                "--jwt-audience and --jwt-issuer say which JSON Web Tokens are good, and there is no key for any",
                hint="give --jwt-key, --jwt-secret-env or --jwt-secret-file too",
            )
        return None
    return JwtRules(keys, audience, issuer)


def certificate_of(cert: Path | None, key: Path | None) -> Certificate | None:
    """Return the certificate, None without one; warn of a key that others may read.

    Raises:
        UsageError: One of the two files is missing.
    """
    from wsrecorder.net.tls import Certificate

    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise UsageError("TLS takes a certificate and its private key", hint="give both files")
    _warn_of_readers(key)
    return Certificate(cert, key)


def access_of(
    host: str,
    origins: Sequence[str] | None,
    tokens: tuple[str, ...],
    jwt: JwtRules | None,
    certificate: Certificate | None,
    *,
    max_clients: int | None,
    handshake_timeout: str,
    max_inbound: str | None = None,
    inbound_rate: int | None = None,
) -> Access:
    """Return who may connect to a host, and how much one may do; say what is unsafe about it.

    Raises:
        UsageError: An origin, a size or a time cannot be read, or a limit lets nobody in.
    """
    from wsrecorder.net.access import Access

    access = Access(
        allow_origins=tuple(origins or ()),
        tokens=tokens,
        jwt=jwt,
        certificate=certificate,
        max_clients=max_clients,
        handshake_timeout_s=parse_duration(handshake_timeout) / 1e9,
        max_inbound_bytes=None if max_inbound is None else parse_size(max_inbound),
        inbound_per_s=inbound_rate,
    )
    for warning in access.warnings(host):
        say(f"warning: {warning}")
    return access


def from_variable(name: str) -> bytes:
    """Return what an environment variable holds, without white space around it.

    Raises:
        UsageError: It is not set.
    """
    value = os.environb.get(name.encode(), b"").strip()
    if not value:
        raise UsageError(f"the environment variable {name} is not set", hint="export it, or give a file")
    return value


def read_secret_file(file: Path) -> bytes:
    """Return what a file holds, without white space around it: an editor's last line feed is no part of a secret.

    That others may read it is warned of.

    Raises:
        UsageError: It cannot be read.
    """
    content = _read(file)
    _warn_of_readers(file)
    return content


def _warn_of_readers(file: Path) -> None:
    # Nothing else has readers: a pipe of the shell, as in <(pass show token), is gone with us.
    if file.is_file() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        say(f'warning: others may read {file}, which holds a secret: "chmod 600 {file}" keeps it from them')


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes().strip()
    except OSError as exc:
        raise UsageError(f"cannot read {file}: {exc.strerror}", hint="check the name of the file") from exc
