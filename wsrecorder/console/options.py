"""How a console serves."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from wsrecorder.net.access import is_loopback
from wsrecorder.net.tls import Certificate

__all__ = ["INSTALL_HINT", "ConsoleOptions", "is_installed"]

INSTALL_HINT: Final = "pip install 'wsrecorder[console]'"

_NEEDED: Final = ("fastapi", "uvicorn", "plotly", "swagger_ui_bundle")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """How a console serves.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        is_port_free_to_choose: Whether a free port will do where that one is taken.
        token: What a request must bring; None asks for none on loopback, and makes one elsewhere.
        certificate: Shown over TLS; None serves without.
    """

    host: str = "127.0.0.1"
    port: int = 8001
    is_port_free_to_choose: bool = False
    token: str | None = None
    certificate: Certificate | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    def required_token(self) -> str | None:
        """Return the token that a request must bring, a new one where one is needed and none was given."""
        if self.token is not None or self.is_loopback:
            return self.token
        return secrets.token_urlsafe(24)


def is_installed() -> bool:
    """Return whether what the extra ``console`` brings is here; nothing of it is loaded."""
    return all(find_spec(name) is not None for name in _NEEDED)
