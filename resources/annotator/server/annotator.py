"""An annotator that starts a vLLM server of its own, on this machine, in vLLM's own environment."""

import atexit
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from datashop_assets.protocols.annotator import Answer, Asked, Question
from resources.annotator.endpoints.annotator import EndpointsAnnotator
from resources.annotator.endpoints.policy import Policy
from resources.annotator.names import EMBEDDED, SMALL, identity_of
from resources.annotator.server.command import command_of, environment_of
from resources.annotator.server.process import ServerProcess, free_port
from resources.annotator.server.weights import served_folder
from resources.annotator.settings import ServerSettings

WATCH_EVERY = 0.5  # seconds
LONG = 1800.0  # seconds: on a CPU, the last of 256 requests that are sent at once is answered late


@dataclass
class _Served:
    """A server and what it serves. `lost` says why it will not come back; empty while it may."""

    model: tuple[str, str]  # name and revision
    process: ServerProcess
    key: str
    restarts: int = 0
    lost: str = ""


class ServerAnnotator:
    """An `Annotator`. The server is started with the first question and stopped with this process, however it ends.

    A server that dies while it is asked is started again, `settings.restarts` times; what it was asked is asked again.
    """

    group = None

    def __init__(self, settings: ServerSettings, policy: Policy, say: Callable[[str], object]) -> None:
        self._settings, self._policy = settings, _alone(policy, settings)
        self._say = say
        self._served: _Served | None = None

    def identity(self, model: str) -> tuple[str, str]:
        """Full name and revision. The revision of the embedded weights is the package that holds them."""
        return identity_of("server", model, self._settings.revision)

    def answer(self, asked: Iterable[Asked], question: Question) -> Iterator[Answer]:
        """Raises `RuntimeError` with the end of the server's log where it cannot be started."""
        served = self._serving((question.model, question.revision))
        url = f"http://127.0.0.1:{served.process.port}/v1"
        with self._watched(served):
            annotator = EndpointsAnnotator([url], self._policy, served.key, lost=lambda: served.lost)
            yield from annotator.answer(asked, question)

    def close(self) -> None:
        """Stops the server, if there is one."""
        if self._served is not None:
            self._served.process.stop()
            self._served = None

    def _serving(self, model: tuple[str, str]) -> _Served:
        if self._served is None or self._served.model != model or not self._served.process.running:
            self.close()
            self._served = self._started(model)
        return self._served

    def _started(self, model: tuple[str, str]) -> _Served:
        name, revision = model
        local = name == SMALL.name
        weights = str(served_folder(EMBEDDED[0], self._settings.cache)) if local else name
        key, port = secrets.token_urlsafe(), free_port()
        log = self._settings.logs / f"vllm-{time.strftime('%Y%m%dT%H%M%S')}-{port}.log"
        # "auto" would make bfloat16 of them, which is less exact and on CPUs slower: 137 against 239 tokens/s
        settings = (
            replace(self._settings, dtype="float32") if local and self._settings.dtype == "auto" else self._settings
        )
        command = command_of(settings, name, weights, "" if local else revision, port)
        process = ServerProcess(command, environment_of(weights, key), port, log)
        atexit.register(process.stop)
        self._say(f"vLLM server: starting {name} on port {port}; its log is {log}")
        process.start()
        process.wait(self._settings.start_deadline, self._say)
        return _Served(model, process, key)

    @contextmanager
    def _watched(self, served: _Served) -> Iterator[None]:
        """While this lasts, a server that dies is started again."""
        end = threading.Event()
        watching = threading.Thread(target=self._watch, args=(served, end), name="vllm-watch", daemon=True)
        watching.start()
        try:
            yield
        finally:
            end.set()
            watching.join()

    def _watch(self, served: _Served, end: threading.Event) -> None:
        while not end.wait(WATCH_EVERY) and not served.lost:
            if served.process.running:
                continue
            if served.restarts >= self._settings.restarts:
                served.lost = (
                    f"the vLLM server died {served.restarts + 1} times; the end of {served.process.log} says why"
                )
                return
            served.restarts += 1
            self._say(f"vLLM server: died ({served.process.last_words()}); start {served.restarts + 1}")
            served.process.start()


def _alone(policy: Policy, settings: ServerSettings) -> Policy:
    """How a server is asked that nobody else asks: all at once, for it queues by itself, and without haste.

    Documents wait for it while it is started again, for nobody else will answer.
    """
    patience = settings.start_deadline + policy.patience
    return replace(policy, start=policy.most, deadline=max(policy.deadline, LONG), patience=patience)
