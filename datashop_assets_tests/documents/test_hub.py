"""Presets and `hf://` addresses, through the real Hugging Face client, on small files laid out as on the hub."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from datashop_assets.datasets import PRESETS
from datashop_assets.prompts.settings import Data
from datashop_assets_tests.documents.stand_in_hub import Files, hub

READ = """
import sys
from pathlib import Path
from datashop_assets.datasets import resolve_uri
from datashop_assets.prompts.settings import Data
from datashop_assets.documents.pool import pool_shards, read_chosen, read_index
from datashop_assets_tests.documents.making import make_pool
data = Data(uri=sys.argv[1]).model_dump()
pool = make_pool(resolve_uri(data.pop("uri")), Path(sys.argv[2]), **data)
for shard in pool_shards(pool):
    [first, *_] = read_index(pool, shard)
    [(_, document)] = read_chosen(pool, shard, [0])
    print(shard, first["id"], first["source"], len(document.text))
"""


def dclm(number: int) -> dict[str, Any]:
    """A row with the fields of DCLM-Baseline 1.0."""
    return {
        "bff_contained_ngram_count_before_dedupe": number,
        "fasttext_openhermes_reddit_eli5_vs_rw_v2_bigram_200k_train_prob": 0.1,
        "language_id_whole_page_fasttext": {"en": 0.9},
        "metadata": {"WARC-Record-ID": f"<urn:uuid:{number}>", "WARC-Type": "response", "WARC-Truncated": None},
        "previous_word_count": 3,
        "text": "a text of DCLM " * (number + 1),
        "url": f"http://example.org/{number}",
        "warcinfo": "isPartOf: CC-MAIN-2014-10\r\n",
    }


def fineweb(number: int) -> dict[str, Any]:
    """A row with the fields of FineWeb."""
    return {
        "text": "a text of FineWeb " * (number + 1),
        "id": f"<urn:uuid:{number}>",
        "dump": "CC-MAIN-2013-20",
        "url": f"http://example.org/{number}",
        "date": "2013-05-18T10:42:00Z",
        "file_path": "s3://commoncrawl/crawl-data/CC-MAIN-2013-20/x.warc.gz",
        "language": "en",
        "language_score": 0.9,
        "token_count": 5,
    }


def lines(rows: list[dict[str, Any]]) -> bytes:
    return zstandard.compress(b"".join(orjson.dumps(row) + b"\n" for row in rows))


def table(rows: list[dict[str, Any]]) -> bytes:
    pq.write_table(pa.Table.from_pylist(rows), buffer := io.BytesIO())
    return buffer.getvalue()


SHARDS = ((1, 0, 6), (1, 1, 2), (2, 0, 2), (2, 9, 2))  # global shard, local shard, files
DCLM: Files = {
    f"global-shard_{shard:02d}_of_10/local-shard_{local}_of_10/shard_{file:08d}_processed.jsonl.zst": lines(
        [dclm(file)]
    )
    for shard, local, files in SHARDS
    for file in range(files)
}
FINEWEB: Files = {
    "data/CC-MAIN-2013-20/000_00000.parquet": table([fineweb(9)]),
    "sample/10BT/000_00000.parquet": table([fineweb(0)]),
    "sample/10BT/001_00000.parquet": table([fineweb(1)]),
    "sample/100BT/000_00000.parquet": table([fineweb(2)]),
    "sample/350BT/000_00000.parquet": table([fineweb(3)]),
}
HUB = {
    "mlfoundations/dclm-baseline-1.0": DCLM,
    "HuggingFaceFW/fineweb": FINEWEB,
    "HuggingFaceFW/fineweb-edu": FINEWEB,
}


def read(preset: str, folder: Path) -> list[str]:
    """What a process that indexes the preset says of each shard: its name; the first document's id, source, size."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with hub(HUB) as address:
        environment = {**kept, "HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        command = [sys.executable, "-c", READ, preset, str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def said(shard: str, row: dict[str, Any], source: str) -> str:
    return f"{shard} <urn:uuid:{row['text'].count('text') - 1}> {source} {len(row['text'])}"


def test_the_annotation_preset_is_the_first_four_files_of_its_folder(tmp_path: Path) -> None:
    found = read("datashop_dclm_annotation_subset", tmp_path)
    assert found == [said(f"shard_{n:08d}_processed", dclm(n), "unknown") for n in range(4)]


def test_the_pool_preset_is_all_files_of_global_shard_2(tmp_path: Path) -> None:
    found = read("datashop_dclm_pretraining_subset", tmp_path)
    assert found == [
        said(f"local-shard_{local}_of_10-shard_{n:08d}_processed", dclm(n), "unknown")
        for local in (0, 9)
        for n in (0, 1)
    ]


@pytest.mark.parametrize("name", ["fineweb_sample_10BT", "fineweb_edu_sample_10BT"])
def test_a_sample_of_fineweb_is_its_folder_with_the_crawl_as_source(name: str, tmp_path: Path) -> None:
    assert read(name, tmp_path) == [said(f"00{n}_00000", fineweb(n), "CC-MAIN-2013-20") for n in (0, 1)]


def test_every_sample_of_fineweb_has_a_name() -> None:
    named = [name for name in PRESETS if name.startswith("fineweb")]
    assert named == [f"fineweb{edu}_sample_{size}" for edu in ("", "_edu") for size in ("10BT", "100BT", "350BT")]
    for name in named:
        assert PRESETS[name].uri.rpartition("/")[0].endswith(f"/sample/{name.rpartition('_')[2]}")


def test_fields_that_are_given_replace_those_of_the_preset() -> None:
    assert Data(uri="fineweb_sample_10BT").source_field == "dump"
    assert Data(uri="fineweb_sample_10BT", source_field="language").source_field == "language"
    assert Data(uri="/data/*.jsonl").source_field == "source"
