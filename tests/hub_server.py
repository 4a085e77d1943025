"""A hub for tests: what the real client of huggingface_hub needs for an upload, on this machine. No test is in here.

Files of the large kind come by the xet protocol (tests/xet_store.py) where the client has it, else by that of git LFS,
in one piece or in several.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.xet_store import Store

LARGE = (".safetensors",)


class Hub(ThreadingHTTPServer):
    """One repository at most; what was uploaded is in `files`, what was asked in `asked`."""

    daemon_threads = True

    def __init__(self, token: str, *, part: int | None = None, may_write: bool = True, exists: bool = False,
                 full: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.token, self.part, self.may_write, self.exists, self.full = token, part, may_write, exists, full
        self.files: dict[str, bytes] = {}
        self.blobs: dict[str, dict[int, bytes]] = {}
        self.store, self.store_token = Store(), f"{token}_for_the_store"
        self.asked: list[str] = []
        self.visibility = ""
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def blob(self, oid: str) -> bytes:
        """A large file, by whichever protocol it came."""
        if oid in self.store.files:
            return self.store.file(oid)
        return b"".join(piece for _, piece in sorted(self.blobs[oid].items()))


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PUT = do_GET

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.asked.append(self.path)
            for pattern, answer in ROUTES.items():
                if found := re.fullmatch(pattern, self.path):
                    token = self.server.store_token if self.path.startswith("/v1/") else self.server.token
                    known = self.headers["Authorization"] == f"Bearer {token}"
                    if not known and not self.path.startswith("/blob/"):
                        return self._send(401, {"error": "Invalid credentials in Authorization header"})
                    return self._send(*answer(self.server, body, *found.groups()))
        return self._send(404, {"error": "not found"})

    def _send(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", '"piece"')
        if "error" in answer:
            self.send_header("X-Error-Message", answer["error"])
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def whoami(hub: Hub, _: bytes) -> tuple[int, Any]:
    return 200, {"name": "me", "type": "user"}


def create(hub: Hub, body: bytes) -> tuple[int, Any]:
    wanted = json.loads(body)
    address = {"url": f"{hub.url}/{wanted['organization']}/{wanted['name']}"}
    if not hub.may_write:
        return 403, {"error": "Forbidden: pass a token with write access"}
    if hub.exists:
        return 409, {**address, "error": "You already created this model repo"}
    hub.visibility = wanted.get("visibility", "private" if wanted.get("private") else "public")
    return 200, address


def preupload(hub: Hub, body: bytes, _: str) -> tuple[int, Any]:
    return 200, {"files": [{"path": file["path"], "shouldIgnore": False,
                            "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular"}
                           for file in json.loads(body)["files"]]}


def batch(hub: Hub, body: bytes, _: str) -> tuple[int, Any]:
    objects = []
    for each in json.loads(body)["objects"]:
        href, header = f"{hub.url}/blob/{each['oid']}", {}
        if hub.part is not None:
            header = {"chunk_size": str(hub.part), **{
                str(number + 1): f"{href}/{number + 1}" for number in range(-(-each["size"] // hub.part))}}
        objects.append({**each, "actions": {"upload": {"href": href, "header": header}}})
    return 200, {"transfer": "basic" if hub.part is None else "multipart", "objects": objects}


def blob(hub: Hub, body: bytes, oid: str, number: str | None) -> tuple[int, Any]:
    if hub.full:
        return 403, {"error": "Private repository storage limit reached"}
    if number or hub.part is None:  # The end of an upload in parts is told at the bare address.
        hub.blobs.setdefault(oid, {})[int(number or 0)] = body
    return 200, {}


def store_token(hub: Hub, _: bytes, __: str) -> tuple[int, Any]:
    return 200, {"casUrl": hub.url, "accessToken": hub.store_token, "exp": 4_000_000_000}


def xorb(hub: Hub, body: bytes, name: str) -> tuple[int, Any]:
    if hub.full:
        return 403, {"error": "Private repository storage limit reached"}
    hub.store.add_xorb(name, body)
    return 200, {"was_inserted": True}


def shard(hub: Hub, body: bytes) -> tuple[int, Any]:
    hub.store.add_shard(body)
    return 200, {"result": 1}


def check_head(*_: Any) -> tuple[int, Any]:
    return 200, {"warnings": [], "errors": []}


def commit(hub: Hub, body: bytes, _: str) -> tuple[int, Any]:
    for line in map(json.loads, body.splitlines()):
        value = line["value"]
        if line["key"] == "file":
            hub.files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            hub.files[value["path"]] = hub.blob(value["oid"])
    return 200, {"commitUrl": f"{hub.url}/me/formulas/commit/1", "commitOid": "1", "success": True}


ROUTES: dict[str, Callable[..., tuple[int, Any]]] = {
    r"/api/whoami-v2": whoami, r"/api/repos/create": create, r"/api/models/([\w/.-]+)/preupload/main": preupload,
    r"/api/models/([\w/.-]+)/xet-write-token/main": store_token, r"/v1/xorbs/default/(\w+)": xorb, r"/v1/shards": shard,
    r"/([\w/.-]+)\.git/info/lfs/objects/batch": batch, r"/blob/(\w+)(?:/(\d+))?": blob,
    r"/api/models/([\w/.-]+)/commit/main": commit, r"/api/validate-yaml": check_head}
