"""Hostile servers in processes of their own, and annotators that ask them."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datashop_assets.protocols.annotator import AnnotationRequest, Question, Reading, Sampling
from datashop_assets_tests.annotator.hostile_server import MODEL
from datashop_assets_tests.conftest import free_port
from resources.annotator.endpoints.annotator import EndpointsAnnotator
from resources.annotator.endpoints.pacing import Policy

QUESTION = Question(
    model=MODEL,
    revision="",
    scoring="generate",
    prompt="Rate this: {example}\nFinal score: N",
    answer_begins="",
    options=(),
    sampling=Sampling(max_tokens=16),
    reading=Reading(3000),
)
HASTY = Policy(attempts=12, deadline=1.0, patience=4.0, start=16, most=32, backoff=0.02, longest_backoff=0.2)


class Server:
    """One process on one port; `kill` and `start` as often as a test likes."""

    def __init__(self, seed: int = 0, ills: float = 0.0, key: str = "") -> None:
        self.port, self._seed, self._ills = free_port(), seed, ills
        self._key = [key] if key else []
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        module = "datashop_assets_tests.annotator.hostile_server"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(self.port), str(self._seed), str(self._ills), *self._key]
        )
        return self

    def ready(self) -> "Server":
        for _ in range(200):
            try:
                self.requests()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise TimeoutError(f"nothing on port {self.port}")

    def requests(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/requests", timeout=5) as answer:
            return int(answer.read())

    def answered(self) -> int:
        """`requests`, and none where nobody listens."""
        try:
            return self.requests()
        except OSError:
            return 0

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def fleet(number: int, ills: float = 0.0, key: str = "") -> Iterator[list[Server]]:
    servers = [Server(seed, ills, key).start() for seed in range(number)]
    try:
        yield [server.ready() for server in servers]
    finally:
        for server in servers:
            server.kill()


def annotator(servers: list[Server], policy: Policy = HASTY, **more: Any) -> EndpointsAnnotator:
    return EndpointsAnnotator([server.url for server in servers], policy, **more)


def documents(number: int, length: int = 200) -> Iterator[AnnotationRequest]:
    """Documents of every kind of end; see `expected`."""
    for index in range(number):
        says = {7: "forbidden ", 9: "endless ", 11: "poison ", 13: "long " * 2000}.get(index % 50, "")
        yield AnnotationRequest(f"document-{index}", f"worth {index % 6} {says}" + "x" * length, "made")
