"""`datashop ui` as a person starts it, over a pool whose documents try to be markup."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import zstandard

from datashop_assets.storage.shards import read_rows
from datashop_assets_tests.conftest import free_port
from datashop_assets_tests.small import small_pool

SCRIPT = "<script>document.title='run'</script>"
RUNS = "{ runsOrError { ... on Runs { results { status tags { key value } assetSelection { path } } } } }"
PARTITIONS = '{ assetNodeOrError(assetKey: {path: ["data_card"]}) { ... on AssetNode { partitionKeys } } }'


@dataclass(frozen=True)
class Ui:
    """Dagster's UI and the cards beside it."""

    address: str
    cards: str
    prompts: Path
    pool: str
    log: Path

    def asks(self, query: str) -> Any:
        asked = urllib.request.Request(
            f"{self.address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)["data"]

    def wait(self, what: Any, seconds: float) -> Any:
        """What `what` returns once it is true. The log's end is shown where it never is."""
        end = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < end, f"not within {seconds} s:\n{self.log.read_text()[-3000:]}"
            time.sleep(1)
        return found

    def partitions(self) -> list[str]:
        found: list[str] = self.asks(PARTITIONS)["assetNodeOrError"]["partitionKeys"]
        return found

    def finished(self) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = self.asks(RUNS)["runsOrError"]["results"]
        assert not [run for run in runs if run["status"] == "FAILURE"], self.log.read_text()[-3000:]
        return [run for run in runs if run["status"] == "SUCCESS"]


@contextmanager
def running_ui(place: Path) -> Iterator[Ui]:
    """`datashop ui`, with prompts, results and log in `place`; ended as `kill` ends it, with all that it started."""
    for folder in ("prompts", "pool"):
        (place / folder).mkdir()
    port = free_port()
    log = place / "log"
    environment = {
        **os.environ,
        "DATASHOP_ROOT": str(place / "root"),
        "DATASHOP_PROMPTS": str(place / "prompts"),
        "DAGSTER_HOME": str(place / "home"),
    }
    command = [str(Path(sys.executable).with_name("datashop")), "ui", "--port", str(port)]
    with log.open("wb") as said:
        server = subprocess.Popen(command, env=environment, stdout=said, stderr=said, process_group=0)
    made = Ui(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", place / "prompts", hostile_pool(place), log)
    try:
        made.wait(lambda: answers(made), 300)
        yield made
    finally:
        services = children(server.pid)
        server.send_signal(signal.SIGTERM)  # as `kill` does, to this process alone
        assert server.wait(90) == 128 + signal.SIGTERM
        assert len(services) >= 6, "a supervisor and a command for each of the three services"
        assert not [one for one in services if Path(f"/proc/{one}").exists()]
        assert "Traceback" not in log.read_text().rpartition("Stopped")[2]


def children(process: int) -> list[int]:
    """All processes below one."""
    listed = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True, check=False).stdout.split()
    return [int(one) for one in listed] + [below for one in listed for below in children(int(one))]


def answers(ui: Ui) -> bool:
    try:
        return bool(ui.asks("{ version }"))
    except OSError:
        return False


def hostile_pool(place: Path) -> str:
    """The small pool, a third of whose texts, ids and sources try to be markup."""
    glob = small_pool(place / "pool", place / "cache")
    for file in sorted((place / "pool").iterdir()):
        rows = list(read_rows(file.name, io.BytesIO(file.read_bytes())))
        for row in rows[::3]:
            row |= {
                "id": f"{row['id']} {SCRIPT}",
                "text": f"{SCRIPT} </script></style>{row['text']}",
                "source": f"{row['source']}<img src=x onerror=\"document.title='run'\">",
            }
        file.write_bytes(zstandard.compress(b"".join(orjson.dumps(row) + b"\n" for row in rows)))
    return glob
