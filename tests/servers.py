"""An OpenAI-compatible server for tests: it answers as it is told to, and has every bad habit. No test is in here."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any, dict[str, str]]
"""Status, body (bytes, or what becomes JSON) and headers."""
Habit = Callable[[BaseHTTPRequestHandler], None]
"""What a server does with a connection instead of answering."""


def said(text: str, *, finish: str = "stop", logprobs: list[float] | None = None) -> Answer:
    """A well-formed answer of an OpenAI server."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    if logprobs is not None:
        choice["logprobs"] = {"content": [{"token": "x", "logprob": value} for value in logprobs]}
    return 200, {"choices": [choice], "usage": {"completion_tokens": 7}}, {}


class Server(ThreadingHTTPServer):
    """Answers chat requests by a function of the request and its number from 0, and remembers them."""

    daemon_threads = True
    request_queue_size = 600

    def __init__(self, answer: Callable[[dict, int], Answer | Habit | None],
                 models: list[str] | Answer | Habit | None = None, port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__((host, port), Handler)
        self.answer, self.models = answer, ["m"] if models is None else models
        self.requests: list[dict] = []
        self.keys: list[str | None] = []
        self.about: Any = None
        self.lock = threading.Lock()
        self.now = self.most = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, *_: object) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.server.keys.append(self.headers["Authorization"])
        models = self.server.models
        if self.path.endswith("/latexocr"):
            models = 200, self.server.about, {}
        if callable(models):
            self.close_connection = True
            with contextlib.suppress(OSError):
                return models(self)
        self._send(models if isinstance(models, tuple) else (200, {"data": [{"id": name} for name in models]}, {}))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.requests)
            self.server.requests.append(request)
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        try:
            answer = self.server.answer(request, number)
        finally:
            with self.server.lock:
                self.server.now -= 1
        if callable(answer):
            with contextlib.suppress(OSError):
                answer(self)
        if answer is None or callable(answer):
            self.close_connection = True
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        status, body, headers = answer
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)  # "Connection: close" also closes it
        with contextlib.suppress(OSError):  # the reader may have stopped waiting
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Break the connection as a crashed machine does."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.shutdown(socket.SHUT_RD)
    handler.connection.close()


def half(text: bytes, *, of: int, then_s: float = 0.0) -> Habit:
    """Promise `of` bytes, send fewer, and go away after a while."""
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (of, text))
        time.sleep(then_s)
    return answer


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then: no single wait is long, and the answer never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(75):
        handler.wfile.write(b" ")
        time.sleep(0.02)


def endless(handler: BaseHTTPRequestHandler) -> None:
    """An answer without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        handler.wfile.write(b" " * (1 << 20))


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve in a thread."""
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
