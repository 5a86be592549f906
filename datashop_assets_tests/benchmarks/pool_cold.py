"""Documents a second from raw files to what is kept, nothing indexed before, against datatrove with the same model.

    python -m datashop_assets_tests.benchmarks.pool_cold [--documents 400000] [--rounds 3]

Ours is the command `datashop run bench --until filtered_pool` where the encoder is finished and the pool has not been
looked at: the start of the command, the index with its digests and splits, scores and the kept documents. The peer is
datatrove's reader, fastText filter and writer, one pass, its start not counted. Both run on one core, in turn, on
documents of 2 kB in four jsonl.zst files, with the same fastText model; `ratio` is that of the medians, `ratios` has
every round's.
"""

import argparse
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from datashop_assets.encoder.results import EncoderResult
from datashop_assets.filtered_pool.results import FilteredPoolResult
from datashop_assets.graph import plan
from datashop_assets.models.fasttext.classifier import POSITIVE
from datashop_assets.prompts.store import PromptStore
from datashop_assets.storage.root import Root
from datashop_assets.storage.shards import write_rows
from datashop_assets_tests.benchmarks.documents import embedded_rows
from datashop_assets_tests.benchmarks.sides import PEERS, print_result, run_peer

SHARDS, CHARACTERS, KEPT = 4, 2000, 0.1
MADE_FROM_THE_POOL = ("pretraining_pool", "pool_scores", "filtered_pool")
PROMPT = """\
name: Bench
rubric: "{{example}}"
pretraining_pool: {pool}/*.jsonl.zst
heldout_fraction: 0.1
annotator:
  model: smollm2-135m-instruct
  scoring: likelihood
  documents: 120
  second_round: {{documents: 0}}
  likelihood:
    question: "Document: {{example}} What school subject does this document belong to?"
    answer_begins: This document is useful for studying
    targets: [mathematics]
encoder: {{kind: fasttext}}
keep: {{fraction: {kept}, of: documents}}
gates:
  waive:
    both_ends_used: a benchmark of speed
"""


def main() -> None:
    said = parsed_arguments()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core for both sides
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_pool(place, said.documents)
        (place / "prompts").mkdir()
        (place / "prompts" / "bench.yaml").write_text(PROMPT.format(pool=place / "pool", kept=KEPT))
        run(place, "encoder")
        rounds = []
        for _ in range(said.rounds):
            for stage in MADE_FROM_THE_POOL:
                shutil.rmtree(place / "root" / "stages" / stage, ignore_errors=True)
            ours = run(place, "filtered_pool")
            rounds.append({"ours": ours, "peer": peer(place)})
            print(rounds[-1], file=sys.stderr, flush=True)
    ratios = [one["peer"] / one["ours"] for one in rounds]
    print_result(
        said.documents / statistics.median(one["ours"] for one in rounds),
        said.documents / statistics.median(one["peer"] for one in rounds),
        unit="documents a second, one core, raw files to kept documents",
        ratios=ratios,
        seconds=rounds,
        documents=said.documents,
    )


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def make_pool(place: Path, count: int) -> None:
    (place / "pool").mkdir()
    rows = list(islice(documents(place), count))
    for shard in range(SHARDS):
        path = place / "pool" / f"part-{shard}.jsonl.zst"
        with path.open("wb") as file:
            write_rows(path.name, file, rows[shard::SHARDS], None)


def documents(place: Path) -> Iterator[dict[str, Any]]:
    """The embedded pool's, each with those after it, up to `CHARACTERS`; again and again in other orders."""
    originals, number, order = embedded_rows(place / "cache"), 0, 0
    while True:
        random.Random(order).shuffle(originals)
        for place_of, row in enumerate(originals):
            text, following = row["text"], place_of
            while len(text) < CHARACTERS:
                following = (following + 1) % len(originals)
                text += "\n\n" + originals[following]["text"]
            yield {"text": f"{text[:CHARACTERS]} {number}", "id": f"{row['id']} {order}", "source": row["source"]}
            number += 1
        order += 1


def run(place: Path, until: str) -> float:
    """Seconds of one command, its start included."""
    settings = {
        "DATASHOP_ROOT": str(place / "root"),
        "DATASHOP_PROMPTS": str(place / "prompts"),
        "DAGSTER_HOME": str(place / "home"),
        "DATASHOP_PROCESSES": "1",
    }
    command = [str(Path(sys.executable).with_name("datashop")), "run", "bench", "--until", until]
    started = time.perf_counter()
    subprocess.run(command, env={**os.environ, **settings}, check=True, stdout=sys.stderr)
    return time.perf_counter() - started


def peer(place: Path) -> float:
    """Seconds of the peer on the same files, with our model, near our cut."""
    root = Root(str(place / "root"))
    planned = plan(PromptStore(place / "prompts", root).load("bench"), root)
    cut = planned.output(FilteredPoolResult).result.cut
    encoder = Path(planned.output(EncoderResult).uri) / "model.bin"
    shutil.rmtree(place / "peer", ignore_errors=True)
    return float(
        run_peer(
            "filter_fasttext_peer.py",
            PEERS,
            pool=str(place / "pool"),
            model=str(encoder),
            output=str(place / "peer"),
            label=POSITIVE.removeprefix("__label__"),
            threshold=1 / (1 + math.exp(-cut)),
        )["seconds"]
    )


if __name__ == "__main__":
    main()
