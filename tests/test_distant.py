"""Pictures from elsewhere: the picture comes, or one line within the limits of size and time."""

from __future__ import annotations

import contextlib
import io
import pickle
import time

import fsspec
import numpy as np
import pytest
from PIL import Image
from servers import Handler, Server, dripping, free_port, serving

from latexocr.bench.page import picture as data_uri
from latexocr.data import distant
from latexocr.data.distant import Remote, Web
from latexocr.errors import UserError
from latexocr.reading.images import prepare
from latexocr.records import Distant, Sample


def png() -> bytes:
    drawn = Image.new("L", (60, 30), 255)
    drawn.paste(0, (10, 8, 30, 20))
    file = io.BytesIO()
    drawn.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def web():
    """Serves what it is told for any address, by GET."""
    with contextlib.ExitStack() as running:
        def start(status: int, body: bytes, headers: dict | None = None) -> str:
            answer = (status, body, headers or {})
            return running.enter_context(serving(Server(lambda *_: None, answer))).url + "/a.png"
        yield start


def same(distant: Distant) -> None:
    assert np.array_equal(np.asarray(prepare(distant)), np.asarray(prepare(Image.open(io.BytesIO(png())))))
    assert data_uri(distant).startswith("data:image/")


def test_a_picture_behind_a_url(web):
    same(Web(web(200, png())))


def test_a_redirect_is_followed(web):
    same(Web(web(302, b"", {"Location": web(200, png())})))


@pytest.mark.parametrize(("status", "body", "headers", "said"), [
    (404, b"", {}, "the server says 404"), (200, b"<html>", {}, "not a picture"), (200, b"", {}, "not a picture"),
    (200, png()[:60], {"Content-Length": "4000", "Connection": "close"}, "cannot be fetched"),
    (200, png()[:60], {}, "cannot be opened"),
    (302, b"", {"Location": "file:///etc/passwd"}, "cannot be fetched"),
    (302, b"", {"Location": "/again"}, "cannot be fetched"),
    (200, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", {}, "not a picture"),
])
def test_no_picture_behind_a_url_is_one_line(web, status, body, headers, said):
    url = web(status, body, headers)
    with pytest.raises(UserError, match=said) as e:
        prepare(Web(url))
    assert url in str(e.value) and "\n" not in str(e.value) and len(str(e.value)) < 300


def test_nobody_there():
    with pytest.raises(UserError, match="cannot be fetched"):
        prepare(Web(f"http://127.0.0.1:{free_port()}/a.png"))


def test_a_proxy_that_needs_a_package_is_one_line(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(UserError, match=r"cannot be fetched .*SOCKS proxy"):
        prepare(Web("http://nowhere.invalid/a.png"))


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://\x00/"])
def test_no_url(url):
    with pytest.raises(UserError, match="cannot be fetched"):
        prepare(Web(url))


def test_no_more_is_taken_than_a_picture_may_be(web, monkeypatch):
    monkeypatch.setattr(distant, "LARGEST_PICTURE", 1000)
    with pytest.raises(UserError, match="this is no picture"):
        prepare(Web(web(200, b"x" * 5000)))
    fsspec.filesystem("memory").pipe("/large.png", b"x" * 5000)
    with pytest.raises(UserError, match="this is no picture"):
        prepare(Remote("memory://large.png"))


def test_no_longer_is_waited_than_a_picture_may_take(monkeypatch):
    """A server that sends a byte now and then is given up in time."""
    monkeypatch.setattr(distant, "LONGEST_S", 0.5)


    class Dripping(Handler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                dripping(self)

    server = Server(lambda *_: None)
    server.RequestHandlerClass = Dripping
    start = time.monotonic()
    with serving(server), pytest.raises(UserError, match=r"more than .* s; this is no picture"):
        prepare(Web(f"http://127.0.0.1:{server.server_port}/"))
    assert time.monotonic() - start < 4


def test_a_picture_in_another_file_system(tmp_path):
    fsspec.filesystem("memory").pipe("/here.png", png())
    same(Remote("memory://here.png"))
    (tmp_path / "a.png").write_bytes(png())
    same(Remote(f"file://{tmp_path}/a.png"))


@pytest.mark.parametrize(("url", "said"), [
    ("memory://gone.png", "cannot be read"), ("memory://text.png", "not a picture"), ("nonsense://x.png", "cannot be"),
])
def test_no_picture_in_another_file_system_is_one_line(url, said):
    fsspec.filesystem("memory").pipe("/text.png", b"no picture")
    with pytest.raises(UserError, match=said) as e:
        prepare(Remote(url))
    assert url in str(e.value) and "\n" not in str(e.value)


def test_what_is_distant_can_be_sent_to_other_machines():
    for image in (Web("http://a/b.png"), Remote("memory://a.png"), distant.Page("a.pdf", 1)):
        sample = Sample("a", image)
        assert pickle.loads(pickle.dumps(sample)) == sample and isinstance(image, Distant)
    assert not isinstance(Image.new("L", (1, 1)), Distant)


def test_the_page_says_that_a_picture_is_gone():
    assert data_uri(Remote("memory://gone.png")) is None
