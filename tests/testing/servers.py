"""A real server for projects of others to record: it answers, counts its clients, and can be gone."""

from __future__ import annotations

import json
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve


class RealServer:
    """Welcomes each client by its number, answers each message, and closes with 4001 when it is told goodbye.

    Attributes:
        clients: How many have come so far.
        paths: What they asked for.
    """

    def __init__(self) -> None:
        self.clients = 0
        self.paths: list[str] = []
        self._server: Server = serve(self._attend, "127.0.0.1", 0, select_subprotocol=self._choose)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/feed"

    @staticmethod
    def _choose(connection: ServerConnection, offered: object) -> str | None:
        return "prices.v1" if offered else None

    def _attend(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.clients += 1
        self.paths.append(connection.request.path)
        try:
            connection.send(json.dumps({"type": "welcome", "number": self.clients, "token": "server-secret"}))
            for message in connection:
                if message == "goodbye":
                    connection.close(4001, "as you say")
                elif isinstance(message, bytes):
                    connection.send(message[::-1])
                elif message != "noise":
                    to = "login" if "login" in message else message
                    connection.send(json.dumps({"type": "answer", "to": to}))
        except ConnectionClosed:
            pass

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
