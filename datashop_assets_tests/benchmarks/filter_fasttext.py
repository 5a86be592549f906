"""Documents a second from jsonl.zst to what is kept, one core, against datatrove with the same model.

    python -m datashop_assets_tests.benchmarks.filter_fasttext

Ours are the stages `pool_scores` and `filtered_pool` as the graph runs them, on a pool that has been indexed and
tokenized, as it is before any prompt; the peer reads, filters and writes in one pass. Both get each document whole, as
it stands, and the model is the same file of the stock library. Documents are those of the embedded pool, each with
the one before and after it, in three orders, some 1.5 kB each.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datashop_assets.data_packages import installed_data
from datashop_assets.documents.embedded import load_gold
from datashop_assets.encoder_kinds.trained import DESCRIPTION, PlattCurve, StoredEncoder
from datashop_assets.filtered_pool import scoring
from datashop_assets.filtered_pool.results import PoolScoresConfig
from datashop_assets.filtered_pool.steps import filtered_pool, pool_scores
from datashop_assets.models.fasttext.classifier import NEGATIVE, POSITIVE, train_supervised
from datashop_assets.prompts.encoder_settings import EncoderSettings
from datashop_assets.storage.shards import write_rows
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.benchmarks.documents import embedded_rows
from datashop_assets_tests.benchmarks.sides import PEERS, print_result, run_peer
from datashop_assets_tests.documents import making
from datashop_assets_tests.filtered_pool.pools import filtering
from datashop_assets_tests.stages import finish, run_step, writer

TARGETS = {"Mathematics", "sympy", "mpmath"}
ROUNDS, SHARDS, CHARACTERS = 3, 4, 1500
THRESHOLD = 0.5
PEER_OFFSET = 1e-5  # fastText adds it to every probability it shows
NEAR = 1e-6  # of the cut: where decisions may differ
DATA = {"text_field": "text", "id_field": "id", "source_field": "source"}


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core for both sides
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        documents = make_pool(root)
        model = train(root)
        inputs = prepare(root, model)
        ours = run_ours(root, inputs)
        peer = run_peer(
            "filter_fasttext_peer.py",
            PEERS,
            pool=str(root / "pool"),
            model=str(model),
            output=str(root / "peer"),
            label=POSITIVE.removeprefix("__label__"),
            threshold=THRESHOLD + PEER_OFFSET,
        )
        report(documents, ours, peer)


def report(documents: int, ours: dict[str, Any], peer: dict[str, Any]) -> None:
    differ = set(ours["kept"]) ^ set(peer["kept"])
    near = [name for name in differ if abs(ours["score"][name] - THRESHOLD) <= NEAR]
    print_result(
        documents / ours["seconds"],
        documents / peer["seconds"],
        unit="documents a second, one core",
        documents=documents,
        kept=len(ours["kept"]),
        peer_kept=len(peer["kept"]),
        same_kept=len(differ) == len(near),
        near_the_cut=sorted(near),
        bytes=ours["bytes"],
        score_seconds=ours["score_seconds"],
        keep_seconds=ours["keep_seconds"],
        # on a machine that others use too, wall time is theirs as well
        processor_seconds={"ours": ours["processor_seconds"], "peer": peer["processor_seconds"]},
        processor_ratio=peer["processor_seconds"] / ours["processor_seconds"],
    )
    sys.exit(0 if len(differ) == len(near) else f"{len(differ)} decisions differ, {len(near)} of them near the cut")


def make_pool(root: Path, rounds: int = ROUNDS, shards: int = SHARDS, characters: int = CHARACTERS) -> int:
    """Writes a pool that holds the embedded one `rounds` times, and more, and returns how many documents it has."""
    (root / "pool").mkdir()
    rows = list(_documents(root, rounds, characters))
    for shard in range(shards):
        with (root / "pool" / f"part-{shard}.jsonl.zst").open("wb") as file:
            write_rows("part.jsonl.zst", file, rows[shard::shards], None)
    return len(rows)


def _documents(root: Path, rounds: int, characters: int) -> Iterator[dict[str, Any]]:
    originals = embedded_rows(root / "cache")
    for number in range(rounds):
        random.Random(number).shuffle(originals)
        for place in range(0, len(originals), characters // CHARACTERS):
            row, following = originals[place], place
            text = row["text"]
            while len(text) < characters:
                following = (following + 1) % len(originals)
                text += "\n\n" + originals[following]["text"]
            yield {"text": text, "id": f"{row['id']} {number}", "source": row["source"]}


def train(root: Path) -> Path:
    """A model of the stock library on the embedded gold: 100 dimensions, words as they stand."""
    gold = load_gold(root / "cache", installed_data(), "embedded")
    lines = [
        f"{POSITIVE if gold[row['id']] in TARGETS else NEGATIVE} {' '.join(row['text'].split())}\n"
        for row in embedded_rows(root / "cache")
        if row["id"] in gold
    ]
    (root / "lines.txt").write_text("".join(lines))
    settings = {"input": str(root / "lines.txt"), "dim": 100, "minn": 3, "maxn": 5, "bucket": 50_000, "epoch": 5}
    train_supervised({**settings, "thread": 1, "verbose": 0, "lr": 0.5}, root / "stock.bin")
    return root / "stock.bin"


def prepare(root: Path, model: Path) -> dict[str, StageFolder]:
    """What stands before filtering: the pool's index, and an encoder stage with the folded model."""
    from datashop_assets.models.fasttext.model_file import read_model, write_model

    pool = making.make_pool(f"{root}/pool/*.jsonl.zst", root, 0.0)
    write_model(read_model(model).folded(), root / "model.bin")
    output = writer(root, "encoder")
    output.put_file("model.bin", root / "model.bin")
    stored = StoredEncoder(
        config=EncoderSettings().encoder_config,
        read_characters=1 << 30,
        reading="head",
        files=("model.bin",),
        calibration=PlattCurve(slope=1.0, intercept=0.0),
        each_word_once=False,
    )
    output.put_bytes(DESCRIPTION, stored.model_dump_json().encode())
    return {"pretraining_pool": pool, "encoder": finish(output, "encoder", {}, {})}


def run_ours(root: Path, inputs: dict[str, StageFolder]) -> dict[str, Any]:
    load_before_the_clock_starts(inputs["encoder"].uri)
    started, worked = time.perf_counter(), time.process_time()
    scores = run_step(pool_scores, root, PoolScoresConfig(), inputs.values())
    scored = time.perf_counter()
    config = filtering({"threshold": THRESHOLD})
    kept = run_step(filtered_pool, root, config, [inputs["pretraining_pool"], scores])
    ended, processor = time.perf_counter(), time.process_time() - worked
    table = kept.table()
    return {
        "seconds": ended - started,
        "processor_seconds": processor,
        "score_seconds": round(scored - started, 3),
        "keep_seconds": round(ended - scored, 3),
        "kept": table.filter("kept")["id"].to_list(),
        "score": dict(zip(table["id"], table["score"], strict=True)),
        "bytes": sum(path.stat().st_size for path in (root / "pool").iterdir()),
    }


def load_before_the_clock_starts(encoder: str) -> None:
    """As the peer's model is. A process loads an encoder once, and a machine compiles the kernel once."""
    scoring.loaded(encoder).margins(["compiled"])


if __name__ == "__main__":
    main()
