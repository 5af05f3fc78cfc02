"""SeaweedFS as tests need it: one process on loopback, with a place for whoever asks."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from itertools import count
from pathlib import Path

KEY, SECRET = "wsrec-test-key", "wsrec-test-secret"
_STARTS_WITHIN_S = 60.0
_LIBRARIES = count()


def weed_program() -> str | None:
    """Return where ``weed`` is: beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


class Weed:
    """A running SeaweedFS with its S3 gateway.

    Attributes:
        s3_port: Where it speaks S3.

    Args:
        program: Where ``weed`` is.
        folder: Where it keeps everything.
        bucket: The one bucket that there is.
    """

    def __init__(self, program: str, folder: Path, bucket: str = "wsrec-test") -> None:
        self.bucket = bucket
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        master, volume, filer, self.s3_port, *grpc = _free_ports(8)
        self._master = f"127.0.0.1:{master}"
        names = ("master", "volume", "filer", "s3")
        self._ports = {
            **dict(zip((f"{name}.port" for name in names), (master, volume, filer, self.s3_port), strict=True)),
            **dict(zip((f"{name}.port.grpc" for name in names), grpc, strict=True)),
        }

    def __enter__(self) -> Weed:
        rights = self._folder / "s3.json"
        may = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}]}
        rights.write_text(json.dumps({"identities": [{**may, "actions": ["Admin", "Read", "Write", "List"]}]}))
        data = self._folder / "data"
        data.mkdir()
        with (self._folder / "weed.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program, "server", "-ip=127.0.0.1", f"-dir={data}", "-filer=true", "-s3", "-volume.max=20",
                    "-s3.port.iceberg=0", "-s3.port.lance=0",
                    f"-s3.config={rights}", *(f"-{name}={port}" for name, port in self._ports.items()),
                ],
                cwd=self._folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.s3_port}"

    def environment(self, url: str | None = None) -> dict[str, str]:
        """Return what tells programs how to reach it, at another URL if one is given."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url or self.url,
        }

    def new_library(self) -> str:
        """Return a URL below which there is nothing.

        All are in one bucket: of each, SeaweedFS keeps volumes of its own, and it has few.
        """
        return f"s3://{self.bucket}/library-{next(_LIBRARIES)}"

    def _put_something(self) -> None:
        """Make the bucket: one that is not there comes into being with its first object."""
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            self.bucket, endpoint=self.url, access_key_id=KEY, secret_access_key=SECRET, region="us-east-1",
            client_options={"allow_http": True},
        )  # fmt: skip
        obstore.put(store, ".made", b"")
        obstore.delete(store, ".made")

    def _wait_until_it_answers(self) -> None:
        """Return once an object can be put: the gateway answers before there is anywhere to keep something."""
        until = time.monotonic() + _STARTS_WITHIN_S
        while True:
            assert self._process is not None
            if self._process.poll() is not None:
                raise AssertionError(f"SeaweedFS ended: {self._said()}")
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2):
                    self._put_something()
                return
            except (urllib.error.URLError, OSError, Exception) as exc:
                if time.monotonic() > until:
                    raise AssertionError(f"SeaweedFS does not answer: {exc}; it says {self._said()}") from exc
                time.sleep(0.2)

    def _said(self) -> str:
        return (self._folder / "weed.log").read_text(errors="replace")[-2_000:]


def _free_ports(number: int) -> list[int]:
    """Return ports that nobody has; all are held until the last is known, so that none comes twice."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    try:
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()
