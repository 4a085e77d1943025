"""One question to an OpenAI-compatible endpoint, asked until it is answered or that is hopeless.

Takes the body of a request, gives the server's choice. What the server is to blame for is told from what the picture
is: a picture that fails while the server is well fails alone, a server that is away for long ends the run. Knows
nothing of pictures or predictions.
"""

from __future__ import annotations

import ipaddress
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from threading import Lock, local
from typing import TYPE_CHECKING, Any

from latexocr.errors import UserError
from latexocr.reading.flow import Slots
from latexocr.reading.latency import Latency

if TYPE_CHECKING:
    import httpx

LARGEST_ANSWER = 1 << 24
"""Bytes: what goes on for longer is no answer."""
LONGEST_ASKED_WAIT_S = 600.0
"""A `Retry-After` of more seconds is not waited for in full."""
SAID_AFTER_S = 10.0
"""Seconds without any answer after which the user is told that the server is waited for."""
NOT_THE_PICTURE = (401, 403, 404, 405)
"""Refusals that would meet every picture: the key, the address or the model's name is wrong."""


@dataclass(frozen=True)
class Retry:
    """How patient a reader is with a busy or failing server."""

    tries: int = 5
    """Requests for one sample before it becomes a failure."""
    first_wait_s: float = 0.5
    """Seconds before the second try; doubled before each further one, and shortened by chance, by up to half."""
    longest_wait_s: float = 30.0
    timeout_s: float = 300.0
    """Seconds for one answer, from the request to its last byte."""
    lost_s: float = 300.0
    """Seconds without any answer, from a server that cannot be reached, after which the run ends."""
    strikes: int = 20
    """Pictures in a row that a server that can be reached gave no answer to, after which the run ends."""


class Refused(Exception):
    """The server will not answer this request, however often it is asked."""


class Failed(Exception):
    """The server did not answer this request, as often as it was asked."""


class _Again(Exception):
    """No answer this time; there may be one the next, after `wait_s` seconds if the server said so."""

    def __init__(self, reason: str, *, wait_s: float = 0.0, busy: bool = False, unheard: bool = False) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.busy = busy or unheard or wait_s > 0
        """It has too much to do."""
        self.unheard = unheard
        """It did not even look at the request: that says nothing of the picture."""


class Endpoint:
    """The chat requests of one reading. May be asked from many threads, of which each has a connection of its own.

    (A pool that they share looks through all its connections for each request: with 256 in flight, 9 ms of it.)
    """

    def __init__(self, connect: Callable[[int], httpx.Client], slots: Slots, retry: Retry, latency: Latency,
                 secret: str | None) -> None:
        self._connect, self._slots, self._retry, self._latency, self._secret = connect, slots, retry, latency, secret
        self._of_thread = local()
        self._numbers = count(random.randrange(1 << 16))  # Of connections; each process begins with another server.
        self._lock = Lock()
        self._answered, self._strikes = time.monotonic(), 0
        self._told = 0.0
        """When the answer came before the silence that the user was told of last."""

    @property
    def _client(self) -> httpx.Client:
        thread = self._of_thread
        if not hasattr(thread, "number"):
            thread.number = next(self._numbers)
        if not hasattr(thread, "client"):
            thread.client = self._connect(thread.number)
        return thread.client

    def _elsewhere(self) -> None:
        """The next request of this thread goes over another connection: to another server, where there are several."""
        self._client.close()
        del self._of_thread.client
        self._of_thread.number += 1

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The server's first choice, with `usage`. Raises Refused, Failed, or UserError where the server is lost."""
        body = json.dumps(request).encode()
        waits = tries = 0
        while True:
            try:
                return self._once(body)
            except Refused as e:
                if e.args[1:] and e.args[1] in NOT_THE_PICTURE:
                    self._strike(e)
                raise
            except _Again as e:
                waits += 1
                tries += not e.unheard
                if tries >= self._retry.tries and self._reachable():
                    self._strike(e)
                    raise Failed(f"{e} ({tries} {'try' if tries == 1 else 'tries'})") from e
                if e.unheard or tries >= self._retry.tries:
                    self._give_up_in_time(e)
                if e.busy:
                    self._slots.busy(e.wait_s)
                self._elsewhere()
                self._slots.sleep(max(e.wait_s, self._backoff(waits)))

    def _once(self, body: bytes) -> dict[str, Any]:
        with self._slots.slot():
            began = time.monotonic()
            choice = self._post(body)
            self._latency.add(time.monotonic() - began)
        self._slots.answered()
        with self._lock:
            self._answered, self._strikes = time.monotonic(), 0
        return choice

    def _backoff(self, waits: int) -> float:
        """Seconds before the next try; by chance, so that those refused together do not come back together."""
        wait = min(self._retry.first_wait_s * 2.0 ** min(waits - 1, 30), self._retry.longest_wait_s)
        return wait * random.uniform(0.5, 1.0)

    def _give_up_in_time(self, error: Exception) -> None:
        with self._lock:
            away = time.monotonic() - self._answered
            tell = away > SAID_AFTER_S and self._told != self._answered
            if tell:
                self._told = self._answered
        if away > self._retry.lost_s:
            raise UserError(f"{self._client.base_url} has given no answer for {away:.0f} s ({error}). Once it does, "
                            "the same command continues.") from error
        if tell:
            print(f"latexocr: {self._client.base_url} has given no answer for {away:.0f} s ({error}). It is waited "
                  f"for, {self._retry.lost_s:.0f} s at most.", file=sys.stderr, flush=True)

    def _strike(self, error: Exception) -> None:
        """Count a picture without an answer. Raises UserError where there were too many in a row."""
        with self._lock:
            self._strikes += 1
            out = self._strikes >= self._retry.strikes
        if out:
            raise UserError(f"{self._client.base_url} has answered none of the last {self._retry.strikes} pictures "
                            f"({error.args[0]}). Once it does, the same command with --retry-errors continues."
                            ) from error

    def _reachable(self) -> bool:
        """Whether the server answers anything at all now."""
        import httpx

        try:
            return exchange(self._client, "GET", "models", min(30.0, self._retry.timeout_s))[0] < 500
        except httpx.RequestError:
            return False

    def _post(self, body: bytes) -> dict[str, Any]:
        """The first choice of one answer. Raises _Again where another try may help, else Refused."""
        import httpx

        try:
            status, headers, content = exchange(self._client, "POST", "chat/completions", self._retry.timeout_s,
                                                content=body, headers={"Content-Type": "application/json"})
        except (httpx.ConnectError, httpx.ConnectTimeout) as e:
            raise _Again(self._clean(f"server: {type(e).__name__} {e}"), unheard=True) from e
        except (httpx.TransportError, httpx.DecodingError) as e:
            late = isinstance(e, httpx.TimeoutException)
            raise _Again(self._clean(f"server: {type(e).__name__} {e}"), busy=late) from e
        text = self._clean(content.decode("utf-8", "replace"))
        if status in (408, 409, 429) or status >= 500:
            raise _Again(f"server: {status} {text}", wait_s=seconds(headers.get("retry-after")),
                         busy=status == 503, unheard=status == 429)
        if status != 200:
            raise Refused(f"server: {status} {text}", status)
        try:
            answer = json.loads(content)
            choice = answer["choices"][0]
            # Looked at here, where what is missing is still the server's fault.
            if isinstance(choice["message"]["content"] or "", str):
                return choice | {"usage": answer.get("usage")}
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        raise _Again(f"server: 200, but not an OpenAI answer: {text}")

    def _clean(self, text: str) -> str:
        """The beginning of a text on one line, for messages; without the key, should a server repeat it."""
        shown = text.replace(self._secret, "***") if self._secret else text
        return " ".join(shown.split())[:300]


