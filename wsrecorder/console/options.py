"""How a console serves."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final

from wsrecorder.net.access import Access, is_loopback

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
        token: A token of its own, good beside those of ``access``; None makes one where one is asked for.
        access: Who may use it: origins, tokens and certificate are those of the endpoint beside it. What limits
            clients of an endpoint does not count here.
    """

    host: str = "127.0.0.1"
    port: int = 8001
    is_port_free_to_choose: bool = False
    token: str | None = None
    access: Access = field(default_factory=Access)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    def required_token(self) -> str | None:
        """Return the console's own token, a new one where one is needed and none was given; None asks for none.

        One is needed beyond loopback, and where the endpoint asks for tokens: the address that is said then brings one
        along that is good for as long as the console, and for nothing else.
        """
        if self.token is not None or (self.is_loopback and not self.access.asks_for_token):
            return self.token
        return secrets.token_urlsafe(24)

    def warnings(self) -> list[str]:
        """Return what is unsafe about where it listens; a token is always asked for beyond loopback."""
        if self.is_loopback or self.access.certificate is not None:
            return []
        return [f"what the console shows, and its token, go to {self.host} unencrypted: see --cert and --key"]


def is_installed() -> bool:
    """Return whether what the extra ``console`` brings is here; nothing of it is loaded."""
    return all(find_spec(name) is not None for name in _NEEDED)
