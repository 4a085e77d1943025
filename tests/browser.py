"""A headless Chromium for tests of pages, driven over a pipe by the DevTools protocol: no port, no driver, no package.

The protocol: https://chromedevtools.github.io/devtools-protocol/; over a pipe, messages end with a null byte.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
SECONDS = 60
LOUD = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Page.javascriptDialogOpening",
        "Network.requestWillBeSent"}


class Browser:
    """One tab. `complaints` has what the console, scripts and the network said since `open`: for our pages, nothing."""

    def __init__(self, profile: Path) -> None:
        (child_in, self._out), (self._in, child_out) = os.pipe(), os.pipe()
        self._number, self._buffer, self.complaints = 0, b"", []

        def inherit() -> None:  # The protocol's pipes are 3 and 4; first out of their way, should ours be these.
            ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (child_in, child_out)]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._process = subprocess.Popen(
            [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
             "--disable-extensions", "--disable-background-networking", "--disable-dev-shm-usage",
             f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=inherit, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(child_in)
        os.close(child_out)
        self._session = None
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self._session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Performance"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command. What happens meanwhile and is of interest goes to `complaints`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._in], [], [], SECONDS)[0], f"the browser said nothing for {SECONDS} s"
            read = os.read(self._in, 1 << 20)
            assert read, "the browser is gone"
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        url = event.get("params", {}).get("request", {}).get("url", "")
        if event.get("method") in LOUD and not url.startswith(("file:", "data:")):
            self.complaints.append(json.dumps(event["params"])[:400])

    def open(self, page: Path, fragment: str = "") -> None:
        """Load a file and wait until its own script says that it is ready."""
        self.call("Page.navigate", url="about:blank")
        self.complaints.clear()
        self.call("Page.navigate", url=page.as_uri() + fragment)
        self.wait("document.body?.dataset.ready === 'yes'")

    def run(self, script: str) -> Any:
        """The JSON value of an expression in the page; a promise is awaited."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + SECONDS
        while not self.run(script):
            assert time.monotonic() < end, f"{script} never held; {self.complaints}"
            time.sleep(0.02)

    def press(self, key: str, code: int = 0) -> None:
        """A key as a user presses it; `code` is that of Windows, for keys that are no character."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def size(self, width: int, height: int = 900, *, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, out: Path) -> None:
        out.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def pdf(self, out: Path) -> None:
        out.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"]))
