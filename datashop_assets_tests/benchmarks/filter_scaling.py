"""How scoring and filtering grow with the pool: time, peak memory, two workers against one, Ray against processes.

    python -m datashop_assets_tests.benchmarks.filter_scaling

Each measurement is a fresh process. Its workers have started and loaded the encoder before the clock starts. `ours` is
the exponent of time in the size of the pool, `peer` the 1.05 that it may have at most. A larger pool has more shards
and longer ones: all hold more than the 16,384 documents that filtering looks at together. Ray's side is a cluster of
two cores on loopback.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from datashop_assets.core.step import Resources
from datashop_assets.filtered_pool.results import PoolScoresConfig
from datashop_assets.filtered_pool.steps import filtered_pool, pool_scores
from datashop_assets.protocols.compute import Compute
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.benchmarks import filter_fasttext
from datashop_assets_tests.benchmarks.sides import print_result
from datashop_assets_tests.filtered_pool.pools import filtering
from datashop_assets_tests.resources.ray_cluster import ray_cluster
from datashop_assets_tests.stages import run_step

SIZES = (1, 4, 16)
SHARDS = {1: 1, 4: 2, 16: 4}
ROUNDS = 5  # over the embedded pool, for the smallest one
CHARACTERS = 4500  # a document: three times those of `filter_fasttext`
STAGES = ("pretraining_pool", "encoder")
HIGHEST_EXPONENT = 1.05


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for size in SIZES:
            prepare(root, size)
        grown = {size: measured(root, size, "one") for size in SIZES}
        spread = {"two": measured(root, SIZES[-1], "two")}
        with ray_cluster(root / "ray.log") as head:
            os.environ["RAY_ADDRESS"] = head.address
            spread["ray"] = measured(root, SIZES[-1], "ray")
        report(grown, spread)


def report(grown: dict[int, dict[str, float]], spread: dict[str, dict[str, float]]) -> None:
    first, last = grown[SIZES[0]], grown[SIZES[-1]]
    print_result(
        math.log(last["seconds"] / first["seconds"]) / math.log(SIZES[-1] / SIZES[0]),
        HIGHEST_EXPONENT,
        unit="exponent of time in documents",
        memory_ratio=last["peak_bytes"] / first["peak_bytes"],
        two_workers=last["seconds"] / spread["two"]["seconds"],
        ray_against_processes=spread["two"]["seconds"] / spread["ray"]["seconds"],
        same_content=len({one["content"] for one in (last, *spread.values())}) == 1,
        grown={str(size): one for size, one in grown.items()},
        spread=spread,
    )


def prepare(root: Path, size: int) -> None:
    """A pool of `size` times 19,515 documents, and an encoder."""
    place = root / str(size)
    place.mkdir()
    filter_fasttext.make_pool(place, rounds=ROUNDS * size, shards=SHARDS[size], characters=CHARACTERS)
    model = filter_fasttext.train(root) if size == SIZES[0] else root / "stock.bin"
    filter_fasttext.prepare(place, model)


def measured(root: Path, size: int, how: str) -> dict[str, Any]:
    """Seconds and peak memory of a process that scores and filters the pool `how`: one, two workers, or on Ray."""
    command = [sys.executable, "-m", "datashop_assets_tests.benchmarks.filter_scaling", str(root / str(size)), how]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    print(f"{size} times, {how}: {found}", file=sys.stderr)
    return found


def child(root: Path, how: str) -> None:
    compute = spread(how)
    inputs = {name: StageFolder(Folder(str(root / name))) for name in STAGES}
    list(compute.map(filter_fasttext.load_before_the_clock_starts, [inputs["encoder"].uri] * 2))
    tools = Resources(compute=compute)
    started = time.perf_counter()
    scores = run_step(
        pool_scores, root, PoolScoresConfig(), inputs.values(), name=f"pool_scores-{how}", resources=tools
    )
    kept = run_step(
        filtered_pool,
        root,
        filtering({"fraction": 0.1, "of": "documents"}),
        [inputs["pretraining_pool"], scores],
        name=f"filtered-{how}",
        resources=tools,
    )
    seconds = time.perf_counter() - started
    peak = max(highest_memory(0), *compute.map(highest_memory, range(4)))
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "content": kept.manifest.content_digest}))


def highest_memory(_: int) -> int:
    """Bytes that the process which is asked has held at most, this one or a worker's.

    From `/proc`, where it begins with the program; `ru_maxrss` keeps that of the process which started it.
    """
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


def spread(how: str) -> Compute:
    from resources.compute import LocalCompute, RayCompute

    if how == "ray":
        return RayCompute(address=os.environ["RAY_ADDRESS"])
    return LocalCompute(processes=1 if how == "one" else 2, worth_it=0.0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(Path(sys.argv[1]), sys.argv[2])
    else:
        main()
