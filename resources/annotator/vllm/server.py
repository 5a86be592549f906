"""An annotator that starts a vLLM server of its own, on this machine, in vLLM's own environment.

Started with the first question (`ServerAnnotator._start`), watched while it is asked, and stopped by `close` or by the
end of this process, however it ends: `supervisor.py` runs between the two.
"""

import atexit
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from datashop_assets.protocols.annotator import AnnotationRequest, Answer, Question
from resources.annotator.endpoints.annotator import EndpointsAnnotator
from resources.annotator.endpoints.pacing import Policy
from resources.annotator.names import EMBEDDED, SMALL, chips_of, identity_of
from resources.annotator.settings import ServerSettings
from resources.annotator.vllm.weights import exported_folder

WATCH_INTERVAL = 0.5  # seconds between looks at a server that is asked
SLOWEST_ANSWER = 1800.0  # seconds: on a CPU, the last of 256 requests that are sent at once is answered late
SUPERVISOR = Path(__file__).with_name("supervisor.py")
GRACE = 10.0  # seconds that a server gets to end by itself
STOP_TIMEOUT = 2 * GRACE  # seconds that the supervisor gets
POLL_INTERVAL = 0.25  # seconds between looks at a server that is starting
REPORT_INTERVAL = 10.0  # seconds between lines about it
LOG_LINES = 25  # of the log's end, in an error
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    # for CPUs only: by default vLLM leaves one core unused and takes half of the memory
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "VLLM_CPU_KVCACHE_SPACE": "4",
}


@dataclass
class RunningServer:
    """A server and what it serves. `lost` says why it will not come back; empty while it may."""

    model: tuple[str, str]  # name and revision
    process: "ServerProcess"
    key: str
    restarts: int = 0
    lost: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.process.port}/v1"


class ServerAnnotator:
    """An `Annotator`. The server is started with the first question and stopped with this process, however it ends.

    A server that dies while it is asked is started again, `settings.restarts` times; what it was asked is asked again.
    `say` gets a line now and then about a server that starts.
    """

    group = None

    def __init__(self, settings: ServerSettings, policy: Policy, say: Callable[[str], object]) -> None:
        self._settings, self._say = settings, say
        # nobody else asks this server: all at once, for it queues by itself, and without haste. Documents wait while
        # it is started again, for no other endpoint will answer
        self._policy = replace(
            policy,
            start=policy.most,
            deadline=max(policy.deadline, SLOWEST_ANSWER),
            patience=settings.start_deadline + policy.patience,
        )
        self.server: RunningServer | None = None

    def identity(self, model: str) -> tuple[str, str]:
        """Full name and revision. The revision of the embedded weights is the package that holds them."""
        return identity_of("server", model, self._settings.revision)

    def answer(self, asked: Iterable[AnnotationRequest], question: Question) -> Iterator[Answer]:
        """Raises `RuntimeError` with the end of the server's log where it cannot be started."""
        model = (question.model, question.revision)
        if self.server is None or self.server.model != model or not self.server.process.running:
            self.close()
            self.server = self._start(model)
        server = self.server
        with self._restarting(server):
            annotator = EndpointsAnnotator([server.url], self._policy, server.key, lost=lambda: server.lost)
            yield from annotator.answer(asked, question)

    def close(self) -> None:
        """Stops the server, if there is one."""
        if self.server is not None:
            self.server.process.stop()
            self.server = None

    def _start(self, model: tuple[str, str]) -> RunningServer:
        """Returns when the server is healthy."""
        (name, revision), settings = model, self._settings
        weights = name
        if name == SMALL.name:
            weights, revision = str(exported_folder(EMBEDDED[0], settings.cache)), ""
            if settings.dtype == "auto":
                # "auto" would make bfloat16 of them: less exact, and slower on CPUs (137 against 239 tokens/s)
                settings = replace(settings, dtype="float32")
        key, port = secrets.token_urlsafe(), free_port()
        log = settings.logs / f"vllm-{time.strftime('%Y%m%dT%H%M%S')}-{port}.log"
        command = server_command(settings, name, weights, revision, port)
        process = ServerProcess(command, server_environment(weights, key), port, log)
        atexit.register(process.stop)
        self._say(f"vLLM server: starting {name} on port {port}; its log is {log}")
        process.start()
        process.wait(settings.start_deadline, self._say)
        return RunningServer(model, process, key)

    @contextmanager
    def _restarting(self, server: RunningServer) -> Iterator[None]:
        """While this lasts, a server that dies is started again."""
        end = threading.Event()
        watching = threading.Thread(target=self._watch, args=(server, end), name="vllm-watch", daemon=True)
        watching.start()
        try:
            yield
        finally:
            end.set()
            watching.join()

    def _watch(self, server: RunningServer, end: threading.Event) -> None:
        while not end.wait(WATCH_INTERVAL) and not server.lost:
            if server.process.running:
                continue
            if server.restarts >= self._settings.restarts:
                server.lost = (
                    f"the vLLM server died {server.restarts + 1} times; the end of {server.process.log} says why"
                )
                return
            server.restarts += 1
            self._say(f"vLLM server: died ({server.process.last_line()}); start {server.restarts + 1}")
            server.process.start()


