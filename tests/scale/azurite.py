"""Azurite, Microsoft's emulator of Azure Blob Storage, as tests need it: one process on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.processes import free_port

_ACCOUNT = "devstoreaccount1"
# Every Azurite has this account with this key: it is in its manual.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = "2023-11-03"
_STARTS_WITHIN_S = 60.0


def azurite_program() -> str | None:
    """Return where ``azurite-blob`` is: where "make scale" puts it, or on the path."""
    installed = Path(sys.prefix) / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    return str(installed) if installed.exists() else shutil.which("azurite-blob")


class Azurite:
    """A running Azurite.

    Args:
        program: Where ``azurite-blob`` is.
        folder: Where it keeps everything.
        container: The one container that there is.
    """

    def __init__(self, program: str, folder: Path, container: str = "wsrec-test") -> None:
        self.container = container
        self._program = program
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What tells programs how to reach it."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{self._port}/{_ACCOUNT}",
        }

    def __enter__(self) -> Azurite:
        with (self._folder / "azurite.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program, "--blobHost", "127.0.0.1", "--blobPort", str(self._port), "--location", "data",
                    "--skipApiVersionCheck", "--disableTelemetry",
                ],
                cwd=self._folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            self._make_container()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)

    def _make_container(self) -> None:
        """Make the container, as soon as it answers (REST: "Create Container", authorized with "Shared Key")."""
        until = time.monotonic() + _STARTS_WITHIN_S
        while True:
            try:
                urllib.request.urlopen(self._request(), timeout=5).close()
                return
            except urllib.error.HTTPError:
                raise
            except OSError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self._folder / "azurite.log").read_text(errors="replace")) from None
                time.sleep(0.1)

    def _request(self) -> urllib.request.Request:
        headers = {"x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": _VERSION}
        told = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
        blank = "\n" * 12
        signed = f"PUT{blank}{told}/{_ACCOUNT}/{_ACCOUNT}/{self.container}\nrestype:container"
        signature = base64.b64encode(hmac.digest(base64.b64decode(_KEY), signed.encode(), hashlib.sha256)).decode()
        url = f"{self.environment['AZURE_STORAGE_ENDPOINT']}/{self.container}?restype=container"
        return urllib.request.Request(
            url, method="PUT", headers=headers | {"Authorization": f"SharedKey {_ACCOUNT}:{signature}"}
        )
