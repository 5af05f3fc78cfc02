"""TLS contexts: of what listens, and of what connects."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from wsrecorder.errors import UsageError

__all__ = ["Certificate", "TlsContext", "client_context", "server_context"]

TlsContext: TypeAlias = ssl.SSLContext
"""How TLS is spoken, for whoever only hands it on."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key.

    Attributes:
        cert: PEM file of the certificate, and of those that lead from it to the authority.
        key: PEM file of the key, without a passphrase.
    """

    cert: Path
    key: Path

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have a context show this certificate.

        Raises:
            UsageError: It cannot be read, or the key is not its own.
        """
        try:
            # Asked for a passphrase, OpenSSL would read it from the terminal, and wait there.
            context.load_cert_chain(self.cert, self.key, password=lambda: "")
        except ssl.SSLError as exc:
            if exc.reason == "KEY_VALUES_MISMATCH":
                raise UsageError(
                    f"{self.key} is not the key of {self.cert}", hint="give a certificate and its own private key"
                ) from None
            raise UsageError(
                f"{self.cert} and {self.key} cannot be used for TLS: {exc.reason or exc}",
                hint="give a certificate and its own private key, both PEM, the key without a passphrase",
            ) from None
        except OSError as exc:
            raise UsageError(
                f"cannot read {self._unreadable}: {exc.strerror}", hint="check the names of the files"
            ) from None

    @property
    def _unreadable(self) -> str:
        """Which file cannot be read: OpenSSL does not say."""
        found = [str(path) for path in (self.cert, self.key) if not os.access(path, os.R_OK)]
        return found[0] if len(found) == 1 else f"{self.cert} and {self.key}"


def server_context(certificate: Certificate | None) -> ssl.SSLContext | None:
    """Return how a server speaks TLS, 1.2 or newer; None without a certificate.

    Raises:
        UsageError: The certificate cannot be used.
    """
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate.load_into(context)
    return context


def client_context(authorities: Path | None, certificate: Certificate | None) -> ssl.SSLContext:
    """Return how a server is checked: its certificate always, and its name.

    Args:
        authorities: PEM file of those that are believed instead of the system's, or None.
        certificate: What we show of ourselves, or None.

    Raises:
        UsageError: A file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=authorities)
    except ssl.SSLError as exc:
        raise UsageError(
            f"{authorities} holds no certificate: {exc.reason or exc}", hint="give a PEM file of authorities with --ca"
        ) from None
    except OSError as exc:
        raise UsageError(f"cannot read {authorities}: {exc.strerror}", hint="check the name of --ca's file") from None
    if certificate is not None:
        certificate.load_into(context)
    return context
