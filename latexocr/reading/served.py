"""A reader behind any OpenAI-compatible endpoint: vLLM, or whatever answers `/v1/chat/completions`.

Takes samples, gives predictions. The picture and the conversation are those of every other reader; only their
envelope differs. Knows nothing of the model behind the address.
"""

from __future__ import annotations

import base64
import io
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from latexocr.errors import UserError
from latexocr.reading import GenerateConfig
from latexocr.reading.conversation import conversation, formula
from latexocr.reading.images import prepare
from latexocr.records import Prediction, Sample, failure

if TYPE_CHECKING:
    import httpx
    from PIL.Image import Image

STOPS = {"stop": "end", "length": "length"}
"""Our word for each `finish_reason` under which an answer is an answer."""


@dataclass(frozen=True)
class Retry:
    """How patient a reader is with a busy or failing server."""

    tries: int = 5
    """Requests for one sample before it becomes a failure."""
    first_wait_s: float = 0.5
    """Seconds before the second try; doubled before each further one. A longer `Retry-After` is obeyed."""
    longest_wait_s: float = 30.0
    timeout_s: float = 300.0
    """Seconds to wait for one answer."""


class _Busy(Exception):
    """The server did not answer this time; it may the next, after `wait_s` seconds if it said so."""

    def __init__(self, reason: str, *, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _Refused(Exception):
    """The server will not answer this request, however often it is asked."""


@dataclass
class ServedReader:
    """Reads samples through a server, `config.batch_size` requests in flight; results in the samples' order."""

    url: str
    """The address up to `/v1`; `http://host:8000/v1#name` also names the model."""
    model: str | None = None
    """The model's name at the server; None asks the server, which must then have exactly one."""
    config: GenerateConfig = GenerateConfig()
    api_key: str | None = field(default=None, repr=False)
    retry: Retry = Retry()
    _asks_probabilities: bool = field(default=True, init=False, repr=False)

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """One prediction a sample, in order. Raises UserError, before the first, if no server answers."""
        with self._client() as client:
            model = self._model_name(client)
            with ThreadPoolExecutor(self.config.batch_size) as pool:
                yield from _in_order(pool, lambda sample: self._read_one(client, model, sample), samples,
                                     ahead=self.config.batch_size)

    @property
    def _address(self) -> str:
        return self.url.partition("#")[0].rstrip("/") + "/"

    def _client(self) -> httpx.Client:
        import httpx  # here: reading with a model in this process needs no HTTP client

        try:
            return httpx.Client(
                base_url=self._address, headers={"Authorization": f"Bearer {self.api_key}"} if self.api_key else {},
                timeout=httpx.Timeout(self.retry.timeout_s, connect=min(10.0, self.retry.timeout_s)),
                limits=httpx.Limits(max_connections=self.config.batch_size))
        except (httpx.InvalidURL, ValueError) as e:
            raise UserError(f"{self.url}: not an address ({e}). Expected one like http://127.0.0.1:8000/v1.") from e

    def _model_name(self, client: httpx.Client) -> str:
        """The model to ask for. Raises UserError where no server answers, or none or several models could be meant."""
        import httpx

        named = self.model or self.url.partition("#")[2]
        try:
            answer = client.get("models", timeout=min(30.0, self.retry.timeout_s))
        except httpx.TransportError as e:
            raise UserError(f"No server answers at {self._address} ({e}). Check the address, or start one: "
                            "serve/serve.sh FOLDER.") from e
        if answer.status_code in (401, 403):
            raise UserError(f"{self._address} refuses the key ({answer.status_code}). Put the server's API key into "
                            "the environment variable OPENAI_API_KEY.")
        if named:
            return named
        names = _model_names(answer)
        if len(names) == 1:
            return names[0]
        found = ", ".join(names) if names else f"status {answer.status_code} and no list of models"
        raise UserError(f"{self._address}models: found {found}, expected one model. "
                        "Give the address up to /v1, and the model's name after it where there are several: "
                        "http://127.0.0.1:8000/v1#NAME.")

    def _read_one(self, client: httpx.Client, model: str, sample: Sample) -> Prediction:
        try:
            messages = openai_messages(conversation(prepare(sample.image)))
            return prediction(sample, self._answer(client, model, messages))
        except (UserError, _Refused, _Busy) as e:
            return failure(sample, e)

    def _answer(self, client: httpx.Client, model: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """The server's choice. Raises _Refused or, after the last try, _Busy."""
        request = {"model": model, "messages": messages, "max_tokens": self.config.max_tokens,
                   "temperature": self.config.temperature, "seed": self.config.seed}
        if self._asks_probabilities:
            try:
                return _patiently(client, request | {"logprobs": True}, self.retry)
            except _Refused:
                # Some servers refuse every request for log-probabilities: asked without them, and a success is
                # remembered for the samples that follow.
                answer = _patiently(client, request, self.retry)
                self._asks_probabilities = False
                return answer
        return _patiently(client, request, self.retry)


def openai_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation as JSON for an OpenAI-compatible endpoint: each picture a lossless PNG in a data URL."""
    return [message | {"content": [_openai_part(part) for part in message["content"]]} for message in messages]


def _openai_part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] != "image":
        return part
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_png(part['image'])}"}}


def _png(image: Image) -> str:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _patiently(client: httpx.Client, request: dict[str, Any], retry: Retry) -> dict[str, Any]:
    """The server's choice, after as many tries as allowed. Raises _Refused at once, _Busy after the last try."""
    for number in range(1, retry.tries + 1):
        try:
            return _post(client, request)
        except _Busy as e:
            if number == retry.tries:
                raise _Busy(f"{e} ({number} tries)") from e
            wait = max(retry.first_wait_s * 2 ** (number - 1), e.wait_s)
            time.sleep(min(wait, retry.longest_wait_s))
    raise AssertionError("Retry.tries must be at least 1")


def _post(client: httpx.Client, request: dict[str, Any]) -> dict[str, Any]:
    """The first choice of one answer. Raises _Busy where another try may help, else _Refused."""
    import httpx

    try:
        answer = client.post("chat/completions", json=request)
    except httpx.TransportError as e:
        raise _Busy(f"server: {type(e).__name__} {e}".rstrip()) from e
    if answer.status_code in (408, 409, 429) or answer.status_code >= 500:
        raise _Busy(f"server: {answer.status_code} {_said(answer)}", wait_s=_seconds(answer.headers.get("retry-after")))
    if answer.status_code != 200:
        raise _Refused(f"server: {answer.status_code} {_said(answer)}")
    try:
        choice = answer.json()["choices"][0]
        choice["message"]["content"]  # looked at here, where what is missing is still the server's fault
        return choice | {"usage": answer.json().get("usage")}
    except (ValueError, LookupError, TypeError) as e:
        raise _Busy(f"server: 200, but not an OpenAI answer: {_said(answer)}") from e


def _said(answer: httpx.Response) -> str:
    """The beginning of a body on one line, for messages."""
    return " ".join(answer.text.split())[:300]


def _seconds(retry_after: str | None) -> float:
    try:
        return float(retry_after or 0)
    except ValueError:  # the header may be a date
        return 0.0


def _model_names(answer: httpx.Response) -> list[str]:
    try:
        return [model["id"] for model in answer.json()["data"]]
    except (ValueError, LookupError, TypeError):
        return []


def prediction(sample: Sample, choice: dict[str, Any]) -> Prediction:
    """What the server said of a sample; an answer cut off by anything but its length is a failure."""
    reply, why = choice["message"]["content"] or "", choice.get("finish_reason")
    if why not in STOPS:
        return failure(sample, f"server: the answer ended with {why!r}, expected one of {', '.join(STOPS)}")
    written = [token["logprob"] for token in ((choice.get("logprobs") or {}).get("content") or [])]
    confidence = math.exp(sum(written) / len(written)) if written else None
    tokens = len(written) or int((choice.get("usage") or {}).get("completion_tokens") or 0)
    ended = 1 if why == "stop" and tokens else 0  # the end token is counted by servers, not by us
    return Prediction(sample.id, latex=formula(reply), reply=reply, tokens=tokens - ended, stop=STOPS[why],
                      confidence=confidence)


def _in_order(pool: ThreadPoolExecutor, work: Callable[[Sample], Prediction], samples: Iterable[Sample], *,
              ahead: int) -> Iterator[Prediction]:
    """Results in the order of the samples, at most `ahead` of them in work, so that a long set is not read at once."""
    running: deque[Future[Prediction]] = deque()
    for sample in samples:
        running.append(pool.submit(work, sample))
        if len(running) >= ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
