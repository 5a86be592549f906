import os
import subprocess
import sys
from pathlib import Path

import orjson

from datashop_assets.datasets import EMBEDDED_DIGEST
from datashop_assets.documents.sources import fingerprint

HEAVY = ("jax", "flax", "orbax", "transformers", "polars", "pyarrow", "gcsfs", "dagster_gcp", "ray")


def test_the_embedded_pool_is_known_by_its_digest() -> None:
    assert fingerprint({"uri": "embedded"}) == EMBEDDED_DIGEST


def test_it_changes_with_any_file_and_not_with_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "one" / "a.jsonl"
    file.parent.mkdir()
    file.write_text("{}\n")
    os.utime(file, (1000, 1000))
    before = fingerprint({"uri": f"{tmp_path}/one/*.jsonl"})
    orjson.dumps(before)
    file.parent.rename(tmp_path / "two")
    assert fingerprint({"uri": f"{tmp_path}/two/*.jsonl"}) == before
    os.utime(tmp_path / "two" / "a.jsonl", (2000, 2000))
    assert fingerprint({"uri": f"{tmp_path}/two/*.jsonl"}) != before


def test_planning_imports_nothing_that_only_reading_needs() -> None:
    program = (
        "import sys, datashop_assets.documents.steps, datashop_assets.documents.sources as f;"
        f"f.fingerprint({{'uri': 'embedded'}}); print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
