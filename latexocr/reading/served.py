"""A reader behind any OpenAI-compatible endpoint: vLLM, or whatever answers `/v1/chat/completions`.

Takes samples, gives predictions. The picture and the conversation are those of every other reader; only their
envelope differs. Knows nothing of the model behind the address.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from threading import Semaphore
from typing import TYPE_CHECKING, Any

from latexocr.errors import UserError
from latexocr.provenance import cores
from latexocr.reading import GenerateConfig
from latexocr.reading.confidence import Calibration, confidence
from latexocr.reading.conversation import conversation, formula, prompt_text
from latexocr.reading.decoding import loop_end
from latexocr.reading.endpoint import Endpoint, Failed, Refused, Retry, address_of, check_key, exchange, is_here
from latexocr.reading.flow import FIRST, MOST, Crew, Slots, in_order
from latexocr.reading.images import prepare
from latexocr.reading.latency import Latency
from latexocr.reading.processes import Processes
from latexocr.records import Prediction, Sample, failure, whole

if TYPE_CHECKING:
    import httpx
    from PIL.Image import Image

OURS = "latexocr"
"""What `latexocr serve` calls its model."""
STOPS = {"stop": "end", "length": "length"}
"""Our word for each `finish_reason` under which an answer is an answer."""
PREPARING = max(2, min(8, cores()))
"""Pictures prepared at a time, beside the requests; three times as many are taken ahead of them."""
PROCESSES = min(16, cores() // 2)
"""Processes that read through a server, where there are many samples; each asks some 250 pictures a second."""
MANY = 256
"""Samples from which on processes pay, which take a second to start."""


class _Away(UserError):
    """No server answers at an address."""


@dataclass
class ServedReader:
    """Reads samples through a server, as many requests in flight as pays; results in the samples' order."""

    url: str
    """The address up to `/v1`; `http://host:8000/v1#name` also names the model. Several servers of a model, with commas
    between, share the requests; what one does not answer is asked of the next."""
    model: str | None = None
    """The model's name at the server; None asks the server, which must then have exactly one."""
    config: GenerateConfig = GenerateConfig()
    """`batch_size` fixes the number of requests in flight."""
    api_key: str | None = field(default=None, repr=False)
    retry: Retry = Retry()
    latency: Latency = field(default_factory=Latency, init=False, repr=False)
    """Of all answers so far, from request to last byte."""
    _asks_probabilities: bool = field(default=True, init=False, repr=False)

    def __reduce__(self) -> Any:
        """In another process it has read nothing yet."""
        return ServedReader, (self.url, self.model, self.config, self.api_key, self.retry)

    def read(self, samples: Iterable[Sample]) -> Iterator[Prediction]:
        """One prediction a sample, in order. Raises UserError if no server answers, or none does any longer."""
        connect = self._connecting()
        model, calibration = self._same_of_all(connect)
        processes, samples = min(PROCESSES, self.config.batch_size or PROCESSES), iter(samples)
        first = list(islice(samples, MANY)) if processes > 1 else []
        if len(first) < MANY or not all(map(_travels, first)):
            slots = Slots(self.config.batch_size, most=MOST * len(self._addresses))
            crew = Crew(self._work(connect, slots, self.latency, model, calibration))
        else:
            slots = Slots(self.config.batch_size, max(FIRST, 4 * processes),
                          max(MOST, 64 * processes) * len(self._addresses))
            begin = partial(_begin, replace(self, model=model), calibration)
            crew = Processes(begin, failure, slots, self.latency, processes)
        try:
            yield from in_order(crew, chain(first, samples), ahead=lambda: slots.limit + 3 * PREPARING)
        finally:
            slots.stop()

    def _work(self, connect: Callable[[int], httpx.Client], slots: Slots, latency: Latency, model: str,
              calibration: Calibration | None) -> Callable[[Sample], Prediction]:
        """What reads one sample; from many threads."""
        endpoint = Endpoint(connect, slots, self.retry, latency, self.api_key)
        prompt = prompt_text(self.config.prompt or "instruction")
        return partial(self._read_one, endpoint, model, prompt, calibration, Semaphore(PREPARING))

    @property
    def _addresses(self) -> list[str]:
        return [address.strip().rstrip("/") + "/" for address in self.url.partition("#")[0].split(",")]

    def _same_of_all(self, connect: Callable[[int], httpx.Client]) -> tuple[str, Calibration | None]:
        """Name and calibration of the model. Raises UserError where no server answers, or one has another model.

        A server of several may be away, and come later: that is said on stderr.
        """
        found, away = [], []
        for number in range(len(self._addresses)):
            with connect(number) as client:
                try:
                    name = self._model_name(client)
                    found.append((name, _calibration(client, name)))
                except _Away as e:
                    away.append(e)
        if not found:
            raise away[0]
        if any(one != found[0] for one in found):
            raise UserError(f"{self.url}: found servers of different models ({', '.join(str(one[0]) for one in found)}"
                            "), expected the same one behind every address.")
        for error in away:
            print(f"latexocr: {error} The others read without it.", file=sys.stderr)
        return found[0]

    def _connecting(self) -> Callable[[int], httpx.Client]:
        """Makes clients, of any number for the addresses in turn. Raises UserError: one is none, or the key is."""
        import httpx  # here: reading with a model in this process needs no HTTP client

        check_key("key in OPENAI_API_KEY", self.api_key or "")
        # Certificates take 20 ms to load: once for all connections, and not where there is nothing to verify.
        verify = any(a.startswith("https:") for a in self._addresses) and httpx.create_ssl_context()
        client = partial(httpx.Client, verify=verify,
                         headers={"Authorization": f"Bearer {self.api_key}"} if self.api_key else {})
        addresses = [address_of(given) for given in self._addresses]

        def connect(number: int) -> httpx.Client:
            address = addresses[number % len(addresses)]
            try:
                return client(base_url=address, trust_env=not is_here(address.host))
            except (ImportError, ValueError) as e:
                raise UserError(f"{address}: the proxy of the environment (HTTP_PROXY, ALL_PROXY) cannot be used ({e}) "
                                f"Unset it, or put {address.host} into NO_PROXY.") from e

        return connect

    def _model_name(self, client: httpx.Client) -> str:
        """The model to ask for. Raises UserError where no server answers, or none or several models could be meant."""
        import httpx

        named = self.model or self.url.partition("#")[2]
        try:
            status, _, content = exchange(client, "GET", "models", min(30.0, self.retry.timeout_s))
        except httpx.RequestError as e:
            raise _Away(f"No server answers at {client.base_url} ({e}). Check the address, or start one: "
                            "latexocr serve FOLDER.") from e
        if status in (401, 403):
            raise UserError(f"{client.base_url} refuses the key ({status}). Put the server's API key into "
                            "the environment variable OPENAI_API_KEY.")
        names = _model_names(content)
        if named and (named in names or not names):
            return named
        if len(names) == 1 and not named:
            return names[0]
        found = ", ".join(names) if names else f"status {status} and no list of models"
        raise UserError(f"{client.base_url}models: found {found}, expected {named or 'one model'}. "
                        "Give the address up to /v1, and the model's name after it where there are several: "
                        "http://127.0.0.1:8000/v1#NAME.")

    def _read_one(self, endpoint: Endpoint, model: str, prompt: str, calibration: Calibration | None,
                  preparing: Semaphore, sample: Sample) -> Prediction:
        try:
            with preparing:
                messages = openai_messages(conversation(prepare(sample.image), prompt=prompt))
        except UserError as e:
            return failure(sample, e)
        try:
            return prediction(sample, self._answer(endpoint, model, messages), calibration)
        except (Refused, Failed) as e:
            return failure(sample, str(e.args[0]))
        except (TypeError, ValueError, LookupError, AttributeError) as e:
            return failure(sample, f"server: an answer of another form ({type(e).__name__}: {e})")

    def _answer(self, endpoint: Endpoint, model: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """The server's choice. Raises Refused, Failed, or UserError where the server is lost."""
        request = {"model": model, "messages": messages, "max_tokens": self.config.max_tokens,
                   "temperature": self.config.temperature, "seed": self.config.seed}
        if self._asks_probabilities:
            try:
                return endpoint.ask(request | {"logprobs": True})
            except Refused:
                # Some servers refuse every request for log-probabilities: asked without them, and a success is
                # remembered for the samples that follow.
                answer = endpoint.ask(request)
                self._asks_probabilities = False
                return answer
        return endpoint.ask(request)


def _begin(reader: ServedReader, calibration: Calibration | None, slots: Slots, latency: Latency
           ) -> Callable[[Sample], Prediction]:
    """What reads one sample, in a process of its own."""
    return reader._work(reader._connecting(), slots, latency, reader.model, calibration)


def _travels(sample: Sample) -> bool:
    """Whether another process surely knows what the picture is: it does not know the classes of a user's program."""
    return type(sample.image).__module__.partition(".")[0] in ("latexocr", "pathlib", "PIL", "numpy", "builtins")


def openai_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation as JSON for an OpenAI-compatible endpoint: each picture a lossless PNG in a data URL."""
    return [message | {"content": [_openai_part(part) for part in message["content"]]} for message in messages]


def _openai_part(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] != "image":
        return part
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_png(part['image'])}"}}


def _png(image: Image) -> str:
    """The picture without loss, in grey, as it was prepared: half the bytes, and a third of the time, of colours."""
    file = io.BytesIO()
    image.getchannel("R").save(file, format="PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _calibration(client: httpx.Client, model: str) -> Calibration | None:
    """That of a model behind `latexocr serve`; only a server of that name is asked for it."""
    import httpx

    if model != OURS:
        return None
    try:
        found = json.loads(exchange(client, "GET", "latexocr", 30.0)[2])["calibration"]
        return Calibration(float(found["intercept"]), float(found["slope"]))
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None


def _model_names(content: bytes) -> list[str]:
    try:
        return [model["id"] for model in json.loads(content)["data"] if isinstance(model["id"], str)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return []


def prediction(sample: Sample, choice: dict[str, Any], calibration: Calibration | None = None) -> Prediction:
    """What the server said of a sample; an answer cut off by anything but its length is a failure."""
    reply, why = whole(choice["message"]["content"] or ""), choice.get("finish_reason")
    if why not in STOPS:
        return failure(sample, f"server: the answer ended with {why!r}, expected one of {', '.join(STOPS)}")
    texts, written = _tokens(choice)
    cut = loop_end(texts) if all(isinstance(text, str) for text in texts) else None
    if cut is not None:  # A model in this process would have been ended here.
        said = "".join(texts[:cut])
        reply = said if reply.startswith(said) else reply
        return Prediction(sample.id, latex=formula(reply), reply=reply, tokens=cut, stop="length",
                          confidence=confidence(written[:cut], calibration, ended=False))
    tokens = len(written) or _counted(choice)
    ended = 1 if why == "stop" and tokens else 0  # the end token is counted by servers, not by us
    return Prediction(sample.id, latex=formula(reply), reply=reply, tokens=tokens - ended, stop=STOPS[why],
                      confidence=confidence(written, calibration, ended=why == "stop"))


def _tokens(choice: dict[str, Any]) -> tuple[list[Any], list[float]]:
    """The tokens of an answer and their log probabilities; none where the server gives them in another form: the answer
    is one without them."""
    try:
        pieces = choice["logprobs"]["content"]
        return [piece.get("token") for piece in pieces], [float(piece["logprob"]) for piece in pieces]
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
        return [], []


def _counted(choice: dict[str, Any]) -> int:
    """How many tokens the server says that it made; 0 where it does not say it."""
    try:
        return max(0, int(choice["usage"]["completion_tokens"]))
    except (LookupError, OverflowError, TypeError, ValueError):
        return 0
