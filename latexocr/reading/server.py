"""A model server in a process of its own: started, waited for, and stopped with all its children.

Takes a command line, gives what the server says. Knows nothing of models or vLLM.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from latexocr.errors import UserError

PATIENCE_S = 20
"""Seconds that a server may take to stop, before it is killed."""
WATCH = 'read _; kill -s TERM -- "-$0" && sleep 5; kill -s KILL -- "-$0"'
"""Ends a group of processes when standard input does: where this process is killed, it can end nothing itself."""


class Server:
    """A server process and what it says: kept until it is wanted on stderr, or is all there is to explain an end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._said: deque[str] = deque(maxlen=2000)
        self._shown = False
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            self._said.append(line)
            if self._shown:
                sys.stderr.write(line)
                sys.stderr.flush()

    def relay(self, shown: bool = True) -> None:
        """From now on, show on stderr what the server says, or keep it again."""
        self._shown = shown

    def last_words(self) -> str:
        """Why it stopped, as far as it said so, and the file in which all of it stands."""
        self._reader.join(5)
        with tempfile.NamedTemporaryFile("w", prefix="latexocr-serve-", suffix=".log", delete=False) as file:
            file.writelines(self._said)
        return f"{reason(self._said)} All it said: {file.name}"


def reason(said: Iterable[str]) -> str:
    """The last error in what a server said that is not about another one."""
    errors = [found.group(1).strip() for line in said if (found := re.search(r"((?:\w+Error|error): \S.*)", line))]
    own = [error for error in errors if not re.search("See (root cause|stack trace)", error)]
    return f"{(own or errors or ['It gave no reason.'])[-1].rstrip('.')}."


@contextlib.contextmanager
def running(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[Server]:
    """A server in a group of processes of its own, all of which are gone afterwards, also where this process is killed.
    """
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    process = subprocess.Popen(command, env=environ, text=True, errors="replace", start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    watch = subprocess.Popen(["sh", "-c", WATCH, str(process.pid)], start_new_session=True, stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(process)
    try:
        yield server
    finally:
        server.relay(False)  # What a server says while it is torn down is of no use.
        stop(process)
        watch.communicate()
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process and its whole group: asked to, then, after `PATIENCE_S` or a second Ctrl-C, killed."""
    try:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(PATIENCE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what the server left behind
        process.wait()


def wait_until_healthy(server: Server, url: str, what: str) -> None:
    """Wait, with a line that says for how long. Raises UserError where the server ends instead."""
    import httpx
    from tqdm import tqdm

    if not sys.stderr.isatty():
        print(f"latexocr: {what}", file=sys.stderr, flush=True)
    with tqdm(bar_format="latexocr: {desc}, {elapsed}", desc=what, leave=False, disable=None) as line:
        while server.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200:
                    return
            time.sleep(0.3)
            line.refresh()
    raise UserError(f"{what}: it ended before it was ready. {server.last_words()}")
