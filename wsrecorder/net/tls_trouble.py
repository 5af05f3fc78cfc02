"""Words for what TLS says of a server that is not trusted, or that does not trust us."""

from __future__ import annotations

import ssl
from typing import Final

__all__ = ["tls_trouble", "why_away"]

_UNKNOWN: Final = "its certificate is of an authority that is not known here"
_WITH_CA: Final = "name the authority's certificate with --ca, if you trust it"

# X509_V_ERR_…, openssl/x509_vfy.h
_VERDICTS: Final = {
    9: ("its certificate is not valid yet", "check the clock of this machine"),
    10: ("its certificate has expired", "tell who runs the server; check the clock of this machine"),
    18: ("its certificate is signed by nobody but itself", "name it with --ca, if you trust it"),
    19: (_UNKNOWN, _WITH_CA),
    20: (_UNKNOWN, _WITH_CA),
    21: (_UNKNOWN, _WITH_CA),
    62: ("its certificate is for another host", "use the host's name as the certificate has it"),
    64: ("its certificate is for another address", "use the host's name as the certificate has it"),
}
_ALERTS: Final = {
    "CERTIFICATE_REQUIRED": ("it asks for a certificate of ours", "give --client-cert and --client-key"),
    "HANDSHAKE_FAILURE": ("it breaks off the handshake", "it may ask for --client-cert and --client-key"),
    "UNKNOWN_CA": ("it does not know the authority of our certificate", "check --client-cert"),
    "BAD_CERTIFICATE": ("it refuses our certificate", "check --client-cert"),
    "CERTIFICATE_EXPIRED": ("our certificate has expired", "get a new one for --client-cert"),
    "CERTIFICATE_UNKNOWN": ("it refuses our certificate", "check --client-cert"),
    "WRONG_VERSION_NUMBER": ("it does not speak TLS there", "use ws:// for plain, or another port"),
    "UNSUPPORTED_PROTOCOL": ("it speaks only old TLS", "TLS 1.2 or newer is asked for"),
    "PROTOCOL_VERSION": ("it speaks no TLS that we do", "TLS 1.2 or newer is asked for"),
}


def tls_trouble(exc: ssl.SSLError) -> tuple[str, str]:
    """Return what is wrong, and what to do about it."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        known = _VERDICTS.get(exc.verify_code)
        return known or (f"its certificate cannot be trusted: {exc.verify_message}", "check the certificate")
    reason = exc.reason or str(exc)
    for alert, words in _ALERTS.items():
        if alert in reason:
            return words
    return f"TLS failed: {reason}", "check the certificate, or use ws:// for plain"


def why_away(exc: OSError) -> str:
    """Return why a server cannot be had, to stand behind its name."""
    if isinstance(exc, ssl.SSLError):
        return f"cannot be trusted: {tls_trouble(exc)[0]}"
    return f"cannot be reached: {exc.strerror or exc}"