def server_command(settings: ServerSettings, name: str, weights: str, revision: str, port: int) -> list[str]:
    """The server of `weights` (a folder or a name on the hub) under `name`, for this machine alone.

    Raises `FileNotFoundError` where the environment that it runs in is not made.
    """
    python = settings.python
    if not python.exists():
        raise FileNotFoundError(
            f"{python} is not there; run `make vllm`, or name another python in DATASHOP_VLLM_PYTHON"
        )
    options = {
        "model": weights,
        "served-model-name": name,
        "host": "127.0.0.1",
        "port": port,
        "tensor-parallel-size": settings.tensor_parallel_size or chips_of(name),
        "max-model-len": settings.max_model_len,
        "dtype": settings.dtype,
        **({"revision": revision, "tokenizer-revision": revision} if revision else {}),
    }
    arguments = [f"--{option}={value}" for option, value in options.items()] + ["--enable-prefix-caching"]
    if any(python.parents[1].glob("lib/python*/site-packages/vllm_cpu-*.dist-info")):
        # 0.32 for CPUs dies of a request with a seed whose prompt it computes in two parts ("CPU Generator does not
        # use offset")
        arguments.append("--no-enable-chunked-prefill")
    return [str(python), "-m", "vllm.entrypoints.openai.api_server", *arguments, *settings.arguments]


def server_environment(weights: str, key: str) -> Mapping[str, str]:
    """This process's environment for the server, with the key that only this process knows."""
    offline = {"HF_HUB_OFFLINE": "1"} if Path(weights).is_dir() else {}
    return {**ENVIRONMENT, **os.environ, **offline, "VLLM_API_KEY": key}


class ServerProcess:
    """`command` listens on `port` of 127.0.0.1 and answers `/health`. Its output is appended to `log`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], port: int, log: Path) -> None:
        self.port, self.log = port, log
        self._command, self._environment = list(command), dict(environment)
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._supervisor is not None and self._supervisor.poll() is None

    def start(self) -> None:
        self.stop()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._supervisor = subprocess.Popen(  # noqa: S603, a command that settings name
                [sys.executable, "-I", str(SUPERVISOR), str(GRACE), *self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C reaches this process, which stops the server in its own time
            )

    def wait(self, deadline: float, say: Callable[[str], object]) -> None:
        """Returns when it is healthy. Raises `RuntimeError` with the log's end where it dies or `deadline` passes."""
        began = reported = time.monotonic()
        while not self.healthy():
            waited = time.monotonic() - began
            if not self.running or waited > deadline:
                why = f"was not healthy after {waited:.0f} s" if self.running else "ended before it was healthy"
                self.stop()
                tail = "\n".join(self._log_lines()[-LOG_LINES:])
                raise RuntimeError(f"the vLLM server {why}. The end of {self.log}:\n{tail}")
            if time.monotonic() - reported >= REPORT_INTERVAL:
                reported = time.monotonic()
                progress = f"after {waited:.0f} of at most {deadline:.0f} s ({self.last_line()})"
                say(f"vLLM server: not healthy yet {progress}")
            time.sleep(POLL_INTERVAL)
        say(f"vLLM server: healthy after {time.monotonic() - began:.0f} s")

    def healthy(self) -> bool:
        if not self.running:
            return False
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        """Ends the server and its children. Nothing happens where there is none."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is None:
            return
        assert supervisor.stdin is not None
        supervisor.stdin.close()
        try:
            supervisor.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()

    def last_line(self) -> str:
        """The last words in its log."""
        lines = [line for line in self._log_lines() if line.strip()]
        return lines[-1].strip()[:120] if lines else "its log is empty"

    def _log_lines(self) -> list[str]:
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - 64 * 1024))
            return log.read().decode("utf-8", "replace").splitlines()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
