"""The embedded pool, made once for all tests of this package: by two processes at once, which is tested too."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from datashop_assets_tests.documents.making import rows, write_documents, write_lines

MAKE = (
    "import sys; from pathlib import Path; from datashop_assets.documents.embedded import embedded_pool;"
    "from datashop_assets.data_packages import installed_data;"
    "print(embedded_pool(Path(sys.argv[1]), installed_data()))"
)


@pytest.fixture(scope="session")
def made_by_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A cache folder, and what each of the two processes that made the pool there printed."""
    cache = tmp_path_factory.mktemp("cache")
    both = [subprocess.Popen([sys.executable, "-c", MAKE, cache], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    return cache, [process.communicate()[0].strip() for process in both]


@pytest.fixture(scope="session")
def embedded_cache(made_by_two: tuple[Path, list[str]]) -> Path:
    """A cache folder that holds the embedded pool."""
    return made_by_two[0]


@pytest.fixture
def files(tmp_path: Path) -> str:
    """Three files of 400 documents in three formats, some with bad rows between."""
    folder = tmp_path / "files"
    folder.mkdir()
    write_documents(folder / "a.jsonl.zst", rows(0, 200))
    write_lines(folder / "b.jsonl.gz", [b"{", *map(orjson.dumps, rows(200, 100)), b'{"text": 1}', b"{"])
    write_documents(folder / "c.parquet", rows(300, 100))
    return str(folder)
