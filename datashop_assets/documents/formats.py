"""Which files of a folder are documents, by their names: what is read, what is passed over, and why.

Names count in any case. What begins with a dot or an underscore is passed over, as Spark, Hive and Arrow do: it is
hidden, temporary, or says something about the others (`_SUCCESS`, `_temporary`, `.ipynb_checkpoints`).
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

JSON = (".jsonl", ".ndjson", ".json")
COMPRESSIONS = ("", ".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz")
COMPRESSED = COMPRESSIONS[1:]
PARQUET = ".parquet"
FORMATS: tuple[str, ...] = (*(f"{text}{packed}" for text in JSON for packed in COMPRESSIONS), PARQUET)
LONGEST_FIRST = tuple(sorted(FORMATS, key=len, reverse=True))
UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".incomplete", ".crdownload", ".lock", ".swp", ".bak", "~")
DESCRIPTIONS = (
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
)  # what `datasets` writes beside its data
# What else people keep documents in, and how they become something that is read.
OTHERS: Mapping[str, str] = MappingProxyType(
    {
        ".csv": "polars.read_csv(...).write_parquet(...)",
        ".tsv": "polars.read_csv(..., separator='\\t').write_parquet(...)",
        ".arrow": "polars.read_ipc(...).write_parquet(...)",
        ".feather": "polars.read_ipc(...).write_parquet(...)",
        ".avro": "polars.read_avro(...).write_parquet(...)",
        ".orc": "pyarrow.orc.read_table(...), then pyarrow.parquet.write_table",
        ".txt": 'one JSON object a document: {"text": ...}',
        ".md": 'one JSON object a document: {"text": ...}',
        ".warc.gz": "extract the text first, for example with datatrove",
        ".lz4": "unpack it",
        ".zip": "unpack it",
        ".tar": "unpack it",
        ".tar.gz": "unpack it",
        ".7z": "unpack it",
    }
)
PassedOverBecause = Literal[
    "hidden", "unfinished", "another format", "about a data set", "a folder", "a linked folder", "no file", "empty"
]
PASSED_OVER: Mapping[PassedOverBecause, str] = MappingProxyType(
    {
        "hidden": "hidden",
        "unfinished": "unfinished or temporary",
        "another format": "of another format",
        "about a data set": "that describe a data set",
        "a folder": "that are folders",
        "a linked folder": "that are links to folders",
        "no file": "that are pipes, sockets or devices",
        "empty": "without a row",
    }
)


def suffix_of(name: str) -> str:
    """The ending, as it is written, that tells a file's format. Raises `ValueError` where it is none of `FORMATS`."""
    lower = name.lower()
    for suffix in LONGEST_FIRST:
        if lower.endswith(suffix):
            return name[-len(suffix) :]
    fix = next((fix for ending, fix in OTHERS.items() if lower.endswith(ending)), "convert it")
    raise ValueError(
        f"{name!r} ends in none of {', '.join(JSON)} (plain, .gz, .zst, .bz2, .xz) and {PARQUET}; "
        f"convert it ({fix}), or narrow the glob to leave it out"
    )


def is_format(name: str) -> bool:
    return name.lower().endswith(FORMATS)


def why_passed_over(name: str, asked: Iterable[str] = ()) -> PassedOverBecause | None:
    """Why a file is no document, by its path below the folder that is read; None of one that may be.

    `asked` are the parts of a glob: what it spells out, `_made/*.jsonl`, is not passed over.
    """
    spelt = {part[:1] for part in asked}
    for part in name.split("/"):
        if part[:1] in (".", "_") and part[:1] not in spelt and not re.match(r"_[^=]*=", part):
            return "hidden"
    if name.lower().endswith(UNFINISHED):
        return "unfinished"
    return "about a data set" if name.rpartition("/")[2] in DESCRIPTIONS else None
