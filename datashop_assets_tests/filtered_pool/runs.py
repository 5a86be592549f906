"""Runs of both stages in processes of their own, and what they have left."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from datashop_assets.storage.manifest import Manifest
from datashop_assets.storage.stage_writer import RECEIPTS
from datashop_assets_tests.filtered_pool import both_stages

Seen = Mapping[Path, tuple[int, int]]


class Runs:
    """A server that makes both stages when told to, each time in a process of its own."""

    def __init__(self, root: Path, compute: str) -> None:
        command = [sys.executable, "-m", both_stages.__name__, str(root), compute]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        self.server = subprocess.Popen(command, env={**os.environ, **compiled(root)}, **pipes)
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self._orders, self._answers = self.server.stdin, self.server.stdout

    def begin(self, name: str) -> int:
        """Begins a run below the folder `name`. Returns the number of its process."""
        print(name, file=self._orders)
        return int(self._answers.readline())

    def end(self) -> int:
        """Waits for the run. Returns its exit code."""
        return int(self._answers.readline())

    def whole(self, name: str) -> None:
        self.begin(name)
        assert self.end() == 0

    def close(self) -> None:
        self._orders.close()
        self.server.wait()
        self._answers.close()


def compiled(root: Path) -> dict[str, str]:
    """Settings with which Python compiles a module once for all workers, also where it is told to write nothing."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(root / "bytecode")}


@contextmanager
def runs(root: Path, compute: str = both_stages.PROCESSES) -> Iterator[Runs]:
    server = Runs(root, compute)
    yield server
    server.close()


def finished(place: Path) -> Seen:
    """Every file that has a receipt: which file it is, and when it was written."""
    receipts = (receipt.relative_to(place) for receipt in place.glob(f"stages/*/*/{RECEIPTS}/**/*.json"))
    files = (place / str(receipt).replace(f"{RECEIPTS}/", "").removesuffix(".json") for receipt in receipts)
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files if file.exists()}


def manifests(place: Path) -> dict[str, Manifest]:
    found = sorted(place.glob("stages/*/*/manifest.json"))
    return {file.parts[-3]: Manifest.model_validate_json(file.read_bytes()) for file in found}


def contents(place: Path) -> dict[str, str]:
    return {name: manifest.content_digest for name, manifest in manifests(place).items()}
