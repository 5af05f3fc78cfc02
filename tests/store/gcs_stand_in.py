"""A stand-in for Google Cloud Storage, as far as libraries need it: its XML API, in memory, on loopback.

https://cloud.google.com/storage/docs/xml-api/overview; preconditions: x-goog-if-generation-match, 0 is "not there".
"""

from __future__ import annotations

import hashlib
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_DATE = "Tue, 24 Nov 2026 12:00:00 GMT"


class GcsStandIn:
    """Buckets that come into being as they are named; to be entered as a context.

    Attributes:
        url: Where it is.
    """

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.generations = count(1_700_000_000_000_001)
        self.lock = Lock()
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> GcsStandIn:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    stand_in: GcsStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_PUT(self) -> None:
        name, content = self._name(), self.rfile.read(int(self.headers["Content-Length"]))
        wanted = self.headers.get("x-goog-if-generation-match")
        with self.stand_in.lock:
            _, generation = self.stand_in.objects.get(name, (b"", 0))
            if wanted is not None and int(wanted) != generation:
                self._answer(412, b"<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>")
                return
            self.stand_in.objects[name] = content, next(self.stand_in.generations)
            self._answer(200, b"", self._headers(name))

    def do_GET(self) -> None:
        if "list-type" in self._query():
            self._list()
            return
        name = self._name()
        if name not in self.stand_in.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
            return
        content, _ = self.stand_in.objects[name]
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self._answer(200, content, self._headers(name))
            return
        first, last = wanted.groups()
        start = int(first) if first else max(0, len(content) - int(last))
        end = min(len(content), int(last) + 1) if first and last else len(content)
        span = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
        self._answer(206, content[start:end], self._headers(name) | span)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self._answer(404 if self.stand_in.objects.pop(self._name(), None) is None else 204, b"")

    def _list(self) -> None:
        bucket, prefix = self._name().strip("/"), self._query().get("prefix", "")
        delimiter = self._query().get("delimiter")
        keys = [
            name.removeprefix(f"{bucket}/") for name in sorted(self.stand_in.objects) if name.startswith(f"{bucket}/")
        ]
        keys = [key for key in keys if key.startswith(prefix)]
        folders = {f"{prefix}{key[len(prefix) :].partition('/')[0]}/" for key in keys if "/" in key[len(prefix) :]}
        shown = [key for key in keys if not delimiter or "/" not in key[len(prefix) :]]
        parts = [
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.stand_in.objects[f'{bucket}/{key}'][0])}</Size>"
            f"<LastModified>2026-11-24T12:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag></Contents>"
            for key in shown
        ]
        if delimiter:
            parts += [f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in sorted(folders)]
        self._answer(200, f"<ListBucketResult>{''.join(parts)}</ListBucketResult>".encode())

    def _name(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix("/")

    def _query(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}

    def _headers(self, name: str) -> dict[str, str]:
        content, generation = self.stand_in.objects[name]
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return {"ETag": f'"{etag}"', "x-goog-generation": str(generation), "Last-Modified": _DATE}

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
