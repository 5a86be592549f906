"""Docstrings of the data packages, parsed from their source files.

1,676 are taken: 700 of mathematics and 976 of other things, 122 from each of eight packages. A package's name serves as
gold label, so of sympy only the folders named for a branch of mathematics are read (not its printers, code writers or
physics), and tests, plots and vendored copies are left out everywhere. Parsing takes 5 s.
"""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datashop_assets.sources.packages import data_file
from datashop_assets.storage.digests import keyed_hash

SHORTEST = 200  # characters; below that a docstring says what its name says
QUOTAS = {
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


@dataclass(frozen=True, slots=True)
class Docstring:
    package: str
    name: str  # of the object, such as "Poly.resultant"; never the module, which tells the package
    text: str


def docstrings() -> list[Docstring]:
    """The chosen docstrings, no text twice, in the order of `QUOTAS`."""
    seen: set[str] = set()
    chosen: list[Docstring] = []
    for package, quota in QUOTAS.items():
        found = {found.text: found for found in _of_package(package) if found.text not in seen}
        ordered = sorted(found.values(), key=lambda one: keyed_hash("docstrings", one.text))
        if len(ordered) < quota:
            raise ValueError(f"{package} holds {len(ordered)} docstrings, {quota} are needed; run `make env` again")
        chosen += ordered[:quota]
        seen |= found.keys()
    return chosen


def _of_package(package: str) -> Iterator[Docstring]:
    root = data_file(package)
    folders = [root / branch for branch in BRANCHES_OF_MATHEMATICS] if package == "sympy" else [root]
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        if LEFT_OUT.isdisjoint(path.relative_to(root).with_suffix("").parts):
            for name, text in _of_file(path):
                if len(text) >= SHORTEST:
                    yield Docstring(package, name, text)


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # other people's escapes such as "\m"
        module = ast.parse(path.read_bytes(), filename=str(path))
    yield "", ast.get_docstring(module) or ""
    yield from _of_body(module.body, "")


def _of_body(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, Named):
            name = f"{prefix}{node.name}"
            yield name, ast.get_docstring(node) or ""
            yield from _of_body(node.body, f"{name}.")
