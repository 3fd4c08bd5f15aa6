"""A server for one page of a browser on this machine: gives it listed files, takes its answers."""

from __future__ import annotations

import secrets
import shutil
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ADDRESS = "127.0.0.1"
POLL = 0.02  # seconds that ending may take longer
ANSWER, ALIVE = "answer", "alive"  # what a page asks for beyond files
TYPES = {".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm"}
OTHER = "application/octet-stream"
HEADERS = {
    # Threads, and a clock that counts in steps of 5 microseconds instead of 100.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    # Nothing is fetched from elsewhere, whatever a release of a runtime would like to.
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Exchange:
    """What goes between this process and a page.

    Args:
        given: files by the path that the page asks for.
        taken: files by the path that the page posts to.
        answered: the page has said its last word.
        gone: the page is no more.
    """

    given: Mapping[str, Path]
    taken: Mapping[str, Path]
    answered: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(exchange: Exchange) -> Iterator[str]:
    """Serve until the end of the block: gives the address that paths are below.

    It holds a secret, so that no other program of this machine gets the files, or answers.
    """
    secret = f"/{secrets.token_urlsafe()}/"
    handler = type("Handler", (_Handler,), {"exchange": exchange, "secret": secret})
    with _Server((ADDRESS, 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(POLL,), daemon=True).start()
        try:
            yield f"http://{ADDRESS}:{server.server_port}{secret}"
        finally:
            server.shutdown()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing: a browser that ends lets go of what it asked for."""


class _Handler(BaseHTTPRequestHandler):
    exchange: Exchange
    secret: str

    def do_GET(self) -> None:
        if self._asked() == ALIVE:
            self._watch()
        elif file := self.exchange.given.get(self._asked()):
            self._send(file)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        asked, length = self._asked(), self.headers["Content-Length"] or ""
        if asked not in self.exchange.taken or not length.isdecimal():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.exchange.taken[asked].write_bytes(self.rfile.read(int(length)))
        if asked == ANSWER:  # before the page knows: it is gone right after that
            self.exchange.answered.set()
        self._start(HTTPStatus.NO_CONTENT)

    def _asked(self) -> str:
        """The path below the secret; of others one that nothing has."""
        return self.path.removeprefix(self.secret) if self.path.startswith(self.secret) else "/"

    def _send(self, file: Path) -> None:
        length = {"Content-Length": str(file.stat().st_size)}
        self._start(HTTPStatus.OK, {"Content-Type": TYPES.get(file.suffix, OTHER)} | length)
        with file.open("rb") as source, suppress(ConnectionError):
            shutil.copyfileobj(source, self.wfile)

    def _watch(self) -> None:
        """Wait until the page lets go of a stream that never says anything."""
        self._start(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
        with suppress(OSError):
            self.connection.recv(1)
        self.exchange.gone.set()

    def _start(self, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (HEADERS | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