def exchange(client: httpx.Client, method: str, path: str, timeout_s: float, **sent: Any) -> tuple[int, Any, bytes]:
    """Status, headers and content of an answer that came whole and in time. Raises httpx.RequestError."""
    import httpx

    end, content = time.monotonic() + timeout_s, bytearray()
    timeout = httpx.Timeout(timeout_s, connect=min(10.0, timeout_s))
    with client.stream(method, path, timeout=timeout, **sent) as answer:
        for part in answer.iter_bytes():
            content += part
            if time.monotonic() > end:
                raise httpx.ReadTimeout(f"no whole answer within {timeout_s:g} s")
            if len(content) > LARGEST_ANSWER:
                raise httpx.ReadError(f"the answer goes on after {LARGEST_ANSWER >> 20} MiB")
        return answer.status_code, answer.headers, bytes(content)


def address_of(given: str) -> httpx.URL:
    """The address of a server. Raises UserError where it is none, or has a password in it."""
    import httpx

    try:
        address = httpx.URL(given)
        if address.scheme not in ("http", "https"):
            raise ValueError("its protocol is neither http nor https")
    except (httpx.InvalidURL, ValueError) as e:
        raise UserError(f"{given}: not an address ({e}). Expected one like http://127.0.0.1:8000/v1.") from e
    if address.userinfo:
        raise UserError(f"An address with a password in it ends up in records of runs. Give http://"
                        f"{address.netloc.decode()}{address.path}, and the server's key in the "
                        "environment variable OPENAI_API_KEY.")
    return address


def is_here(host: str) -> bool:
    """Whether a server is on this machine, where no proxy of the environment leads to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_key(name: str, key: str) -> None:
    """Raise UserError where no request can bring a key."""
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UserError(f"The {name} has characters that no request can bring; expected ASCII without spaces.")


def seconds(retry_after: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float:
    """The wait that a `Retry-After` header asks for, in seconds, at least 0: it may be a number or a date."""
    if not retry_after:
        return 0.0
    try:
        wait = float(retry_after)
    except ValueError:
        try:
            date = parsedate_to_datetime(retry_after)
        except ValueError:
            return 0.0
        wait = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now()).total_seconds()
    return min(max(wait, 0.0), LONGEST_ASKED_WAIT_S) if wait == wait else 0.0
