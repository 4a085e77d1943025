"""A hub for tests that gives out what lies in folders, as huggingface.co would to its real clients. No test is in here.

`root/datasets/OWNER/NAME` is a data set, `root/OWNER/NAME` a model; anybody may read, at one revision.
"""

from __future__ import annotations

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

REVISION = "c0ffee" + 34 * "0"


class ReadingHub(ThreadingHTTPServer):
    """What was asked is in `asked`."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.root, self.asked = root, []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: ReadingHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        if found := re.fullmatch(r"/api/(datasets|models)/([^/]+/[^/]+)(?:/(revision|tree)/[^/]+(/.*)?)?", path):
            kind, name, what, under = found.groups()
            folder = self.server.root / kind.replace("models", "") / name
            return self._repository(folder, name, tree=(under or "/").strip("/") if what == "tree" else None)
        if found := re.fullmatch(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/[^/]+/(.*)", path):
            file = self.server.root / found[1] / found[2]
            return self._send(200, file.read_bytes()) if file.is_file() else self._refuse("EntryNotFound")
        return self._refuse("RepoNotFound")

    do_HEAD = do_GET

    def _repository(self, folder: Path, name: str, *, tree: str | None) -> None:
        """What there is to know of a repository; with `tree`, the entries of a folder in it."""
        if not folder.is_dir():
            return self._refuse("RepoNotFound")
        if tree is not None:
            return self._json([entry(folder, path) for path in sorted((folder / tree).iterdir())])
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return self._json({"id": name, "sha": REVISION, "private": False, "gated": False, "disabled": False,
                           "downloads": 0, "likes": 0, "tags": [], "lastModified": "2026-11-27T00:00:00.000Z",
                           "siblings": [{"rfilename": str(file.relative_to(folder))} for file in files]})

    def _json(self, answer: Any) -> None:
        self._send(200, json.dumps(answer).encode())

    def _refuse(self, code: str) -> None:
        self._send(404, b"{}", ("X-Error-Code", code))

    def _send(self, status: int, data: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Length", str(len(data))), ("X-Repo-Commit", REVISION),
                            ("ETag", f'"{hashlib.sha1(data).hexdigest()}"'), *headers):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def entry(folder: Path, path: Path) -> dict[str, Any]:
    name = str(path.relative_to(folder))
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
    data = path.read_bytes()
    return {"type": "file", "path": name, "oid": hashlib.sha1(data).hexdigest(), "size": len(data)}
