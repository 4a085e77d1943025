"""What stands before a model server: a limit on the size of a request, and its key on every path but /health.

vLLM loads this file by its name (`--middleware latexocr_guard.Guard`). By itself it takes bodies of any size, and asks
for the key only below /v1, /v2 and /inference: /invocations, which runs the model too, is open to everybody.
Its key is read where vLLM reads it: in the environment variable VLLM_API_KEY. What vLLM does not say of a model and our
client wants to know, it says at /v1/latexocr: the JSON that `latexocr serve` put into LATEXOCR_SERVED.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

LARGEST_BODY = 16 * 2**20
"""Bytes of a request: a photograph of twelve million pixels, as base64, takes half of it."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
ABOUT = "/v1/latexocr"
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Guard:
    """ASGI middleware: hands on what may pass, and answers the rest with 401, 411 or 413."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app
        self.key = os.environ.get("VLLM_API_KEY", "").encode()
        self.about = os.environ.get("LATEXOCR_SERVED", "{}").encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None and scope["type"] == "http" and scope["path"] == ABOUT:
            await _answer(send, 200, self.about)
        elif refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, message = refusal
            await _answer(send, status, json.dumps({"error": {"message": message, "code": status}}).encode())

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, where a request may not pass. A body without its length is refused: it may be endless."""
        headers = dict(scope["headers"])
        if self.key and scope["path"] != "/health" and not self._knows_key(headers.get(b"authorization", b"")):
            return 401, "This server needs its API key: Authorization: Bearer KEY."
        if b"transfer-encoding" in headers:
            return 411, "Send the body with its Content-Length."
        if int(headers.get(b"content-length", 0)) > LARGEST_BODY:
            return 413, f"A request may hold {LARGEST_BODY} bytes. Send a smaller picture."
        return None

    def _knows_key(self, authorization: bytes) -> bool:
        scheme, _, given = authorization.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self.key)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
               (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
