"""HAProxy as ``examples/operations/haproxy.cfg`` has it, before as many replays as there are."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import free_port

__all__ = ["Balancer", "haproxy_program"]

CONFIG = Path(__file__).parents[1] / "examples/operations/haproxy.cfg"
NAMES = ("one", "two", "three", "four")
_STARTS_WITHIN_S = 20.0


def haproxy_program() -> str | None:
    """Return where ``haproxy`` is; Debian has it where only root looks."""
    return shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")


class Balancer:
    """A running HAProxy.

    Attributes:
        port: Where it takes clients.
        process: HAProxy itself.

    Args:
        program: Where ``haproxy`` is.
        replays: Port of each replay and of its metrics, up to four.
    """

    def __init__(self, program: str, replays: Sequence[tuple[int, int]]) -> None:
        # Of a short name: a socket's path may not be longer than about 100 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="wsrec-ha-")
        self.port = free_port()
        self._socket = Path(self._folder.name) / "admin.sock"
        config = Path(self._folder.name) / "haproxy.cfg"
        config.write_text(configured(CONFIG.read_text(), self.port, self._socket, replays))
        self.process = subprocess.Popen([program, "-db", "-f", config], stdin=subprocess.DEVNULL)

    def __enter__(self) -> Balancer:
        until = time.monotonic() + _STARTS_WITHIN_S
        while not self._is_up():
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise RuntimeError("HAProxy did not start")
            time.sleep(0.02)
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.terminate()
        self.process.wait(20)
        self._folder.cleanup()

    def _is_up(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return self._socket.exists()
        except OSError:
            return False

    def say(self, command: str) -> str:
        """Return the answer to a command on the admin socket."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self._socket))
            admin.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: admin.recv(65_536), b"")).decode()

    def set_state(self, name: str, state: str) -> None:
        """Make a replay ``ready``, ``drain`` (no new clients) or ``maint`` (no clients)."""
        if said := self.say(f"set server alone/{name} state {state}").strip():
            raise RuntimeError(said)


def configured(text: str, port: int, admin: Path, replays: Sequence[tuple[int, int]]) -> str:
    """Return the example with these ports, and without the servers that are more."""
    ours = {"/run/haproxy/wsrec.sock": str(admin), "bind 127.0.0.1:8000": f"bind 127.0.0.1:{port}"}
    for theirs, instead in {**ours, "maxconn 4000": "maxconn 400"}.items():  # machines differ in what they allow
        assert theirs in text, theirs
        text = text.replace(theirs, instead)
    for number, name in enumerate(NAMES, start=1):
        line = re.compile(rf"^ +server {name} .*\n", re.MULTILINE)
        if number > len(replays):
            text = line.sub("", text)
        else:
            serves, tells = replays[number - 1]
            text = text.replace(f"127.0.0.1:810{number}", f"127.0.0.1:{serves}").replace(
                f"port 947{number}", f"port {tells}"
            )
    return text
