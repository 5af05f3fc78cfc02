from __future__ import annotations

import asyncio
import ssl
from http.client import HTTPSConnection
from pathlib import Path

from tests.certificates import make_certificate
from tests.jobs.replays import message, session
from wsrecorder.clock import SystemClock
from wsrecorder.console.options import ConsoleOptions
from wsrecorder.console.scene import Scene
from wsrecorder.console.server import Console
from wsrecorder.net.access import Access


async def test_a_console_serves_over_tls(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    scene = Scene([session(tmp_path, [message(0.1)])], replay=None, library=tmp_path, clock=SystemClock()).load()
    options = ConsoleOptions(port=0, token="a-token-of-tests", access=Access(certificate=certificate))

    def ask(port: int, path: str, headers: dict[str, str]) -> tuple[int, str]:
        connection = HTTPSConnection(
            "127.0.0.1", port, timeout=20, context=ssl.create_default_context(cafile=certificate.cert)
        )
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        connection.close()
        return answer.status, answer.getheader("Set-Cookie", "")

    async with Console(scene, options, is_awaited=True) as console:
        assert console.url.startswith("https://127.0.0.1:")
        port = int(console.url.rpartition(":")[2])
        known = {"Authorization": "Bearer a-token-of-tests"}
        assert (await asyncio.to_thread(ask, port, "/api/state", known))[0] == 200
        assert (await asyncio.to_thread(ask, port, "/api/state", known | {"Origin": console.url}))[0] == 200
        plain = console.url.replace("https", "http")
        assert (await asyncio.to_thread(ask, port, "/api/state", known | {"Origin": plain}))[0] == 403
        assert "Secure" in (await asyncio.to_thread(ask, port, "/?token=a-token-of-tests", {}))[1]
